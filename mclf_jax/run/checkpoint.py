"""Orbax behind a few functions: the latest state to go on from, the best weights to use.

`checkpoints/latest` holds whole training states and the progress of the run, written in
the background; `checkpoints/best` holds the variables that evaluation loads. The position
in the data is the step, so nothing else is needed to continue exactly.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

PyTree = Any


@dataclasses.dataclass(frozen=True)
class Checkpoints:
    """Handles on the two series of a run; close them with `close`."""

    latest: ocp.CheckpointManager
    best: ocp.CheckpointManager


def open_checkpoints(directory: Path) -> Checkpoints:
    """Open, and create if need be, the checkpoints of a run; half-written ones are cleared."""

    def manager(name, keep):
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, cleanup_tmp_directories=True)
        return ocp.CheckpointManager(Path(directory).absolute() / name, options=options)

    # Two states, so that one is whole at whatever moment the process is killed.
    return Checkpoints(manager("latest", 2), manager("best", 1))


def save(
    checkpoints: Checkpoints,
    step: int,
    *,
    state: PyTree,
    progress: dict[str, Any],
    best_variables: PyTree | None = None,
) -> None:
    """Save the state in the background; and first `best_variables`, if these are the best.

    Args:
        checkpoints: of `open_checkpoints`.
        step: number of steps taken.
        state: a pytree of arrays.
        progress: what the loop must remember, of JSON types.
        best_variables: what evaluation shall load from now on.
    """
    if best_variables is not None:
        # The best so far goes, and a killed run that fell back behind the last state might
        # want it again.
        checkpoints.latest.wait_until_finished()
        # The progress below names this checkpoint, so it must be there first.
        save_best(checkpoints, step, best_variables)
    checkpoints.latest.save(
        step,
        args=ocp.args.Composite(
            state=ocp.args.StandardSave(state), progress=ocp.args.JsonSave(progress)
        ),
    )


def save_best(checkpoints: Checkpoints, step: int, variables: PyTree) -> None:
    """Save what evaluation shall load from now on; it is on disk when this returns."""
    # A killed run may have saved this step's best without its state: write it again.
    if step in checkpoints.best.all_steps():
        checkpoints.best.delete(step)
    checkpoints.best.save(step, args=ocp.args.StandardSave(variables))
    checkpoints.best.wait_until_finished()


def restore_latest(checkpoints: Checkpoints, abstract_state: PyTree) -> dict[str, Any] | None:
    """{"step", "state", "progress"} of the last whole checkpoint, or None without one.

    Args:
        checkpoints: of `open_checkpoints`.
        abstract_state: `jax.ShapeDtypeStruct`s with the shardings that are wanted; the run
            may have been saved on any other number of devices.
    """
    step = checkpoints.latest.latest_step()
    if step is None:
        return None
    restored = checkpoints.latest.restore(
        step,
        args=ocp.args.Composite(
            state=ocp.args.StandardRestore(abstract_state), progress=ocp.args.JsonRestore()
        ),
    )
    return {"step": step, "state": restored["state"], "progress": restored["progress"]}


def best_step(directory: Path) -> int:
    """The step of the best checkpoint below a run's `checkpoints` folder.

    Raises:
        FileNotFoundError: nothing was saved there yet.
    """
    best = Path(directory).absolute() / "best"
    steps = ocp.utils.checkpoint_steps(best) if best.is_dir() else []
    if not steps:
        raise FileNotFoundError(
            f"no checkpoint in {best}: the run has not been evaluated yet; "
            "start its `mclf train` command again"
        )
    return max(steps)


def restore_best(directory: Path, abstract_variables: PyTree) -> dict[str, Any]:
    """{"step", "variables"} of the best checkpoint; arguments and errors as above."""
    step = best_step(directory)
    path = Path(directory).absolute() / "best" / str(step) / "default"
    with ocp.StandardCheckpointer() as checkpointer:
        variables = checkpointer.restore(path, abstract_variables)
    return {"step": step, "variables": variables}


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
