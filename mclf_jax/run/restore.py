"""The newest whole state of a run, and its best weights; what is damaged is passed over, and told.

Arrays may have been saved by any number of processes and devices, whole or in parts.
"""

import contextlib
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from mclf_jax.common import disk
from mclf_jax.common.interrupt import any_process
from mclf_jax.common.text import documents
from mclf_jax.run import checksums
from mclf_jax.run import state as state_lib
from mclf_jax.run.checkpoint import best_first

PyTree = Any

_ITEMS = {"best": ("default",), "latest": ("state", "progress")}
# What orbax writes into an item when it has been sealed.
_LATER = ("commit_success.txt",)
# And beside them, about all of them.
_METADATA = "_CHECKPOINT_METADATA"
_METADATA_LIKE = {
    "item_handlers": {str: str},
    "metrics": dict,
    "performance_metrics": dict,
    "init_timestamp_nsecs": (int, None),
    "commit_timestamp_nsecs": (int, None),
    "custom_metadata": dict,
}


class DamageError(ValueError):
    """Of a run nothing, or nothing that is asked for, can be loaded; the message says why."""


def best_step(directory: Path) -> int:
    """The step of the best checkpoint below a run's `checkpoints` folder; if none, of the latest.

    Raises:
        FileNotFoundError: nothing was saved there yet.
    """
    directory = Path(directory).absolute()
    for name in _ITEMS:
        for path in _in_order(directory, name):
            return int(path.name)
    raise FileNotFoundError(
        f"no checkpoint in {directory / 'best'}: the run has not been evaluated yet; "
        "start its `mclf train` command again"
    )


def restore_step(directory: Path, abstract_variables: PyTree, *, step: int) -> dict[str, Any]:
    """{"step", "variables"} of a step that was kept, see `checkpoint.Keep`.

    Raises:
        ValueError: it is not there, and the message says which are; or it is damaged.
    """
    directory = Path(directory).absolute()
    there = {name: {int(path.name): path for path in _in_order(directory, name)} for name in _ITEMS}
    for name, load in _loads(abstract_variables).items():
        if path := there[name].get(step):
            if problem := _damage(path):
                raise DamageError(f"{directory.parent}: {_told({path: problem})}")
            return {"step": step, "variables": load(path)}
    steps = sorted({step for paths in there.values() for step in paths})
    raise ValueError(
        f"{directory.parent} has no checkpoint of step {step}; there are those of steps "
        f"{', '.join(map(str, steps)) or '(none)'}. runtime.keep_last, keep_every_steps and "
        "keep_best say which a run keeps"
    )


def _loads(abstract_variables: PyTree) -> dict[str, Callable[[Path], PyTree]]:
    """How variables are read of a checkpoint, by series."""
    return {
        "best": lambda path: _restore_arrays(path / "default", abstract_variables),
        "latest": lambda path: _restore_part(path / "state", abstract_variables),
    }


def restore_best(directory: Path, abstract_variables: PyTree) -> dict[str, Any]:
    """{"step", "variables"} of the best checkpoint; without one of the latest, with a warning.

    Args:
        directory: a run's `checkpoints` folder.
        abstract_variables: `jax.ShapeDtypeStruct`s with the shardings that are wanted; the run
            may have been saved on any other number of devices.

    Raises:
        FileNotFoundError: nothing was saved there yet.
        DamageError: nothing there is whole.
    """
    directory = Path(directory).absolute()
    best_step(directory)  # raises
    found = _first_whole(directory, _loads(abstract_variables))
    path, damaged = found["path"], found["damaged"]
    if path.parent.name != "best":
        why = _told(damaged) or "there is no best checkpoint"
        _warn(f"{directory.parent}: {why}; {_name(path)} is used, whose weights need not be best")
    return {"step": int(path.name), "variables": found["content"]}


def restore_latest(directory: Path, abstract_state: PyTree) -> dict[str, Any] | None:
    """{"step", "path", "state", "progress"} of the newest whole checkpoint, or None without any.

    Damaged ones are moved aside, with a warning; those of later steps will be written again.

    Args:
        directory: a run's `checkpoints` folder, which nobody has open.
        abstract_state: as above.

    Raises:
        DamageError: there are some, and none is whole.
    """
    directory = Path(directory).absolute()
    if not _in_order(directory, "latest"):
        return None

    def load(path):
        try:
            progress = documents.read(path / "progress" / "metadata", {str: object})
        except (ValueError, OSError) as error:
            raise DamageError(str(error)) from error
        return {"state": _restore_arrays(path / "state", abstract_state), "progress": progress}

    found = _first_whole(directory, {"latest": load})
    path, damaged = found["path"], found["damaged"]
    older = [each for each in _in_order(directory, "latest") if each not in (path, *damaged)]
    damaged |= {each: problem for each in older if (problem := _damage(each))}
    _move_aside(damaged)
    if damaged:
        _warn(f"{directory.parent}: {_told(damaged)}; training goes on from {_name(path)}")
    return {"step": int(path.name), "path": path, **found["content"]}


def set_aside_damaged_best(directory: Path) -> str:
    """Why a run has not the best of its checkpoints; "" if it has. What is damaged is moved."""
    paths = _in_order(Path(directory).absolute(), "best")
    damaged = {path: problem for path in paths if (problem := _damage(path))}
    lost = any_process(not paths or paths[0] in damaged)  # which the first process alone knows
    _move_aside(damaged)
    return (_told(damaged) or "it has no best checkpoint") if lost else ""


def _in_order(directory: Path, series: str) -> list[Path]:
    """The checkpoints of a series, whole or not; states newest first, weights best first."""
    for folder in (directory, directory / series):
        if folder.exists() and not folder.is_dir():
            raise DamageError(f"{folder} is a file, not a folder; restore it from a copy")
    if not (directory / series).exists():
        return []
    if series == "best":
        return best_first(directory / series)
    steps = (path for path in (directory / series).iterdir() if path.name.isdecimal())
    return sorted(steps, key=lambda path: int(path.name), reverse=True)


def _first_whole(directory: Path, loads: Mapping[str, Callable[[Path], Any]]) -> dict[str, Any]:
    """{"path", "content", "damaged"} of the first that can be loaded; `loads` by series."""
    damaged: dict[Path, str] = {}
    for series, load in loads.items():
        tried: set[Path] = set()
        # Looked for again each time: a run that is being trained replaces its best.
        while paths := [path for path in _in_order(directory, series) if path not in tried]:
            path, content = paths[0], None
            tried.add(path)
            problem = _damage(path)
            # Of several processes all take the same one.
            if not any_process(bool(problem)):
                try:
                    content = load(path)
                except DamageError as error:
                    problem = str(error)
                if not any_process(bool(problem)):
                    return {"path": path, "content": content, "damaged": damaged}
            if path.exists():
                damaged[path] = problem or "another process found it damaged"
    raise DamageError(
        f"no checkpoint of {directory.parent} is whole:\n  {_told(damaged)}\n"
        f"Restore {directory} from a copy; or delete it, and make the run again from the beginning"
    )


def _damage(path: Path) -> str:
    """What is wrong with a checkpoint by its checksums, as the first process sees it."""
    if jax.process_index():
        return ""
    if not path.is_dir():
        return checksums.damage(path)
    items = dict.fromkeys(_ITEMS[path.parent.name])
    try:
        if (path / _METADATA).exists():  # which orbax takes as it is
            about = documents.read(path / _METADATA, _METADATA_LIKE)
            items |= dict.fromkeys(about.get("item_handlers", ()))
    except (ValueError, OSError) as error:
        return str(error)
    for item in items:
        if problem := checksums.damage(path / item, later=_LATER):
            return f"{item}/{problem}" if (path / item).is_dir() else f"{item}: {problem}"
    return ""


def _restore_arrays(path: Path, abstract: PyTree) -> PyTree:
    with _damage_for(path), ocp.StandardCheckpointer() as checkpointer:
        return checkpointer.restore(path, abstract)


def _restore_part(path: Path, abstract_variables: PyTree) -> PyTree:
    """The variables of a state."""
    with _damage_for(path), ocp.PyTreeCheckpointer() as checkpointer:
        tree = ocp.PyTreeCheckpointHandler().metadata(path).tree
        part = state_lib.part_with(abstract_variables, averaged=bool(tree.get("ema")))
        restore = ocp.args.PyTreeRestore(
            part,
            restore_args=ocp.checkpoint_utils.construct_restore_args(part),
            partial_restore=True,
        )
        return state_lib.variables_of(checkpointer.restore(path, args=restore))


@contextlib.contextmanager
def _damage_for(path: Path) -> Iterator[None]:
    """A `DamageError` for whatever is raised where arrays cannot be read, or are other ones."""
    hook = sys.unraisablehook

    def without_late_answers(unraisable):
        if not disk.is_late_answer(unraisable.exc_value):
            hook(unraisable)

    sys.unraisablehook = without_late_answers
    try:
        yield
    except (MemoryError, jax.errors.JaxRuntimeError):
        raise
    except Exception as error:
        # What TensorStore and JSON say of it helps nobody.
        why = "is whole but not of this network: are config.json and meta.json its own?"
        if not checksums.are_there(path):
            why = "cannot be read, or is of another network than config.json and meta.json"
        raise DamageError(f"{path.name} {why}") from error
    sys.unraisablehook = hook  # not after an error, as they may come at any time


def _move_aside(damaged: Mapping[Path, str]) -> None:
    """Out of the way of new ones, and of orbax; not deleted, as some of it may still be of use."""
    for path in damaged if jax.process_index() == 0 else ():
        place = path.parents[1] / "damaged" / _name(path).replace("/", "-")
        place.parent.mkdir(exist_ok=True)
        shutil.rmtree(place, ignore_errors=True)
        path.rename(place)
    any_process(False)  # which waits until they are gone


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _told(damaged: Mapping[Path, str]) -> str:
    return "; ".join(f"{_name(path)} is damaged ({why})" for path, why in damaged.items())


def _warn(text: str) -> None:
    if jax.process_index() == 0:
        warnings.warn(text, stacklevel=3)
