"""One epoch of training from files to updated parameters, beside PyTorch with a DataLoader.

96 WAV files of 30 s at 22,050 Hz, a random window of each in shuffled batches of 8, resampled by
soxr, no further processes. Ours is `mclf_jax.train` with a config, its log and its progress; theirs
the straightforward loop over the network of `networks`. Epochs after the first, in which programs
are compiled and buffers filled; one side after the other, as a run is not to be interrupted.
"""

import argparse
import csv
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import numpy as np

from benchmarks import data
from benchmarks.frame.report import Row
from benchmarks.frame.rows import wanted
from benchmarks.parts.networks import batch_of, their_calls
from mclf_jax import models
from mclf_jax.config import base
from mclf_jax.models import Model
from mclf_jax.train import train

NAMES = ("musicnn", "short_chunk_cnn", "sample_cnn")
_LABELS = 10


def measure(options: argparse.Namespace) -> Iterator[Row]:
    """A row for each network."""
    small = options.size == "small"
    songs, batch_size = (4, 2) if small else (96, 8)
    for name in ("tutorial_cnn",) if small else NAMES:
        if not wanted(name, options.only):
            continue
        with tempfile.TemporaryDirectory() as folder:
            files = _songs(Path(folder), count=songs)
            epochs = 1 + options.rounds
            ours = _ours(name, Path(folder), batch_size=batch_size, songs=songs, epochs=epochs)
            row: Row = {"name": name, "ours_s": statistics.median(ours), "goal": 1.0}
            model = models.build(name, num_labels=_LABELS)
            if theirs := _theirs(model, files, batch_size=batch_size, epochs=epochs):
                row |= {"theirs_s": statistics.median(theirs), "peer": "PyTorch, DataLoader"}
        yield row


def _songs(folder: Path, *, count: int) -> list[str]:
    """Files of generated music to train on; they and two more, which nobody trains on, are listed
    with tags as users list theirs."""
    catalogue = data.make_files(
        folder / "songs", count=count + 2, seconds=30, rate_hz=data.RATE_HZ, channels=1
    )
    with (folder / "songs" / "manifest.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "labels", "split"])
        for number, item in enumerate(catalogue.items):
            split = ("train", "valid", "test")[max(0, number - count + 1)]
            rows.writerow([item.item_id, f"tag {number % min(_LABELS, count)}", split])
    return [item.file for item in catalogue.items[:count]]


class _Clock:
    """When each step was there, of the callbacks of `train`."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def after_step(self, step, state, metrics) -> None:
        # Of the step before, which the loop has waited for.
        self.times.append(time.perf_counter())


def _ours(name: str, folder: Path, *, batch_size: int, songs: int, epochs: int) -> list[float]:
    """Seconds of each epoch but the first."""
    config, steps = base(), songs // batch_size
    config.data.name = "folder"
    with config.data.unlocked():
        config.data.args = {"path": str(folder / "songs")}
    config.model.name = name
    config.train.update({"batch_size": batch_size, "num_steps": steps * epochs})
    config.eval.every_steps = steps * epochs
    config.runtime.progress = "off"
    clock = _Clock()
    train(config, workdir=folder / "run", callbacks=[clock])
    return list(np.diff(clock.times[steps - 1 :: steps]))


def _theirs(model: Model, files: Sequence[str], *, batch_size: int, epochs: int) -> list[float]:
    """The same of a loop in PyTorch; nothing without it."""
    variables = jax.device_get(model.init(jax.random.key(0)))
    batch = batch_of(model, batch_size)
    batch["label"] = batch["label"][:, :_LABELS]
    calls = their_calls(model, variables, batch, ["training"], compiled=False)
    if not calls:
        return []
    import torch
    from torch.utils.data import DataLoader

    rate_hz = model.features.sample_rate_hz
    windows = data.Windows(files, None, rate_hz=rate_hz, num_samples=model.window_samples)
    loader = DataLoader(windows, batch_size=batch_size, shuffle=True)
    labels, found = torch.eye(_LABELS), []
    for _ in range(epochs):
        start = time.perf_counter()
        for audio, index in loader:
            calls["training"]["call"](audio, labels[index % _LABELS])
        found.append(time.perf_counter() - start)
    return found[1:]
