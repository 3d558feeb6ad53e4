"""Peak memory and time of `mclf predict` on songs of half a second, 3 and 30 minutes.

    python benchmarks/predict_memory.py runs/quickstart
    python benchmarks/predict_memory.py runs/quickstart --audio SONG.ogg --formats wav mp3

Every command runs in a process of its own; its peak is the resident memory that the kernel
reports when it ends. Memory must not grow with the song: files are decoded window by window.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import process
import soundfile

LENGTHS_S = (0.5, 180, 1800)
RATE_HZ = 44100


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="run directory")
    parser.add_argument("--audio", help="a song to repeat up to each length; tones if not given")
    parser.add_argument(
        "--formats", nargs="+", default=["wav", "mp3"], help="of the files: wav flac ogg mp3"
    )
    parser.add_argument("--lengths-s", nargs="+", type=float, default=LENGTHS_S)
    arguments = parser.parse_args(argv)

    print("| song | format | command | peak memory | time |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for length_s in arguments.lengths_s:
            for ending in arguments.formats:
                path = Path(folder) / f"song.{ending}"
                write_song(path, length_s=length_s, audio=arguments.audio)
                for options in ([], ["--taggram", folder]):
                    words = ["predict", arguments.run, str(path), *options]
                    used = process.measure(["-m", "mclf_jax", *words], title=f"mclf {words}")
                    name = "predict --taggram" if options else "predict"
                    print(
                        f"| {length_s:g} s | {ending} | {name} "
                        f"| {used['peak_mib']:.0f} MiB | {used['seconds']:.1f} s |",
                        flush=True,
                    )
                path.unlink()


def write_song(path: Path, *, length_s: float, audio: str | None) -> None:
    """A stereo file of that length, written in pieces, as this process must stay small."""
    rate_hz = RATE_HZ if audio is None else soundfile.info(audio).samplerate
    left = round(length_s * rate_hz)
    with soundfile.SoundFile(path, "w", rate_hz, 2) as file:
        while left:
            for block in _tones() if audio is None else soundfile.blocks(audio, 65536):
                mono = block if block.ndim == 1 else block.mean(axis=1)
                mono = mono[:left]
                file.write(np.stack([mono, 0.9 * mono], axis=1))
                left -= len(mono)
                if not left:
                    break


def _tones():
    for note in (0, 4, 7, 12):
        yield 0.3 * np.sin(2 * np.pi * 220 * 2 ** (note / 12) * np.arange(RATE_HZ) / RATE_HZ)


if __name__ == "__main__":
    main()
