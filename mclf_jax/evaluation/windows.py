"""The one engine of all that listens: windows of songs, a network, means over the songs.

Batches of windows come from a data set (`song_rows`) or from files and arrays (`pack`), go through
a step that is compiled once (`make_step`), and what comes back is a row for each window that could
be read. W windows, N songs, K labels, D embedding.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.sharding import Mesh

from mclf_jax.common import checks, parallel
from mclf_jax.common import progress as progress_lib
from mclf_jax.data.base.windows import window_starts
from mclf_jax.losses.paths import Tree
from mclf_jax.models import Model
from mclf_jax.models.hidden import outputs_with_hidden
from mclf_jax.objectives.supervised import task_loss, task_scores

if TYPE_CHECKING:  # of data sets: who listens to a song has none
    from mclf_jax.run.experiment import Experiment

NOT_FINITE = (
    "what the network makes of it is not finite: the weights are, or this audio is, beyond what it "
    "can compute with"
)
"""The reason to give no scores or embedding of a song, where NaN or infinity came out."""

PyTree = Any
Rows = dict[str, np.ndarray]
Unit = tuple[tuple[float, float], ...]
Step = Callable[[PyTree, Mapping[str, Any]], dict[str, jax.Array]]


@functools.lru_cache(maxsize=4)
def make_step(
    model: Model,
    *,
    outputs: tuple[str, ...],
    task: str = "multi_label",
    distance: str = "squared_error",
    hidden: tuple[str, ...] = (),
    tree: Tree = (),
    unit: Unit = (),
    mesh: Mesh | None = None,
) -> Step:
    """(variables, batch) -> rows of a batch, jitted, in evaluation mode, which changes no variable.

    What is asked for again, of trained and untrained weights, is compiled once.

    Args:
        model: the network.
        outputs: of "scores" [B, K], "loss" [B] (of batches with "label") and "embedding" [B, D].
        task: one of `data.base.source.TASKS`, of scores and loss.
        distance: of the loss of numbers, see `task_loss`.
        hidden: layers that make the embedding, see `models.hidden`; none for the network's own.
        tree: of labels that are scored along their paths, see `losses.paths`.
        unit: of numbers, in which scores are; see `Info.unit`.
        mesh: every process gets the rows of all; None: of one device.

    Returns:
        A function whose result has "row", "index" and "valid" [B] of the batch too, by which
        windows find their way back to songs.
    """

    def step(variables, batch):
        found = outputs_with_hidden(model, variables, model.inputs(batch), hidden=hidden)
        rows = {name: batch[name] for name in ("row", "index", "valid")}
        if "scores" in outputs:
            rows["scores"] = in_unit(task_scores(task, found["logits"], tree=tree), unit)
        if "loss" in outputs:
            how = {"distance": distance, "tree": tree}
            rows["loss"] = task_loss(task, found["logits"], batch["label"], **how)
        if "embedding" in outputs:
            rows["embedding"] = found["embedding"].astype("float32")
        return rows

    return jax.jit(step, out_shardings=None if mesh is None else parallel.replicated(mesh))


def in_unit(scores: jax.Array, unit: Unit) -> jax.Array:
    """Numbers [B, K] that networks say as the data have them, by `Info.unit`, within a program."""
    if not unit:
        return scores
    scale, offset = np.array(unit, np.float32).T
    return scores * scale + offset


def rows_of(
    step: Step, variables: PyTree, batches: Iterable[Mapping[str, Any]], *, mesh: Mesh | None = None
) -> Iterator[Rows]:
    """Rows of the valid windows of each batch, on the host, in the order of the windows.

    One batch is held at a time, and what it lies in may be written to again when the next one is
    asked for.
    """
    for batch in batches:
        batch = {name: values for name, values in batch.items() if name != "failed"}
        placed = batch if mesh is None else parallel.put_batch(batch, mesh)
        found = jax.device_get(step(variables, placed))
        order = np.argsort(found["row"])  # the rows of processes take turns
        good = order[found.pop("valid")[order] > 0]
        yield {name: values[good] for name, values in found.items()}


def song_batches(
    parts: Experiment,
    songs: np.ndarray,
    variables: PyTree,
    *,
    step: Step,
    mesh: Mesh,
    title: str = "",
    progress: str = "auto",
) -> Iterator[Rows]:
    """Rows of the windows of songs of a data set, cut as `eval` says; "index" is the song's.

    A batch of them at a time: scores of thousands of labels of all windows may not fit in memory.

    All processes of a run must call it; they share the work, and each gets all rows.

    Args:
        parts: data set, network and config; `eval`, `data.short` and `runtime` are used.
        songs: int [N], indices in the source.
        variables: of the network.
        step: of `make_step`.
        mesh: over which a batch of `eval.batch_size` is split.
        title: of the progress bar; none without it.
        progress: see `common.progress`; on other processes than the first there is no bar.
    """
    from mclf_jax.data import pipeline

    batch_size = parts.config.eval.batch_size
    parallel.check_batch_size(batch_size, mesh, field="eval.batch_size")
    batches = pipeline.evaluation_batches(
        parts.source,
        song_windows(parts, songs),
        inputs=parts.inputs,
        batch_size=batch_size,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    shown = progress if title and jax.process_index() == 0 else "off"
    with (
        contextlib.closing(parts.iterate(batches)) as stream,
        progress_lib.bar(total=len(batches), title=title, unit="batch", progress=shown) as bar,
    ):
        for rows in rows_of(step, variables, stream, mesh=mesh):
            bar.update()
            yield rows


def song_rows(parts: Experiment, songs: np.ndarray, variables: PyTree, **how: Any) -> Rows:
    """Those of all windows at once; arguments as of `song_batches`."""
    found = list(song_batches(parts, songs, variables, **how))
    return {name: np.concatenate([rows[name] for rows in found]) for name in found[0]}


def song_windows(parts: Experiment, songs: np.ndarray) -> np.ndarray:
    """int64 [W, 2]: (song, first sample) of every window of the songs, as `eval` asks."""
    config = parts.config.eval
    how = {"num_windows": config.num_windows, "hop_s": config.hop_s}
    windows = []
    for index in songs:
        starts = cut(parts.source.num_samples(int(index)), parts.model, **how)
        windows += [(index, start) for start in starts]
    return np.array(windows, np.int64)


def cut(num_samples: int, model: Model, *, num_windows: int, hop_s: float | None) -> np.ndarray:
    """First samples of the windows of a song: so many, evenly spaced, or one every `hop_s`."""
    hop = None if hop_s is None else max(1.0, hop_s * model.features.sample_rate_hz)
    return window_starts(num_samples, window=model.window_samples, num_windows=num_windows, hop=hop)


def check_cut(*, num_windows: int | None, hop_s: float | None) -> None:
    """Raise a ValueError if both are asked for, or one of them cannot be."""
    if num_windows is not None and hop_s is not None:
        raise ValueError(
            f"got num_windows={num_windows} and hop_s={hop_s}: a song is cut into a number of "
            "windows or into one every so many seconds; leave one of them out"
        )
    checks.positive("hop_s", hop_s, unit="seconds")
    checks.at_least("num_windows", 1 if num_windows is None else num_windows, 1)


def pack(windows: Iterable[tuple[int, np.ndarray]], *, batch_size: int) -> Iterator[dict[str, Any]]:
    """Batches for `rows_of` of (index, audio [T]), of few shapes, so that little is compiled.

    A few windows make a smaller batch, unless that were one more shape than there has been. The
    arrays are the same in each batch.
    """
    audio, index = None, np.zeros(batch_size, np.int32)
    filled, size = 0, 1

    def batch(size):
        places = np.arange(batch_size)[:size]
        valid = (places < filled).astype(np.float32)
        return {"audio": audio[:size], "index": index[:size], "row": places, "valid": valid}

    for number, window in windows:
        if audio is None:
            audio = np.zeros((batch_size, len(window)), np.float32)
        audio[filled], index[filled] = window, number
        filled += 1
        if filled == batch_size:
            yield batch(batch_size)
            filled, size = 0, batch_size
    while size < filled:
        size *= 2
    if filled:
        yield batch(size)


def average(batches: Iterable[Rows], name: str, *, num_songs: int) -> dict[str, np.ndarray]:
    """Means over the windows of each song.

    Args:
        batches: rows, of which "index" is 0 to N - 1; no more than one batch is held.
        name: of the values, [W, ...].
        num_songs: N.

    Returns:
        {"means": float64 [N, ...], NaN of songs without a window, "counts": int [N] of windows}.
    """
    sums, counts = None, np.zeros(num_songs, np.int64)
    for rows in batches:
        values = rows[name].astype(np.float64)
        if sums is None:
            sums = np.zeros((num_songs, *values.shape[1:]))
        np.add.at(sums, rows["index"], values)
        counts += np.bincount(rows["index"], minlength=num_songs)
    sums = np.zeros((num_songs, 0)) if sums is None else sums
    with np.errstate(invalid="ignore"):
        return {"means": np.divide(sums, counts[:, None], out=sums), "counts": counts}
