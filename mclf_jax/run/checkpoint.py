"""Orbax behind a few functions: the latest state to go on from, the best weights to use.

`checkpoints/latest` holds whole training states and the progress of the run, written in
the background; `checkpoints/best` holds the variables that evaluation loads. The position
in the data is the step, so nothing else is needed to continue exactly. Each checkpoint has
checksums of its files, which are there when it is; `restore` reads them.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from mclf_jax.common import disk
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
class Checkpoints:
    """Handles on the two series of a run; close them with `close`."""

    latest: ocp.CheckpointManager
    best: ocp.CheckpointManager


def open_checkpoints(directory: Path) -> Checkpoints:
    """Open, and create if need be, the checkpoints of a run; half-written ones are cleared."""

    def manager(name, keep, handlers):
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, cleanup_tmp_directories=True)
        path = Path(directory).absolute() / name
        return ocp.CheckpointManager(path, options=options, item_handlers=handlers)

    # Two states, so that one is whole at whatever moment the process is killed.
    return Checkpoints(
        manager(
            "latest",
            2,
            {
                "state": _sealed(ocp.StandardCheckpointHandler()),
                "progress": _sealed(ocp.JsonCheckpointHandler()),
            },
        ),
        manager("best", 1, _sealed(ocp.StandardCheckpointHandler())),
    )


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

    Raises:
        DiskError: the checkpoints of the run were removed.
        OSError: they cannot be written.
    """
    for manager in (checkpoints.latest, checkpoints.best):
        disk.check_there(manager.directory)
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
    # A killed run may have saved this step's best without its state: write it again. Later ones
    # are of a run that fell back further, and orbax writes none before them.
    for other in checkpoints.best.all_steps():
        if other >= step:
            checkpoints.best.delete(other)
    checkpoints.best.save(step, args=ocp.args.StandardSave(variables))
    checkpoints.best.wait_until_finished()


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
