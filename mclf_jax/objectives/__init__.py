"""Training paradigms by name. They differ here and only here: one loop, one step, for all."""

import numpy as np
from ml_collections import ConfigDict

from mclf_jax import augment
from mclf_jax.augment import Chains
from mclf_jax.models import Model
from mclf_jax.objectives.objective import Loss, Objective
from mclf_jax.objectives.supervised import balanced_pos_weight, supervised

__all__ = ["OBJECTIVES", "Loss", "Objective", "build"]


def _supervised(model: Model, config: ConfigDict, *, task: str, labels: np.ndarray) -> Objective:
    balanced = config.objective.pos_weight == "balanced" and task == "multi_label"
    return supervised(
        model,
        task=task,
        chains=_chains(config, model),
        label_smoothing=config.objective.label_smoothing,
        pos_weight=balanced_pos_weight(labels) if balanced else 1.0,
    )


def _chains(config: ConfigDict, model: Model) -> Chains:
    """What is left to do on the device."""
    chains = augment.build(config.augment, features=model.features)
    return chains if config.augment.on == "device" else chains._replace(waveform=None)


OBJECTIVES = {"supervised": _supervised}


def build(model: Model, config: ConfigDict, *, task: str, labels: np.ndarray) -> Objective:
    """The objective that a config asks for.

    Args:
        model: what is trained.
        config: of the experiment; its sections `objective` and `augment` are used.
        task: of the data set.
        labels: of the training items, int [N] or float [N, K].
    """
    name = config.objective.name
    if name not in OBJECTIVES:
        raise ValueError(f"objective.name is {name!r}; allowed: {', '.join(sorted(OBJECTIVES))}")
    return OBJECTIVES[name](model, config, task=task, labels=labels)
