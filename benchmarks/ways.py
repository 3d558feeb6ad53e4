"""The same songs by each way of running a network: scores, file sizes, milliseconds a song.

    python benchmarks/ways.py [NETWORK ...] [--songs 6] [--song-s 30]

Networks have their published sizes and weights that nobody trained; songs are noise and tones in
WAV files at 44.1 kHz. For each way: the greatest difference of a score from those of
`mclf evaluate`, the size of what is run, and the median time of a song, reading included. The page
of `mclf export --to web` is compared by tests/export/test_web.py.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import numpy as np
import soundfile
from ml_collections import ConfigDict

from mclf_jax import config as config_lib
from mclf_jax import evaluate, models
from mclf_jax.api import Tagger, load
from mclf_jax.evaluation.song import Song
from mclf_jax.evaluation.windows import cut
from mclf_jax.export import archive
from mclf_jax.export.bundle import Bundle
from mclf_jax.export.collect import bundle_of
from mclf_jax.export.onnx import read_onnx, write_onnx
from mclf_jax.run import checkpoint, directory, experiment

LABELS = ("a", "b", "c")
RATE_HZ = 44100


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table, a line for each network and way."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("networks", nargs="*", default=sorted(models.ARCHITECTURES))
    parser.add_argument("--songs", type=int, default=6)
    parser.add_argument("--song-s", type=float, default=30.0)
    arguments = parser.parse_args(argv)
    print("| network | way | greatest difference | MB | ms a song |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        songs = write_songs(Path(folder) / "songs", arguments.songs, song_s=arguments.song_s)
        for name in arguments.networks:
            run = write_run(name, Path(folder) / name, songs=songs[0].parents[1])
            for row in compare(run, songs):
                print(f"| {name} | {' | '.join(row)} |", flush=True)


def write_songs(folder: Path, count: int, *, song_s: float) -> list[Path]:
    """Songs in a folder for each label."""
    draw, paths = np.random.default_rng(0), []
    times_s = np.arange(round(song_s * RATE_HZ)) / RATE_HZ
    for number in range(count):
        tones = np.sin(2 * np.pi * draw.uniform(60, 4000, (5, 1)) * times_s).mean(axis=0)
        audio = 0.5 * tones + draw.uniform(0, 0.1) * draw.standard_normal(len(times_s))
        path = folder / LABELS[number % len(LABELS)] / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, audio, RATE_HZ)
        paths.append(path)
    return sorted(paths)


def write_run(name: str, workdir: Path, *, songs: Path) -> Path:
    """A run directory of a network with its first weights; most songs are of its test split."""
    config = config_lib.base()
    config.model.name, config.data.name = name, "folder"
    config.data.args = ConfigDict({"path": str(songs)})
    config.data.split_fractions = (0.1, 0.1, 0.8)
    config.eval.update({"num_windows": 4, "batch_size": 4})
    parts = experiment.build(config)
    directory.start_run(workdir, config=config, source=parts.source, model=parts.model)
    variables = jax.jit(parts.model.init)(jax.random.key(0))
    checkpoints = checkpoint.open_checkpoints(workdir / "checkpoints")
    checkpoint.save_best(checkpoints, 0, variables)
    checkpoint.close(checkpoints)
    return workdir


def compare(run: Path, songs: Sequence[Path]) -> list[tuple[str, str, str]]:
    """(way, difference, size, time) of each."""
    report = evaluate(run, split="test")
    row_of = {item: row for row, item in enumerate(report.items)}
    names = {path: str(path.relative_to(path.parents[1])) for path in songs}
    songs = [path for path in songs if names[path] in row_of]
    wanted = report.scores[[row_of[names[path]] for path in songs]]
    bundle = bundle_of(run)
    program = archive.write_archive(bundle, run / "x.mclf")
    onnx = run / "x.onnx"
    write_onnx(bundle, onnx)
    weights = sum(f.stat().st_size for f in (run / "checkpoints").rglob("*") if f.is_file())
    ways = {
        "run": (scorer(load(run)), weights),
        ".mclf": (scorer(load(program)), program.stat().st_size),
        "ONNX": (onnx_scorer(bundle, onnx), onnx.stat().st_size),
    }
    rows = []
    for way, (score, size) in ways.items():
        score(songs[0])  # which compiles
        times, found = [], []
        for path in songs:
            start = time.perf_counter()
            found.append(score(path))
            times.append(time.perf_counter() - start)
        difference = np.abs(np.array(found) - wanted).max()
        rows.append(
            (way, f"{difference:.1e}", f"{size / 1e6:.1f}", f"{1e3 * statistics.median(times):.0f}")
        )
    return rows


def scorer(tagger: Tagger) -> Callable[[Path], list[float]]:
    """Scores of a song by label, in their order."""
    return lambda path: list(tagger.predict(path).values())


def onnx_scorer(bundle: Bundle, file: Path) -> Callable[[Path], list[float]]:
    """The same by onnxruntime, which is given the same windows."""
    outputs = read_onnx(file)

    def score(path):
        song = Song(path, rate=bundle.sample_rate_hz, sample_rate_hz=None)
        how = {"num_windows": bundle.num_windows, "hop_s": bundle.hop_s}
        starts = cut(song.length, bundle.models[0], **how)
        windows = np.stack(
            [a for _, a in song.windows(starts, bundle.window_samples, bundle.short)]
        )
        return outputs(windows)["scores"].mean(axis=0).tolist()

    return score


if __name__ == "__main__":
    main()
