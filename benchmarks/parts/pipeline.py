"""From files and from prepared data to batches, beside PyTorch's DataLoader with soundfile.

Random windows of 3 s at 22,050 Hz in shuffled batches of 32, of generated songs of 30 s; WAV, FLAC
and MP3 at 44.1 kHz in stereo too, which are resampled by soxr on both sides. Time is of one window.
"""

import argparse
import dataclasses
import importlib.util
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks import data
from benchmarks.frame.rows import wanted
from mclf_jax.data.catalogue.items import Catalogue
from mclf_jax.data.prepare.reader import prepared
from mclf_jax.data.prepare.run import prepare
from mclf_jax.data.sources.files import open_catalogue

_FILES = {
    "WAV": ("wav", 22050, 1),
    "WAV, 44.1 kHz stereo": ("wav", 44100, 2),
    "FLAC, 44.1 kHz stereo": ("flac", 44100, 2),
    "MP3, 44.1 kHz stereo": ("mp3", 44100, 2),
}
_ENCODINGS = ("int16", "flac")
_FROM_FILES, _FROM_PREPARED = 1 / 3, 1 / 5


def add_options(parser: Any) -> None:
    """Of the number of processes."""
    parser.add_argument("--workers", type=int, default=0, help="processes of both sides (0)")


def measure(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each kind of file, and for WAV one for each way of preparing it."""
    small = options.size == "small"
    sizes = argparse.Namespace(
        batch_size=4 if small else 32, batches=2 if small else 60, rounds=options.rounds
    )
    for title, (ending, rate_hz, channels) in _FILES.items():
        prepares = title == "WAV"
        names = [f"from {title}"] + [f"prepared {each}" for each in _ENCODINGS] * prepares
        names = [name for name in names if wanted(name, options.only)]
        if not names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            catalogue = data.make_files(
                Path(folder) / "files",
                count=4 if small else 100,
                seconds=30,
                rate_hz=rate_hz,
                channels=channels,
            )
            catalogue = _as(catalogue, ending)
            sources = {
                f"from {title}": open_catalogue(
                    catalogue, sample_rate_hz=data.RATE_HZ, progress="off"
                )
            }
            for encoding in _ENCODINGS if prepares else ():
                out = Path(folder) / encoding
                path = prepare(
                    catalogue, out, sample_rate_hz=data.RATE_HZ, encoding=encoding, progress="off"
                )
                sources[f"prepared {encoding}"] = prepared(path=path, sample_rate_hz=data.RATE_HZ)
            # Threads that only copy samples get in each other's way.
            copies = {"prepared int16", "from WAV"}
            openers = {
                name: data._ours(
                    sources[name],
                    None,
                    batch_size=sizes.batch_size,
                    workers=options.workers,
                    threads=data.THREADS_THAT_COPY if name in copies else data.THREADS,
                )
                for name in names
            }
            if importlib.util.find_spec("torch"):
                files = [item.file for item in catalogue.items]
                openers["theirs"] = data._torch(files, None, sizes, options.workers)
            rates = data.measure(openers, sizes)
        for name in names:
            row = {"name": name, "ours_s": 1 / rates[name]}
            if "theirs" in rates:
                row |= {"theirs_s": 1 / rates["theirs"], "peer": "DataLoader, soundfile, soxr"}
                row |= {"goal": _FROM_FILES if name.startswith("from") else _FROM_PREPARED}
            yield row


def _as(catalogue: Catalogue, ending: str) -> Catalogue:
    """The same songs in files of another kind."""
    if ending == "wav":
        return catalogue
    items = []
    for item in catalogue.items:
        samples, rate_hz = soundfile.read(item.file, dtype="float32")
        file = str(Path(item.file).with_suffix(f".{ending}"))
        soundfile.write(file, np.asarray(samples), rate_hz)
        items.append(dataclasses.replace(item, item_id=Path(file).name, file=file))
    return dataclasses.replace(catalogue, items=tuple(items))
