"""Training paradigms by name. They differ here and only here: one loop, one step, for all."""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from mclf_jax import augment
from mclf_jax.augment import Chains
from mclf_jax.models import Model
from mclf_jax.objectives.objective import Loss, Objective
from mclf_jax.objectives.supervised import balanced_pos_weight, supervised

__all__ = ["OBJECTIVES", "SELF_SUPERVISED", "Loss", "Objective", "arguments_of", "build"]

SELF_SUPERVISED = ("byol", "cpc", "moco", "pase", "simclr")
"""Objectives that need no labels; each is a function of its name in a module of its name."""

OBJECTIVES = ("supervised", *SELF_SUPERVISED)

# What `build` gives to objectives that ask for it.
_GIVEN = ("model", "chains", "total_steps")


def build(
    model: Model,
    config: ConfigDict,
    *,
    task: str,
    labels: Callable[[], np.ndarray],
    total_steps: int,
) -> Objective:
    """The objective that a config asks for.

    Args:
        model: what is trained.
        config: of the experiment; its sections `objective` and `augment` are used.
        task: of the data set.
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
    if name == "supervised":
        return _supervised(model, config, chains=chains, task=task, labels=labels)
    if chains.batch is not None:
        raise ValueError(
            f"augment.mixup_alpha and augment.cutmix_alpha mix labels, which {name} does not have; "
            "set them to 0"
        )
    function = _function(name)
    if "total_steps" in inspect.signature(function).parameters:
        arguments["total_steps"] = total_steps
    # Objectives are compiled with their settings, and JSON has lists where configs have tuples.
    arguments = {key: _as_tuples(value) for key, value in arguments.items()}
    return function(model, chains=chains, **arguments)


def arguments_of(name: str) -> dict[str, Any]:
    """What `objective.args` may hold, with defaults.

    Raises:
        ValueError: there is no such objective.
    """
    if name not in OBJECTIVES:
        raise ValueError(f"objective.name is {name!r}; allowed: {', '.join(sorted(OBJECTIVES))}")
    if name == "supervised":
        return {}
    parameters = inspect.signature(_function(name)).parameters
    return {key: p.default for key, p in parameters.items() if key not in _GIVEN}


def _function(name: str) -> Callable[..., Objective]:
    return getattr(importlib.import_module(f"mclf_jax.objectives.{name}"), name)


def _supervised(
    model: Model,
    config: ConfigDict,
    *,
    chains: Chains,
    task: str,
    labels: Callable[[], np.ndarray],
) -> Objective:
    balanced = config.objective.pos_weight == "balanced" and task == "multi_label"
    return supervised(
        model,
        task=task,
        chains=chains,
        label_smoothing=config.objective.label_smoothing,
        pos_weight=balanced_pos_weight(labels()) if balanced else 1.0,
    )


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list | tuple) else value
