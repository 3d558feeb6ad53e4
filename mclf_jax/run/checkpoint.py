"""Orbax behind a few functions: the latest state to go on from, the best weights to use.

`checkpoints/latest` holds whole training states and the progress of the run, written in
the background; `checkpoints/best` holds the variables that evaluation loads, with their scores.
`Keep` says how many of each. The position in the data is the step, so nothing else is needed to
continue exactly. Each process writes its part of an array, and any number of them, or of devices,
may read it. Each checkpoint has checksums of its files, which are there when it is; `restore`
reads them.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, LatestN

from mclf_jax.common import disk, files
from mclf_jax.common.interrupt import any_process
from mclf_jax.common.text import documents
from mclf_jax.run import checksums

PyTree = Any


def _sealed(handler: ocp.CheckpointHandler) -> ocp.CheckpointHandler:
    """The same handler of orbax; an item gets checksums after its last file, before its name."""
    finalize = handler.finalize

    def finalize_and_seal(directory):
        finalize(directory)
        if jax.process_index() == 0:  # of what all processes wrote
            checksums.seal(Path(directory))

    # Not a class of its own, whose name would be in every checkpoint.
    handler.finalize = finalize_and_seal
    return handler


@dataclasses.dataclass(frozen=True)
class Keep:
    """Which checkpoints stay, the fields `runtime.keep_*`.

    Attributes:
        last: so many of the newest states. Two, so that another is whole where one is damaged.
        every_steps: and for good the first state at or after each multiple of it; None: no others.
        best: weights of so many of the best evaluations.
    """

    last: int = 2
    every_steps: int | None = None
    best: int = 1


@dataclasses.dataclass(frozen=True)
class _FirstAfterMultiples:
    """A policy of orbax: a state stays if a multiple of `steps` lies between it and the one before.

    The same ones whatever was deleted in between, and however evaluations fall.
    """

    steps: int

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        reached = [each.step // self.steps for each in checkpoints]
        return [now > before for before, now in zip([0, *reached], reached, strict=False)]


@dataclasses.dataclass(frozen=True)
class Checkpoints:
    """Handles on the two series of a run; close them with `close`.

    Attributes:
        latest, best: of orbax.
        num_best: how many are in `best`, at most.
        before_save: called before anything is changed.
        after_save: called with the folder that will hold a state once it is whole.
    """

    latest: ocp.CheckpointManager
    best: ocp.CheckpointManager
    num_best: int
    before_save: Callable[[], None]
    after_save: Callable[[Path], None]


def open_checkpoints(
    directory: Path,
    *,
    keep: Keep | None = None,
    before_save: Callable[[], None] = lambda: None,
    after_save: Callable[[Path], None] = lambda folder: None,
) -> Checkpoints:
    """Open, and create if need be, the checkpoints of a run; half-written ones are cleared.

    Args:
        directory: a run's `checkpoints` folder.
        keep: how many; the default when not given.
        before_save, after_save: see `Checkpoints`.
    """
    keep = keep or Keep()

    def manager(name, policy, handlers):
        options = ocp.CheckpointManagerOptions(
            cleanup_tmp_directories=True, preservation_policy=policy
        )
        path = Path(directory).absolute() / name
        sealed = {item: _sealed(handler) for item, handler in handlers.items()}
        return ocp.CheckpointManager(path, options=options, item_handlers=sealed)

    arrays, texts = ocp.StandardCheckpointHandler, ocp.JsonCheckpointHandler
    policies: list[Any] = [LatestN(keep.last)]
    if keep.every_steps:
        policies.append(_FirstAfterMultiples(keep.every_steps))
    latest = {"state": arrays(), "progress": texts()}
    return Checkpoints(
        manager("latest", AnyPreservationPolicy(policies), latest),
        manager("best", LatestN(None), {"default": arrays(), "score": texts()}),
        keep.best,
        before_save,
        after_save,
    )


def save(
    checkpoints: Checkpoints,
    step: int,
    *,
    state: PyTree,
    progress: dict[str, Any],
    best_variables: PyTree | None = None,
    score: float | None = None,
) -> None:
    """Save the state in the background; and first `best_variables`, if these are among the best.

    Args:
        checkpoints: of `open_checkpoints`.
        step: number of steps taken.
        state: a pytree of arrays.
        progress: what the loop must remember, of JSON types.
        best_variables: what evaluation may load from now on.
        score: of them, see `save_best`.

    Raises:
        DiskError: the checkpoints of the run were removed.
        OSError: they cannot be written.
    """
    for manager in (checkpoints.latest, checkpoints.best):
        disk.check_there(manager.directory)
    # A process that is killed while one is written falls back to an earlier one, whose evaluation
    # will want its best again. And whoever waits in `before_save` for one that failed waits long.
    checkpoints.latest.wait_until_finished()
    checkpoints.before_save()
    if best_variables is not None:
        # The progress below names this checkpoint, so it must be there first.
        save_best(checkpoints, step, best_variables, score=score)
    checkpoints.latest.save(
        step,
        args=ocp.args.Composite(
            state=ocp.args.StandardSave(state), progress=ocp.args.JsonSave(progress)
        ),
    )
    checkpoints.after_save(Path(checkpoints.latest.directory) / str(step))


def save_best(
    checkpoints: Checkpoints, step: int, variables: PyTree, *, score: float | None = None
) -> None:
    """Save what evaluation may load from now on; it is on disk when this returns.

    Args:
        checkpoints: of `open_checkpoints`.
        step: number of steps taken.
        variables: of the model.
        score: the more, the better they are; the step when not given, so that the newest are best.
    """
    # A killed run may have saved this step's best without its state: write it again. Later ones
    # are of a run that fell back further, and orbax writes none before them.
    for other in checkpoints.best.all_steps():
        if other >= step:
            checkpoints.best.delete(other)
    score = float(step if score is None else score)
    checkpoints.best.save(
        step,
        args=ocp.args.Composite(
            default=ocp.args.StandardSave(variables), score=ocp.args.JsonSave({"score": score})
        ),
    )
    checkpoints.best.wait_until_finished()
    kept = {int(path.name) for path in best_first(_folder(checkpoints))[: checkpoints.num_best]}
    for other in checkpoints.best.all_steps():
        if _first_says(other not in kept):
            checkpoints.best.delete(other)


def is_among_best(checkpoints: Checkpoints, step: int, *, score: float | None) -> bool:
    """Whether weights would stay, beside better ones, if `save_best` saved them."""
    score = step if score is None else score
    # Those of later steps are of a run that fell back, and will be gone.
    there = best_first(_folder(checkpoints))
    as_good = [path for path in there if int(path.name) < step and _score(path) >= score]
    return _first_says(len(as_good) < checkpoints.num_best)


def note_score(checkpoints: Checkpoints, step: int, *, score: float) -> None:
    """Give their score to weights of an earlier version, which has none beside them.

    Without one they would give way to any others.
    """
    path = _folder(checkpoints) / str(step)
    if jax.process_index() == 0 and path.is_dir() and not (path / "score").exists():
        (path / "score").mkdir()
        files.write_json(path / "score" / "metadata", {"score": float(score)})


def _folder(checkpoints: Checkpoints) -> Path:
    return Path(checkpoints.best.directory)


def _first_says(answer: bool) -> bool:
    """What the first process finds, since others may look at a disk when it has changed."""
    return any_process(answer and jax.process_index() == 0)


def best_first(folder: Path) -> list[Path]:
    """The weights in `checkpoints/best`, whole or not.

    Of equal ones the first are the best; those of earlier versions, without a score, come last.
    """
    scores = {path: _score(path) for path in folder.iterdir() if path.name.isdecimal()}

    def rank(path):
        known = scores[path] > -math.inf
        return -scores[path], int(path.name) if known else -int(path.name)

    return sorted(scores, key=rank)


def _score(path: Path) -> float:
    """Of the weights of a checkpoint; minus infinity where it is not known."""
    try:
        return documents.read(path / "score" / "metadata", {"score": float})["score"]
    except (ValueError, OSError):
        return -math.inf


def close(checkpoints: Checkpoints) -> None:
    """Wait for what is being written; errors of the background thread surface here."""
    try:
        checkpoints.latest.close()
    finally:
        checkpoints.best.close()


def abstract_like(tree: PyTree, shardings: PyTree) -> PyTree:
    """Shapes and dtypes of `tree` with where each array shall live."""
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        tree,
        shardings,
    )
