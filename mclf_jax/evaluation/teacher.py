"""A teacher: the network of an earlier run, of which another one learns the predictions."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from mclf_jax.common import parallel
from mclf_jax.evaluation.windows import Unit
from mclf_jax.models import Model
from mclf_jax.run.weights import describe_listening, digest, load_variables, open_run, why_unfit

PyTree = Any
_FIELD = "objective.args.teacher"


@dataclasses.dataclass(frozen=True, eq=False)
class Encoder:
    """A trained network, of which nobody asks for labels.

    Attributes:
        model: the network with its features.
        variables: of the model's module, arrays on the host.
    """

    model: Model
    variables: PyTree


@dataclasses.dataclass(frozen=True, eq=False)
class Teacher:
    """A trained network.

    Attributes:
        model: the network with its features.
        variables: of the model's module, arrays on the host.
        labels: K names, in the order of the outputs.
        task: one of `data.base.source.TASKS`.
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


def open_encoder(run: str | Path) -> Encoder:
    """The network of a run directory with the weights of its best checkpoint, whatever it learnt.

    Raises:
        FileNotFoundError: not a run directory, or nothing was trained in it yet.
    """
    try:
        opened = open_run(run)
        best = load_variables(run, opened.model, parallel.make_mesh())
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{_FIELD} is {str(run)!r}: {error}") from error
    return Encoder(opened.model, jax.tree.map(np.asarray, best["variables"]))


def open_teacher(
    run: str | Path, *, task: str, label_names: Sequence[str], unit: Unit = ()
) -> Teacher:
    """The network of a run directory with the weights of its best checkpoint.

    Args:
        run: of `mclf train` or `mclf convert`.
        task: that the student learns, one of `data.base.source.TASKS`.
        label_names: of the student, K names in the order of its outputs.
        unit: of the student's numbers, see `Info.unit`.

    Raises:
        FileNotFoundError: not a run directory, or nothing was trained in it yet.
        ValueError: it has learnt no labels, another task, or other labels than the student has.
    """
    if not str(run):
        raise ValueError(
            f"{_FIELD} is ''; it must be the run directory of a network that was trained with "
            "labels, as `mclf train` and `mclf convert` make them"
        )
    named = f"{_FIELD} is {str(run)!r}"
    try:
        opened = open_run(run)
        if why := why_unfit(opened, task=task, labels=label_names):
            raise ValueError(
                f"{named}, but {why}. A teacher predicts what its student learns: the same task, "
                "and the same labels in the same order; train such a run, perhaps from this one "
                "(init.path)"
            )
        if (own := opened.meta.get("unit", [])) != [list(pair) for pair in unit]:
            raise ValueError(
                f"{named}, whose numbers are scaled by {own} (scale, offset), and here by "
                f"{list(unit)}: train it on the same training songs, or both with "
                "data.target_args.scaling=none"
            )
        if opened.meta.get("tree"):
            raise ValueError(
                f"{named}, which was trained with objective.args.hierarchy; a teacher scores each "
                "label on its own"
            )
        best = load_variables(run, opened.model, parallel.make_mesh())
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{named}: {error}") from error
    variables = jax.tree.map(np.asarray, best["variables"])
    known = describe_listening(opened.config, opened.model)
    known |= {"task": task, "labels": list(label_names)}
    if (how := opened.config.eval.aggregation) != "mean":  # else as it always was
        known["aggregation"] = how
    return Teacher(
        model=opened.model,
        variables=variables,
        labels=tuple(opened.meta["labels"]),
        task=task,
        config=opened.config,
        fingerprint=digest(variables, known=json.dumps(known, sort_keys=True)),
    )
