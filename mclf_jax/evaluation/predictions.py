"""A teacher's predictions of whole songs, computed once: later calls read them from a file."""

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict
from tqdm import tqdm

from mclf_jax import objectives
from mclf_jax.common import parallel
from mclf_jax.common.interrupt import any_process
from mclf_jax.data.base.source import Source
from mclf_jax.data.views.apply import View
from mclf_jax.data.views.pseudo_labelled import PseudoLabelled, pseudo_labelled
from mclf_jax.evaluation.evaluate import make_scorer, song_windows
from mclf_jax.evaluation.teacher import Teacher, open_teacher
from mclf_jax.run.experiment import Experiment

_SPLIT = "asked"
_DISABLE_BAR = {"auto": None, "on": False, "off": True}  # of tqdm; None asks the terminal


@dataclasses.dataclass(frozen=True)
class TeacherPredictions:
    """What a teacher says of songs, as `mclf evaluate` of its run would score them.

    Attributes:
        indices: int64 [N], of the songs in the source, ascending.
        probabilities: float32 [N, K], means over the windows of each song.
        failed: int64 [M], songs that could not be read; they are in none of the above.
    """

    indices: np.ndarray
    probabilities: np.ndarray
    failed: np.ndarray


def pseudo_labelled_items(
    config: ConfigDict,
    source: Source,
    indices: np.ndarray,
    *,
    open_source: Callable[[int], Source],
    task: str,
    label_names: tuple[str, ...],
    cache_dir: str | Path | None,
) -> PseudoLabelled:
    """What a student with `objective.args.predictions` "cached" learns from in place of `indices`.

    Args:
        config: of the student; `objective.args`, `eval.batch_size`, `runtime` and `seed` are used.
        source: of the unlabelled songs, at the student's sample rate.
        indices: int [N], the unlabelled songs.
        open_source: a sample rate in Hz -> the same data set at it; called if the teacher has
            another one than the student.
        task: that the student learns.
        label_names: of the student.
        cache_dir: of the file, see `predict`; None: nothing is written or read.

    Returns:
        A view of `source` whose labels are float32 [K] predictions, and which songs to draw; see
        `data.pseudo_labelled`. Songs that cannot be read are left out, and a note says how many.

    Raises:
        FileNotFoundError: there is no such teacher.
        ValueError: the teacher is not one for this student, or no prediction is confident enough.
    """
    arguments = objectives.arguments_of(config.objective.name) | dict(config.objective.args)
    teacher = open_teacher(arguments["teacher"], task=task, label_names=label_names)
    rate = teacher.model.features.sample_rate_hz
    heard = source
    if rate != source.info.sample_rate_hz:
        heard = open_source(rate)
        _check_same_items(source, heard, indices)
    found = predict(teacher, heard, indices, config=config, cache_dir=cache_dir)
    if len(found.failed):
        note = f"unlabelled songs that cannot be read and are left out: {len(found.failed)}"
        info = dataclasses.replace(source.info, notes=(*source.info.notes, note))
        source = View(base=source, info=info)
    return pseudo_labelled(
        source,
        found.indices,
        found.probabilities,
        task=task,
        label_names=label_names,
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

    The teacher hears a song as in its own evaluation: its windows, their number, what is done with
    short songs. The file is named after the fingerprints of teacher and data and after the songs;
    for others, or if it is damaged, all is computed anew. All processes of a run must
    call this; they share the work, and the first one writes.

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
    found = None if path is None else _read(path, identity)
    # Computed by all processes or by none, since they work together.
    if any_process(found is None):
        found = _compute(teacher, source, indices, config=config)
        if path is not None and jax.process_index() == 0:
            try:
                _write(path, identity, found)
            except OSError as error:
                warnings.warn(
                    f"{path}: {error}; the teacher's predictions are not kept, and will be "
                    "computed again by the next run that wants them",
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
    parts = Experiment(settings, _unlabelled(source, teacher, indices), teacher.model)
    mesh = parallel.make_mesh(config.runtime.num_devices)
    variables = jax.device_put(teacher.variables, parallel.replicated(mesh))
    num_windows = len(song_windows(parts, indices))
    with _progress(math.ceil(num_windows / jax.process_count()), config) as tick:
        watched = _Watched(parts.source, parts.source.info, on_read=tick)
        watching = dataclasses.replace(parts, source=watched)
        scores = make_scorer(watching, mesh=mesh)(_SPLIT, variables)
    bad = ~np.isfinite(scores.scores).all(axis=1)
    if bad.any():
        raise ValueError(
            f"objective.args.teacher: {bad.sum()} of {len(bad)} of its predictions are not finite, "
            f"such as of {source.item_id(int(scores.indices[bad][0]))}; its training has broken "
            "down, or this audio does not suit its features"
        )
    return TeacherPredictions(
        indices=scores.indices.astype(np.int64),
        probabilities=scores.scores.astype(np.float32),
        failed=np.array(scores.failed, np.int64),
    )


def _unlabelled(source: Source, teacher: Teacher, indices: np.ndarray) -> View:
    """The songs as one split, with labels of the teacher's kind of which none is known."""
    if teacher.task == "single_label":
        labels = np.zeros(len(source), np.int32)
    else:
        labels = np.full((len(source), len(teacher.labels)), np.nan, np.float32)
    info = dataclasses.replace(
        source.info, task=teacher.task, labels=teacher.labels, splits={_SPLIT: indices}
    )
    return View(base=source, info=info, labels=labels)


@dataclasses.dataclass(frozen=True)
class _Watched(View):
    """A view that says when a window of it is read."""

    on_read: Callable[[], Any] = lambda: None

    def read(self, index: int, *, start_sample: int, num_samples: int) -> np.ndarray:
        self.on_read()
        return super().read(index, start_sample=start_sample, num_samples=num_samples)


@contextlib.contextmanager
def _progress(total: int, config: ConfigDict) -> Iterator[Callable[[], Any]]:
    """A bar with the time that is left, on the screen of the first process."""
    disable = True if jax.process_index() else _DISABLE_BAR[config.runtime.progress]
    with tqdm(
        total=total,
        desc="teacher's predictions",
        unit="window",
        dynamic_ncols=True,
        leave=False,
        disable=disable,
    ) as bar:
        yield bar.update


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


def _read(path: Path, identity: dict[str, Any]) -> TeacherPredictions | None:
    try:
        # numpy leaves a file open that turns out to be damaged.
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            if str(file["identity"]) != _text(identity):
                return None
            found = TeacherPredictions(file["indices"], file["probabilities"], file["failed"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return found


def _write(path: Path, identity: dict[str, Any], found: TeacherPredictions) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        np.savez(file, identity=_text(identity), **dataclasses.asdict(found))
    temporary.replace(path)


def _text(identity: dict[str, Any]) -> str:
    return json.dumps(identity, sort_keys=True)
