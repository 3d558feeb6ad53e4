"""The one door to a run: its network, its best weights, and whether they suit what one wants."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mclf_jax import objectives
from mclf_jax.audio.features import to_json
from mclf_jax.common import checks, parallel
from mclf_jax.models import Model
from mclf_jax.models.names import name_of, path_of
from mclf_jax.run import checkpoint, restore
from mclf_jax.run.directory import read_config, read_meta, read_model

PyTree = Any


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """A run directory, opened.

    Attributes:
        path: of it.
        config: of the run.
        meta: what its weights mean, see `directory.describe_run`.
        model: its network, with its features.
    """

    path: Path
    config: ConfigDict
    meta: Mapping[str, Any]
    model: Model


def open_run(run: str | Path) -> Run:
    """Open a run directory of `mclf train` or `mclf convert`.

    Raises:
        FileNotFoundError: it is none.
    """
    run = Path(run)
    return Run(run, read_config(run), read_meta(run), read_model(run))


def step_of(path: str | Path) -> int | None:
    """The step of a checkpoint's folder, RUN/checkpoints/SERIES/STEP; None of any other path."""
    path = Path(path).absolute()
    is_checkpoint = path.name.isdecimal() and path.parent.parent.name == "checkpoints"
    return int(path.name) if is_checkpoint else None


def load_variables(
    run: str | Path, model: Model, mesh: Mesh, *, step: int | None = None
) -> dict[str, Any]:
    """{"step", "variables"} of a run's best checkpoint, on every device of a mesh.

    Args:
        run: its directory.
        model: of it.
        mesh: of devices.
        step: of another checkpoint that was kept.

    Raises:
        FileNotFoundError: nothing was trained in it yet.
        ValueError: its files are damaged, or numbers are not finite; the variables are named. Or
            no checkpoint of that step was kept.
    """
    try:
        abstract = jax.eval_shape(model.init, jax.random.key(0))
    except (ValueError, TypeError) as error:
        first = str(error).partition("\n")[0]
        raise ValueError(
            f"{run}: model.args of {Path(run) / 'config.json'} and features of "
            f"{Path(run) / 'meta.json'} make no network: {first}"
        ) from error
    shardings = jax.tree.map(lambda _: parallel.replicated(mesh), abstract)
    return _load(run, abstract, shardings, step=step)


def reload_variables(run: str | Path, variables: PyTree) -> dict[str, Any]:
    """The same for a run that goes on: where the `variables` lie that it has now."""
    return _load(run, variables, jax.tree.map(lambda leaf: leaf.sharding, variables))


def _load(
    run: str | Path, like: PyTree, shardings: PyTree, *, step: int | None = None
) -> dict[str, Any]:
    abstract, folder = checkpoint.abstract_like(like, shardings), Path(run) / "checkpoints"
    if step is None:
        found = restore.restore_best(folder, abstract)
    else:
        found = restore.restore_step(folder, abstract, step=step)
    leaves = jax.tree_util.tree_leaves_with_path(found["variables"])
    arrays = {name_of(path_of(key_path)[1:]): leaf for key_path, leaf in leaves}
    which = "the best checkpoint" if step is None else f"checkpoint {step}"
    checks.finite(f"{which} of {run}", arrays)
    return found


def why_unfit(run: Run, *, task: str | None = None, labels: Sequence[str] | None = None) -> str:
    """Why a run does not predict labels, or not those that are wanted; "" if it does.

    Args:
        run: of `open_run`.
        task: that is wanted; any when not given.
        labels: that are wanted, in their order; any when not given.
    """
    objective, meta = run.config.objective.name, run.meta
    if not objectives.traits(objective).predicts_labels:
        return f"it was trained by {objective}, without labels"
    there = list(meta["labels"])
    if not there:
        return "nothing has trained its last layer"
    if task not in (None, meta["task"]):
        return f"it was trained for task {meta['task']!r}; the task here is {task!r}"
    here = there if labels is None else list(labels)
    if there == here:
        return ""
    if sorted(there) == sorted(here):
        return f"its labels are in another order: {there}, and here {here}"
    lacks, more = sorted(set(here) - set(there)), sorted(set(there) - set(here))
    differences = [f"it lacks {lacks}"] * bool(lacks) + [f"it has {more} too"] * bool(more)
    return f"it was trained on other labels: {'; '.join(differences)}"


def describe_listening(config: ConfigDict, model: Model) -> dict[str, Any]:
    """What decides, beside weights, what a network says of a song: JSON types, for identities."""
    return {
        "model": config.model.to_dict(),
        "features": to_json(model.features),
        "window_samples": model.window_samples,
        "short": config.data.short,
        "num_windows": config.eval.num_windows if config.eval.hop_s is None else None,
        "hop_s": config.eval.hop_s,
    }


def digest(variables: PyTree, *, known: str = "") -> str:
    """Hex digest of all weights and statistics, and of a text that is known beside them."""
    content = hashlib.sha256(known.encode())
    for path, leaf in jax.tree_util.tree_leaves_with_path(jax.device_get(variables)):
        content.update(jax.tree_util.keystr(path).encode() + np.asarray(leaf).tobytes())
    return content.hexdigest()
