"""A teacher: the network of an earlier run, of which another one learns the predictions."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from mclf_jax import objectives
from mclf_jax.audio.features import to_json
from mclf_jax.common import parallel
from mclf_jax.models import Model
from mclf_jax.run.directory import read_config, read_meta, read_model
from mclf_jax.run.weights import load_variables

PyTree = Any
_FIELD = "objective.args.teacher"


@dataclasses.dataclass(frozen=True, eq=False)
class Teacher:
    """A trained network.

    Attributes:
        model: the network with its features.
        variables: of the model's module, arrays on the host.
        labels: K names, in the order of the outputs.
        task: one of `data.source.TASKS`.
        config: of its run, which says how it listens to a song: `eval` and `data.short`.
        fingerprint: hex digest of all that its prediction of a song depends on; teachers with the
            same one say the same.
    """

    model: Model
    variables: PyTree
    labels: tuple[str, ...]
    task: str
    config: ConfigDict
    fingerprint: str


def open_teacher(run: str | Path, *, task: str, label_names: Sequence[str]) -> Teacher:
    """The network of a run directory with the weights of its best checkpoint.

    Args:
        run: of `mclf train` or `mclf convert`.
        task: that the student learns, one of `data.source.TASKS`.
        label_names: of the student, K names in the order of its outputs.

    Raises:
        FileNotFoundError: not a run directory, or nothing was trained in it yet.
        ValueError: it has learnt no labels, another task, or other labels than the student has.
    """
    if not str(run):
        raise ValueError(
            f"{_FIELD} is ''; it must be the run directory of a network that was trained with "
            "labels, as `mclf train` and `mclf convert` make them"
        )
    named, run = f"{_FIELD} is {str(run)!r}", Path(run)
    try:
        config, meta, model = read_config(run), read_meta(run), read_model(run)
        _check(named, config.objective.name, meta, task=task, label_names=label_names)
        best = load_variables(run, model, parallel.make_mesh())
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{named}: {error}") from error
    variables = jax.tree.map(np.asarray, best["variables"])
    return Teacher(
        model=model,
        variables=variables,
        labels=tuple(meta["labels"]),
        task=task,
        config=config,
        fingerprint=_fingerprint(config, meta, model, variables),
    )


def _check(
    named: str, objective: str, meta: dict[str, Any], *, task: str, label_names: Sequence[str]
) -> None:
    if not objectives.traits(objective).predicts_labels:
        raise ValueError(
            f"{named}, which was trained by {objective}, without labels, so it predicts none; "
            "train a run with labels from it (init.path) and take that one"
        )
    if meta["task"] != task:
        raise ValueError(
            f"{named}, which was trained for task {meta['task']!r}; the task here is {task!r}"
        )
    there, here = list(meta["labels"]), list(label_names)
    if there == here:
        return
    if sorted(there) == sorted(here):
        raise ValueError(
            f"{named}, whose labels are in another order: {there}, and here {here}. Its outputs "
            "would be taken for other labels; train it on labels in the order of here"
        )
    lacks, more = sorted(set(here) - set(there)), sorted(set(there) - set(here))
    differences = [f"it lacks {lacks}"] * bool(lacks) + [f"it has {more} too"] * bool(more)
    raise ValueError(
        f"{named}, which was trained on other labels: {'; '.join(differences)}. It must have "
        "those that the student learns"
    )


def _fingerprint(config: ConfigDict, meta: dict[str, Any], model: Model, variables: PyTree) -> str:
    listening = config.eval
    known = {
        "task": meta["task"],
        "labels": meta["labels"],
        "model": config.model.to_dict(),
        "features": to_json(model.features),
        "window_samples": model.window_samples,
        "short": config.data.short,
        "num_windows": listening.num_windows if listening.hop_s is None else None,
        "hop_s": listening.hop_s,
    }
    content = hashlib.sha256(json.dumps(known, sort_keys=True).encode())
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
        content.update(jax.tree_util.keystr(path).encode() + leaf.tobytes())
    return content.hexdigest()
