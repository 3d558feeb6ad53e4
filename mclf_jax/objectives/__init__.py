"""Training paradigms by name. They differ here and only here: one loop, one step, for all.

To import this is cheap; jax and the objectives themselves come when one is built.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mclf_jax.common import checks
from mclf_jax.objectives.base import Loss, Objective, Traits

if TYPE_CHECKING:
    import numpy as np
    from ml_collections import ConfigDict

    from mclf_jax.models import Model

__all__ = ["OBJECTIVES", "Loss", "Objective", "Traits", "arguments_of", "build", "traits"]

_LEARNS_LABELS = {"needs_labels": True, "predicts_labels": True, "reloads_best": True}
_SEMI_SUPERVISED = {"takes_unlabelled": True, **_LEARNS_LABELS}

# An objective that is added is named here and nowhere else.
OBJECTIVES = {
    "supervised": Traits(module="supervised", takes_mixtures=True, **_LEARNS_LABELS),
    "byol": Traits(
        module="self_supervised.byol",
        against_collapse="keep 'batch_norm' as objective.args.projector_norm and predictor_norm, "
        "raise train.batch_size, or bring objective.args.momentum closer to 1",
    ),
    "cpc": Traits(
        module="self_supervised.cpc",
        against_collapse="raise objective.args.num_negatives, take them from other songs too "
        "(objective.args.negatives='batch'), or make objective.args.criterion 'nce' where it is "
        "'binary'",
    ),
    "moco": Traits(
        module="self_supervised.moco",
        whole_batches={"queue_size": 65_536},
        against_collapse="raise objective.args.queue_size or train.batch_size, lower "
        "objective.args.temperature, or bring objective.args.momentum closer to 1",
    ),
    "pase": Traits(
        module="pase.objective",
        against_collapse="have workers that tell songs apart among objective.args.workers (lim, "
        "gim), or raise train.batch_size",
    ),
    "simclr": Traits(
        module="self_supervised.simclr",
        against_collapse="raise train.batch_size, or lower objective.args.temperature",
    ),
    "consistency": Traits(module="semi_supervised.consistency", **_SEMI_SUPERVISED),
    "entropy_minimization": Traits(
        module="semi_supervised.entropy_minimization", **_SEMI_SUPERVISED
    ),
    "mixmatch": Traits(module="semi_supervised.mixmatch", **_SEMI_SUPERVISED),
    "noisy_student": Traits(
        module="semi_supervised.noisy_student", needs_teacher=True, **_SEMI_SUPERVISED
    ),
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
    from mclf_jax import augment
    from mclf_jax.objectives.supervised import balanced_pos_weight

    name, arguments = config.objective.name, dict(config.objective.args)
    chains = augment.build(config.augment, features=model.features)
    if config.augment.on != "device":  # the pipeline has done that
        chains = chains._replace(waveform=None)
    known = arguments_of(name)
    checks.only_known("objective.args", arguments, known, of=name)
    given = {"chains": chains, "task": task, "label_names": label_names}
    given |= {"total_steps": total_steps, "label_smoothing": config.objective.label_smoothing}
    given["pos_weight"] = 1.0
    if config.objective.pos_weight == "balanced" and task == "multi_label":
        given["pos_weight"] = balanced_pos_weight(labels())
    given |= {field: config.objective[field] for field in ("distance", "num_sampled")}
    if chains.batch is not None and not traits(name).takes_mixtures:
        raise ValueError(
            "augment.mixup_alpha and augment.cutmix_alpha are for objective.name 'supervised'; "
            f"set them to 0 for {name!r}"
        )
    if traits(name).takes_unlabelled:
        _check_semi_supervised(config, task=task)
    function = _function(name)
    asked = inspect.signature(function).parameters
    # Objectives are compiled with their settings, and JSON has lists where configs have tuples.
    arguments = {key: checks.as_tuples(value) for key, value in arguments.items()}
    arguments |= {key: value for key, value in given.items() if key in asked}
    return function(model, **arguments)._replace(traits=traits(name))


def traits(name: str) -> Traits:
    """What there is to know of an objective before it is built.

    Raises:
        ValueError: there is no such objective.
    """
    checks.choice("objective.name", name, sorted(OBJECTIVES))
    return OBJECTIVES[name]


def arguments_of(name: str) -> dict[str, Any]:
    """What `objective.args` may hold, with defaults.

    Raises:
        ValueError: there is no such objective.
    """
    parameters = inspect.signature(_function(name)).parameters
    return {key: p.default for key, p in parameters.items() if key not in _GIVEN}


def _function(name: str) -> Callable[..., Objective]:
    return getattr(importlib.import_module(f"{__name__}.{traits(name).module}"), name)


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
