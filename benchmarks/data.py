"""Songs per second: preparing a data set, and reading windows of it here and in PyTorch.

    python benchmarks/data.py                              # 200 WAV files of 30 s at 22,050 Hz
    python benchmarks/data.py --rate-hz 44100 --channels 2 --workers 0 2 4

Files of generated music are read as random windows of 3 s in shuffled batches, at 22,050 Hz: from
the files and from prepared int16 and FLAC through our grain pipeline, and from the files with
soundfile (and soxr where the rate is another) in a `torch.utils.data.DataLoader`, if PyTorch is
installed, with as many workers. The second table is with log-mel spectrograms computed in the
workers, by the same numpy code on both sides. Rounds go through all candidates in turn, so that
whatever else the machine does hits all of them; figures are medians after a warm-up.
"""

import argparse
import contextlib
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr

from mclf_jax.audio.features import Features, LogMel
from mclf_jax.data.base.source import Source
from mclf_jax.data.catalogue.items import Catalogue, Facts, Item
from mclf_jax.data.pipeline import Input, iterate, training_batches
from mclf_jax.data.prepare.reader import prepared
from mclf_jax.data.prepare.run import prepare
from mclf_jax.data.sources.files import open_catalogue

RATE_HZ = 22050
WINDOW = 3 * RATE_HZ
LOG_MEL = LogMel(sample_rate_hz=RATE_HZ, n_fft=1024, hop_length=512, n_mels=96)
# runtime.num_threads: threads that decode codecs or resample help each other, threads that copy
# prepared samples get in each other's way.
THREADS, THREADS_THAT_COPY, PREFETCH = 2, 1, 8
# The files are gone through several times in an epoch, to be as many as in a real data set: grain
# draws its order from at least 65,536 numbers, so that few songs would take it long to shuffle.
SONGS = 4000


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=30, help="of a file")
    parser.add_argument("--rate-hz", type=int, default=RATE_HZ, help="of the files")
    parser.add_argument("--channels", type=int, default=1, help="of the files")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--batches", type=int, default=100, help="in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        catalogue = make_files(
            Path(folder) / "files",
            count=arguments.files,
            seconds=arguments.seconds,
            rate_hz=arguments.rate_hz,
            channels=arguments.channels,
        )
        print(
            f"{arguments.files} WAV files of {arguments.seconds} s, {arguments.rate_hz} Hz, "
            f"{arguments.channels} channel(s), read at {RATE_HZ} Hz\n"
        )
        sources = time_preparation(catalogue, Path(folder), seconds=arguments.seconds)
        for title, features in (("waveforms", None), ("log-mel", LOG_MEL)):
            time_reading(sources, catalogue, title, features, arguments)


def make_files(folder: Path, *, count: int, seconds: int, rate_hz: int, channels: int) -> Catalogue:
    """Chords with noise, in 16 bits."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    t = np.arange(seconds * rate_hz)[:, None] / rate_hz
    items = []
    for i in range(count):
        hz = 110 * 2 ** (rng.integers(0, 24, (3, 1, channels)) / 12)
        sound = 0.2 * np.sin(2 * np.pi * hz * t).sum(0) + 0.02 * rng.standard_normal(
            (len(t), channels)
        )
        file = folder / f"{i:05d}.wav"
        soundfile.write(file, sound, rate_hz, subtype="PCM_16")
        items.append(Item(item_id=file.name, file=str(file), labels=(f"label {i % 10}",)))
    facts = Facts(name="generated", title="generated songs")
    return Catalogue(facts=facts, task="single_label", items=tuple(items))


def time_preparation(catalogue: Catalogue, folder: Path, *, seconds: int) -> dict[str, Source]:
    """Prepares it in both encodings, and gives a source for each and for the files."""
    sources: dict[str, Source] = {
        "files": open_catalogue(catalogue, sample_rate_hz=RATE_HZ, progress="off")
    }
    print("| prepare | songs/s | times real time | MB |\n|---|---|---|---|")
    for encoding in ("int16", "flac"):
        start = time.perf_counter()
        path = prepare(catalogue, folder / encoding, sample_rate_hz=RATE_HZ, encoding=encoding)
        rate = len(catalogue.items) / (time.perf_counter() - start)
        size = sum(shard.stat().st_size for shard in path.glob("*.array_record-*")) / 1e6
        print(f"| {encoding} | {rate:.0f} | {rate * seconds:.0f} | {size:.0f} |", flush=True)
        sources[encoding] = prepared(path=path, sample_rate_hz=RATE_HZ)
    return sources


def time_reading(
    sources: dict[str, Source],
    catalogue: Catalogue,
    title: str,
    features: Features | None,
    arguments: argparse.Namespace,
) -> None:
    """Prints a table with a row for each number of workers."""
    names = [*sources, *(["PyTorch, files"] if importlib.util.find_spec("torch") else [])]
    print(f"\n| songs/s, {title} | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for workers in arguments.workers:
        copies = {"int16"} | ({"files"} if arguments.rate_hz == RATE_HZ else set())
        openers: dict[str, Callable[[], Iterator]] = {
            name: _ours(
                source,
                features,
                batch_size=arguments.batch_size,
                workers=workers,
                threads=THREADS_THAT_COPY if name in copies and not features else THREADS,
            )
            for name, source in sources.items()
        }
        if len(names) > len(sources):
            files = [item.file for item in catalogue.items]
            openers[names[-1]] = _torch(files, features, arguments, workers)
        rates = measure(openers, arguments)
        reference = rates.get("PyTorch, files", rates["files"])
        cells = [f"{rates[name]:.0f} ({rates[name] / reference:.2f} x)" for name in names]
        print(f"| {workers} workers | {' | '.join(cells)} |", flush=True)


def measure(
    openers: dict[str, Callable[[], Iterator]], arguments: argparse.Namespace
) -> dict[str, float]:
    """Songs per second of each, the median of rounds."""
    found: dict[str, list[float]] = {name: [] for name in openers}
    for _ in range(arguments.rounds):
        for name, open_batches in openers.items():
            batches = open_batches()
            for _ in range(10):  # starting workers and filling buffers
                next(batches)
            start = time.perf_counter()
            for _ in range(arguments.batches):
                next(batches)
            found[name].append(
                arguments.batches * arguments.batch_size / (time.perf_counter() - start)
            )
            with contextlib.suppress(AttributeError):
                batches.close()
    return {name: statistics.median(rates) for name, rates in found.items()}


def _ours(
    source: Source, features: Features | None, *, batch_size: int, workers: int, threads: int
) -> Callable[[], Iterator]:
    def open_batches() -> Iterator:
        batches = training_batches(
            source,
            np.tile(np.arange(len(source)), -(-SONGS // len(source))),
            inputs=Input(num_samples=WINDOW, short="pad", features=features),
            batch_size=batch_size,
            seed=0,
        )
        return iterate(batches, num_threads=threads, prefetch=PREFETCH, num_workers=workers)

    return open_batches


class Windows:
    """A map-style data set of PyTorch: random windows of files, by soundfile."""

    def __init__(
        self,
        files: Sequence[str],
        features: Features | None,
        *,
        rate_hz: int = RATE_HZ,
        num_samples: int = WINDOW,
    ):
        self.files, self.features = files, features
        self.rate_hz, self.num_samples = rate_hz, num_samples

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        with soundfile.SoundFile(self.files[index]) as file:
            length = -(-self.num_samples * file.samplerate // self.rate_hz)
            file.seek(np.random.randint(0, file.frames - length + 1))
            audio = file.read(length, dtype="float32", always_2d=True).mean(axis=1)
            if file.samplerate != self.rate_hz:
                audio = soxr.resample(audio, file.samplerate, self.rate_hz)[: self.num_samples]
        return (audio if self.features is None else self.features(audio)), index


def _torch(
    files: Sequence[str],
    features: Features | None,
    arguments: argparse.Namespace,
    workers: int,
) -> Callable[[], Iterator]:
    from torch.utils.data import DataLoader, RandomSampler

    windows = Windows(files, features)
    drawn = (arguments.batches + 20) * arguments.batch_size

    def open_batches() -> Iterator:
        sampler = RandomSampler(windows, replacement=True, num_samples=drawn)
        return iter(
            DataLoader(
                windows, batch_size=arguments.batch_size, sampler=sampler, num_workers=workers
            )
        )

    return open_batches


if __name__ == "__main__":
    main()
