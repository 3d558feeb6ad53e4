"""From songs to batches with grain: data position = step, the same for any number of workers.

The training chain is one `MapDataset`, so any batch can be asked for by its number and a
run is resumed by `dataset[step:]`. It is numpy only: workers never touch a device.
"""

import contextlib
import dataclasses
import itertools
import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import grain
import numpy as np
from threadpoolctl import threadpool_limits

from mclf_jax.audio.decode import AudioError
from mclf_jax.audio.features import Features
from mclf_jax.augment.compose import Augmentation
from mclf_jax.common import interrupt
from mclf_jax.common.machine import stopwatch
from mclf_jax.data import sampling
from mclf_jax.data.base.source import Source
from mclf_jax.data.base.windows import fit_length
from mclf_jax.data.splits.grouped import number_groups
from mclf_jax.data.words import Words

Batch = dict[str, Any]
STAGES = ("read", "resample", "augment", "features", "batch")
"""What a batch goes through here, in their order; `timed` says how long each took."""


@dataclasses.dataclass(frozen=True)
class Input:
    """What an example must look like for a model.

    Attributes:
        num_samples: T of a window.
        short: what to do with clips that are shorter, "tile" or "pad".
        features: computed here if given; None leaves the "audio" to the device.
        num_views: V, random windows of a song in a training example. With more than one, "audio"
            is [V, T] and "features" [V, ...], and "start" [V] the first sample of each.
        view_span: the windows lie in a stretch of so many samples; None: anywhere in the song.
        words: what is said of the songs; with it an example has "words" [E] and "words_id", and is
            not valid where nothing is said. In training some of it is left out, by chance.
    """

    num_samples: int
    short: str
    features: Features | None
    num_views: int = 1
    view_span: int | None = None
    words: Words | None = None


def training_batches(
    source: Source,
    indices: np.ndarray,
    *,
    inputs: Input,
    batch_size: int,
    seed: int,
    augment: Augmentation | None = None,
    weights: np.ndarray | None = None,
    process_index: int = 0,
    process_count: int = 1,
) -> grain.MapDataset:
    """An endless dataset of batches; element `step` is the batch of that training step.

    Each epoch visits every song once, in a new order, at a new random window. Processes
    get disjoint rows of the same global batches. Rows whose audio could not be read hold
    the next readable song instead, and say so in "failed".

    Args:
        source: where the songs come from.
        indices: the songs of the training split.
        inputs: length, padding and features of an example.
        batch_size: over all processes.
        seed: of order, windows and augmentation.
        augment: changes each window [T] before its features are computed, with draws from the
            example's own generator: they depend on seed and step alone.
        weights: of the songs in `indices`, [N], such as from `sampling.weights`: then there are no
            epochs, each row is a song drawn in proportion to its weight.
        process_index, process_count: which rows are wanted here.

    Returns:
        Batches of "features" [b, ...] or "audio" [b, T], "label", "valid", "index" and "group"
        [b], the numbers of song and group, and "failed" [b]: the song that could not be read, or
        -1; b = batch_size / process_count.
    """
    if batch_size % process_count:
        raise ValueError(
            f"train.batch_size is {batch_size}; it must be a multiple of the "
            f"{process_count} processes"
        )
    groups, shares = group_numbers(source), None
    if weights is not None:
        indices, shares = sampling.drawable(indices, weights)

    def draw_window(position, rng):
        failed = -1
        if shares is not None:
            position = sampling.draw(shares, rng)
        for attempt in range(len(indices)):
            index = int(indices[(position + attempt) % len(indices)])
            starts = draw_starts(source.num_samples(index), inputs, rng)
            try:
                example = _views(source, index, starts, inputs) | _said(inputs, index, rng)
                return example | {"group": groups[index], "failed": np.int32(failed)}
            except AudioError:
                failed = index if failed < 0 else failed
        raise AudioError(source.item_id(failed), "nor can any other song of the split be read")

    songs = grain.MapDataset.range(len(indices)).seed(seed)
    windows = (songs.shuffle() if shares is None else songs).random_map(draw_window)
    if augment is not None:
        windows = windows.random_map(_Augment(augment))
    return (
        windows.map(_ComputeFeatures(inputs.features))
        .repeat()[process_index::process_count]
        .batch(batch_size // process_count)
    )


def with_unlabelled(labelled: grain.MapDataset, unlabelled: grain.MapDataset) -> grain.MapDataset:
    """Batches of two endless datasets, those of the second one under "unlabelled" in the first's.

    Each goes through its own epochs, and both are where the step says.
    """
    length = min(len(labelled), len(unlabelled))
    both = grain.experimental.ZipMapDataset([labelled[:length], unlabelled[:length]])
    return both.map(_nested)


def validation_batches(
    source: Source,
    indices: np.ndarray,
    *,
    inputs: Input,
    batch_size: int,
    seed: int,
    process_index: int = 0,
    process_count: int = 1,
) -> grain.MapDataset:
    """Every song once, at random windows that the seed decides, in batches of one shape.

    For objectives that need no labels; arguments and batches as of `training_batches`. Rows that
    fill up the last batch, and songs that cannot be read, are not valid.
    """
    rows, groups = -(-len(indices) // batch_size) * batch_size, group_numbers(source)

    def draw_window(row, rng):
        index = int(indices[min(row, len(indices) - 1)])
        starts = draw_starts(source.num_samples(index), inputs, rng)
        read = _read(source, index, starts, inputs, wanted=row < len(indices))
        if said := _said(inputs, index):
            read["valid"] *= np.float32(said["words"].any())
        return read | said | {"group": groups[index], "row": np.int32(row)}

    return (
        grain.MapDataset.range(rows)
        .seed(seed)
        .random_map(draw_window)
        .map(_ComputeFeatures(inputs.features))[process_index::process_count]
        .batch(batch_size // process_count)
    )


def evaluation_batches(
    source: Source,
    windows: Sequence[tuple[int, int]],
    *,
    inputs: Input,
    batch_size: int,
    process_index: int = 0,
    process_count: int = 1,
) -> grain.MapDataset:
    """Every window once, in batches of one shape; missing rows are filled up and not valid.

    Args:
        source: where the songs come from.
        windows: (index of the song, first sample).
        inputs: length, padding and features of an example.
        batch_size: over all processes.
        process_index, process_count: which rows are wanted here.

    Returns:
        Batches as from `training_batches`, with "row" [b], the position in `windows`. A
        window that could not be read is not valid and its song is in "failed".
    """
    rows = -(-len(windows) // batch_size) * batch_size

    def window(row):
        index, start = map(int, windows[min(row, len(windows) - 1)])
        read = _read(source, index, [start], inputs, wanted=row < len(windows))
        return read | {"row": np.int32(row)}

    return (
        grain.MapDataset.range(rows)
        .map(window)
        .map(_ComputeFeatures(inputs.features))[process_index::process_count]
        .batch(batch_size // process_count)
    )


def iterate(
    dataset: grain.MapDataset, *, num_threads: int, prefetch: int, num_workers: int = 0
) -> Iterator[Batch]:
    """Read ahead with threads, in `num_workers` processes if any; the order stays the same.

    A generator; closing it ends threads and processes.
    """
    options = grain.ReadOptions(num_threads=num_threads, prefetch_buffer_size=prefetch)
    batches = dataset.to_iter_dataset(options)
    if num_workers:
        _mark_flags_as_parsed()
        batches = batches.mp_prefetch(
            grain.MultiprocessingOptions(num_workers=num_workers, per_worker_buffer_size=2),
            worker_init_fn=_start_worker,
        )
    with contextlib.ExitStack() as held:
        with interrupt.deaf_children() if num_workers else contextlib.nullcontext():
            batches = held.enter_context(contextlib.closing(iter(batches)))
            first = list(itertools.islice(batches, 1))  # which starts threads and processes
        yield from first
        yield from batches


def group_numbers(source: Source) -> np.ndarray:
    """Of each song, int32 [N]: songs of one group (artist, track) have the same."""
    return number_groups(source.info.groups).astype(np.int32)


def draw_starts(length: int, inputs: Input, rng: np.random.Generator) -> list[int]:
    """First samples of the windows of an example, V of them."""
    if inputs.num_views == 1:
        return [int(rng.integers(0, max(0, length - inputs.num_samples) + 1))]
    span = min(length, inputs.view_span or length)
    first = int(rng.integers(0, length - span + 1))
    last = first + max(0, span - inputs.num_samples)
    return rng.integers(first, last, inputs.num_views, endpoint=True).tolist()


def timed(batches: grain.MapDataset) -> grain.MapDataset:
    """The same batches with "seconds" [5], what their thread spent in each of `STAGES`.

    One thread makes a batch from beginning to end.
    """
    return batches.map(_add_seconds)


def _add_seconds(batch: Batch) -> Batch:
    seconds = stopwatch.take(rest="batch")
    return batch | {"seconds": np.array([seconds.get(stage, 0.0) for stage in STAGES])}


def _nested(both: tuple[Batch, Batch]) -> Batch:
    labelled, unlabelled = both
    return labelled | {"unlabelled": unlabelled}


def _read(
    source: Source, index: int, starts: Sequence[int], inputs: Input, *, wanted: bool
) -> dict[str, np.ndarray]:
    """An example, with its song under "failed" if it cannot be read; not valid if not `wanted`."""
    failed = -1
    if wanted:
        try:
            return _views(source, index, starts, inputs) | {"failed": np.int32(-1)}
        except AudioError:
            failed = index
    views = () if inputs.num_views == 1 else (inputs.num_views,)
    return {
        "audio": np.zeros((*views, inputs.num_samples), np.float32),
        "label": source.targets[index],
        "valid": np.float32(0),
        "index": np.int32(index),
        "failed": np.int32(failed),
    } | ({"start": np.zeros(views, np.int32)} if views else {})


def _said(
    inputs: Input, index: int, rng: np.random.Generator | None = None
) -> dict[str, np.ndarray]:
    return {} if inputs.words is None else inputs.words.of_song(index, rng)


def _views(
    source: Source, index: int, starts: Sequence[int], inputs: Input
) -> dict[str, np.ndarray]:
    if inputs.num_views == 1:
        return _example(source, index, starts[0], inputs)
    read = {start: _example(source, index, start, inputs) for start in set(starts)}
    audio = np.stack([read[start]["audio"] for start in starts])
    return read[starts[0]] | {"audio": audio, "start": np.asarray(starts, np.int32)}


def _example(source: Source, index: int, start: int, inputs: Input) -> dict[str, np.ndarray]:
    with stopwatch.stage("read"):
        audio = source.read(index, start_sample=start, num_samples=inputs.num_samples)
    if not len(audio):
        raise AudioError(source.item_id(index), "ends before its header says")
    return {
        "audio": fit_length(audio, inputs.num_samples, short=inputs.short),
        "label": source.targets[index],
        "valid": np.float32(1),
        "index": np.int32(index),
    }


@dataclasses.dataclass(frozen=True)
class _Augment(grain.transforms.RandomMap):
    """ "audio" [T] is augmented."""

    augmentation: Augmentation

    def random_map(self, example, rng):
        with stopwatch.stage("augment"):
            audio = self.augmentation(rng, example["audio"])
        if audio.shape != example["audio"].shape:
            raise ValueError(
                f"augmentation made {len(audio)} samples of {len(example['audio'])}; a window must "
                f"keep its length: {self.augmentation!r}"
            )
        return example | {"audio": audio}


@dataclasses.dataclass(frozen=True)
class _ComputeFeatures(grain.transforms.Map):
    """ "audio" [T] becomes "features", such as [F, M], unless the device is to do it."""

    settings: Features | None

    def map(self, example):
        if self.settings is None:
            return example
        example = dict(example)
        with stopwatch.stage("features"):
            example["features"] = self.settings(example.pop("audio"))
        return example


def _start_worker(worker_index: int, worker_count: int) -> None:
    # Workers only run numpy: keep them off the accelerator's memory and off each other's cores.
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    threadpool_limits(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for ever."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def _mark_flags_as_parsed() -> None:
    # grain 0.2.17 and 0.2.18 read an absl flag when they start workers and fail outside of
    # `absl.app.run`: in pytest, in notebooks, and in this command line.
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
