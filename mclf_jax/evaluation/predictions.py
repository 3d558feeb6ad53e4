"""A teacher's predictions of whole songs, computed once: later calls read them from a file."""

import dataclasses
import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from mclf_jax import objectives
from mclf_jax.common import files, parallel
from mclf_jax.common.interrupt import any_process
from mclf_jax.data.base.source import Source
from mclf_jax.data.views.base import View
from mclf_jax.data.views.pseudo_labelled import PseudoLabelled, pseudo_labelled
from mclf_jax.evaluation.aggregation import song_scores
from mclf_jax.evaluation.teacher import Teacher
from mclf_jax.evaluation.windows import make_step, song_batches
from mclf_jax.run.experiment import Experiment


@dataclasses.dataclass(frozen=True)
class TeacherPredictions:
    """What a teacher says of songs, as `mclf evaluate` of its run would score them.

    Attributes:
        indices: int64 [N], of the songs in the source, ascending.
        probabilities: float32 [N, K], of the windows of each song as its run puts them together.
        failed: int64 [M], songs that could not be read; they are in none of the above.
    """

    indices: np.ndarray
    probabilities: np.ndarray
    failed: np.ndarray


def pseudo_label(
    teacher: Teacher,
    source: Source,
    indices: np.ndarray,
    *,
    config: ConfigDict,
    open_source: Callable[[int], Source],
    cache_dir: str | Path | None,
) -> PseudoLabelled:
    """What a student with `objective.args.predictions` "cached" learns from in place of `indices`.

    Args:
        teacher: of the student, with the student's task and labels.
        source: of the unlabelled songs, at the student's sample rate.
        indices: int [N], the unlabelled songs.
        config: of the student; `objective.args`, `eval.batch_size`, `runtime` and `seed` are used.
        open_source: a sample rate in Hz -> the same data set at it; called if the teacher has
            another one than the student.
        cache_dir: of the file, see `predict`; None: nothing is written or read.

    Returns:
        A view of `source` whose labels are float32 [K] predictions, and which songs to draw; see
        `data.views.pseudo_labelled`. Songs that cannot be read are skipped, and a note says how
        many.

    Raises:
        ValueError: the teacher's data set has other songs, or no prediction is confident enough.
    """
    arguments = objectives.arguments_of(config.objective.name) | dict(config.objective.args)
    rate = teacher.model.features.sample_rate_hz
    heard = source
    if rate != source.info.sample_rate_hz:
        heard = open_source(rate)
        _check_same_items(source, heard, indices)
    found = predict(teacher, heard, indices, config=config, cache_dir=cache_dir)
    if len(found.failed):
        note = f"unlabelled songs that cannot be read and are skipped: {len(found.failed)}"
        info = dataclasses.replace(source.info, notes=(*source.info.notes, note))
        source = View(base=source, info=info)
    return pseudo_labelled(
        source,
        found.indices,
        found.probabilities,
        task=teacher.task,
        label_names=teacher.labels,
        seed=config.seed,
        **{name: arguments[name] for name in ("targets", "threshold", "per_class")},
    )


def predict(
    teacher: Teacher,
    source: Source,
    indices: np.ndarray,
    *,
    config: ConfigDict,
    cache_dir: str | Path | None,
) -> TeacherPredictions:
    """A teacher's predictions of songs, from the file of an earlier call if that is still right.

    The teacher hears a song as in its own evaluation: its windows, their number, how they make a
    song (`eval.aggregation`), what is done with short songs. The file is named after the
    fingerprints of teacher and data and after the songs; for others, or if it is damaged, all is
    computed anew. All processes of a run must call this; they share the work, and the first one
    writes.

    Args:
        teacher: see there.
        source: of the songs, at the teacher's sample rate.
        indices: int [N], of the songs.
        config: `eval.batch_size` and `runtime` are used.
        cache_dir: where the file is; None: nothing is written or read. If it cannot be written
            there, a warning says so.

    Raises:
        ValueError: not one song can be read, or a prediction is not finite.
    """
    indices = np.unique(np.asarray(indices, np.int64))
    identity = {
        "teacher": teacher.fingerprint,
        "data": source.info.fingerprint,
        "sample_rate_hz": source.info.sample_rate_hz,
        "songs": hashlib.sha256(indices.tobytes()).hexdigest(),
    }
    path = None
    if cache_dir is not None:
        digests = (identity[key][:12] for key in ("teacher", "data", "songs"))
        path = Path(cache_dir) / f"{'-'.join(digests)}.npz"
    kept = None if path is None else files.read_arrays(path, identity)
    if kept is not None and set(kept) != {f.name for f in dataclasses.fields(TeacherPredictions)}:
        kept = None
    # Computed by all processes or by none, since they work together.
    if not any_process(kept is None):
        assert kept is not None
        return TeacherPredictions(**kept)
    found = _compute(teacher, source, indices, config=config)
    if path is not None and jax.process_index() == 0:
        try:
            files.write_arrays(path, identity, **dataclasses.asdict(found))
        except OSError as error:
            warnings.warn(
                f"{path}: {error}; the teacher's predictions are not kept, and will be computed "
                "again by the next run that wants them",
                stacklevel=2,
            )
    return found


def _compute(
    teacher: Teacher, source: Source, indices: np.ndarray, *, config: ConfigDict
) -> TeacherPredictions:
    settings = teacher.config.copy_and_resolve_references()
    settings.features.on = "pipeline"
    settings.eval.batch_size = config.eval.batch_size
    settings.runtime = config.runtime
    mesh = parallel.make_mesh(config.runtime.num_devices)
    batches = song_batches(
        Experiment(settings, source, teacher.model),
        indices,
        jax.device_put(teacher.variables, parallel.replicated(mesh)),
        step=make_step(teacher.model, outputs=("scores",), task=teacher.task, mesh=mesh),
        mesh=mesh,
        title="teacher's predictions",
        progress=config.runtime.progress,
    )
    placed = (rows | {"index": np.searchsorted(indices, rows["index"])} for rows in batches)
    how = {"how": settings.eval.aggregation, "task": teacher.task}
    found = song_scores(placed, num_songs=len(indices), **how)
    readable = found["counts"] > 0
    if not readable.any():
        raise ValueError("not one song of the split could be read")
    probabilities, songs = found["means"][readable], indices[readable]
    bad = ~np.isfinite(probabilities).all(axis=1)
    if bad.any():
        raise ValueError(
            f"objective.args.teacher: {bad.sum()} of {len(bad)} of its predictions are not finite, "
            f"such as of {source.item_id(int(songs[bad][0]))}; its training has broken down, or "
            "this audio does not suit its features"
        )
    return TeacherPredictions(songs, probabilities.astype(np.float32), indices[~readable])


def _check_same_items(source: Source, heard: Source, indices: np.ndarray) -> None:
    """Raise a ValueError if a data set has other items at another sample rate."""
    differing = "" if len(source) == len(heard) else f"{len(source)} items and {len(heard)}"
    for index in () if differing else map(int, indices):
        if source.item_id(index) != heard.item_id(index):
            differing = f"item {index} is {source.item_id(index)} and {heard.item_id(index)}"
            break
    if differing:
        raise ValueError(
            f"{source.info.name} is not the same at {source.info.sample_rate_hz} Hz and at "
            f"{heard.info.sample_rate_hz} Hz, which objective.args.teacher hears: {differing}"
        )
