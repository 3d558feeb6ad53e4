"""Training paradigms by name. They differ here and only here: one loop, one step, for all."""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from mclf_jax import augment
from mclf_jax.common import checks
from mclf_jax.models import Model
from mclf_jax.objectives.base import Loss, Objective
from mclf_jax.objectives.supervised import balanced_pos_weight

__all__ = [
    "OBJECTIVES",
    "SELF_SUPERVISED",
    "SEMI_SUPERVISED",
    "Loss",
    "Objective",
    "arguments_of",
    "build",
]

SELF_SUPERVISED = ("byol", "cpc", "moco", "pase", "simclr")
"""Objectives that need no labels."""

SEMI_SUPERVISED = ("consistency", "entropy_minimization", "mixmatch", "noisy_student")
"""Objectives that take labelled songs and others, as "unlabelled" in the batch."""

# name -> module below this one, with a function of that name; imported when asked for.
OBJECTIVES = {
    "supervised": "supervised",
    **{name: f"self_supervised.{name}" for name in SELF_SUPERVISED},
    "pase": "pase.objective",
    **{name: f"semi_supervised.{name}" for name in SEMI_SUPERVISED},
}

# What `build` gives to objectives that ask for it.
_GIVEN = ("model", "chains", "total_steps", "task", "label_names", "label_smoothing", "pos_weight")
_GIVEN += ("distance", "num_sampled")


def build(
    model: Model,
    config: ConfigDict,
    *,
    task: str,
    label_names: tuple[str, ...],
    labels: Callable[[], np.ndarray],
    total_steps: int,
) -> Objective:
    """The objective that a config asks for.

    Args:
        model: what is trained.
        config: of the experiment; its sections `objective` and `augment` are used.
        task: of the data set.
        label_names: of the outputs.
        labels: gives those of the training items, int [N] or float [N, K].
        total_steps: of the run.

    Raises:
        ValueError: an unknown name, or arguments in `objective.args` that it does not take.
    """
    name, arguments = config.objective.name, dict(config.objective.args)
    chains = augment.build(config.augment, features=model.features)
    if config.augment.on != "device":  # the pipeline has done that
        chains = chains._replace(waveform=None)
    known = arguments_of(name)
    if unknown := sorted(set(arguments) - set(known)):
        takes = ", ".join(sorted(known)) or "none"
        raise ValueError(f"objective.args has {', '.join(unknown)}; {name} takes {takes}")
    given = {"chains": chains, "task": task, "label_names": label_names}
    given |= {"total_steps": total_steps, "label_smoothing": config.objective.label_smoothing}
    given["pos_weight"] = 1.0
    if config.objective.pos_weight == "balanced" and task == "multi_label":
        given["pos_weight"] = balanced_pos_weight(labels())
    given |= {field: config.objective[field] for field in ("distance", "num_sampled")}
    if name != "supervised" and chains.batch is not None:
        raise ValueError(
            "augment.mixup_alpha and augment.cutmix_alpha are for objective.name 'supervised'; "
            f"set them to 0 for {name!r}"
        )
    if name in SEMI_SUPERVISED:
        _check_semi_supervised(config, task=task)
    function = _function(name)
    asked = inspect.signature(function).parameters
    # Objectives are compiled with their settings, and JSON has lists where configs have tuples.
    arguments = {key: checks.as_tuples(value) for key, value in arguments.items()}
    arguments |= {key: value for key, value in given.items() if key in asked}
    return function(model, **arguments)


def arguments_of(name: str) -> dict[str, Any]:
    """What `objective.args` may hold, with defaults.

    Raises:
        ValueError: there is no such objective.
    """
    if name not in OBJECTIVES:
        raise ValueError(f"objective.name is {name!r}; allowed: {', '.join(sorted(OBJECTIVES))}")
    parameters = inspect.signature(_function(name)).parameters
    return {key: p.default for key, p in parameters.items() if key not in _GIVEN}


def _function(name: str) -> Callable[..., Objective]:
    return getattr(importlib.import_module(f"{__name__}.{OBJECTIVES[name]}"), name)


def _check_semi_supervised(config: ConfigDict, *, task: str) -> None:
    augment, name = config.augment, config.objective.name
    if (augment.waveform or augment.chain) and augment.on == "pipeline":
        raise ValueError(
            f"augment.on is 'pipeline', but {name} needs clean audio beside what is augmented; "
            "set augment.on and features.on to 'device'"
        )
    if task == "regression":
        raise ValueError(
            f"objective.name is {name!r}, which is for one label of many and for tags; "
            f"the task of {config.data.name} is {task!r}"
        )
