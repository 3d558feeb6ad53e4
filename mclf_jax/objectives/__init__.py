"""Training paradigms by name. They differ here and only here: one loop, one step, for all."""

import numpy as np
from ml_collections import ConfigDict

from mclf_jax.models import Model
from mclf_jax.objectives.objective import Loss, Objective
from mclf_jax.objectives.supervised import balanced_pos_weight, supervised

__all__ = ["OBJECTIVES", "Loss", "Objective", "build"]


def _supervised(model: Model, config: ConfigDict, *, task: str, labels: np.ndarray) -> Objective:
    balanced = config.pos_weight == "balanced" and task == "multi_label"
    return supervised(
        model,
        task=task,
        label_smoothing=config.label_smoothing,
        pos_weight=balanced_pos_weight(labels) if balanced else 1.0,
    )


OBJECTIVES = {"supervised": _supervised}


def build(model: Model, config: ConfigDict, *, task: str, labels: np.ndarray) -> Objective:
    """The objective that `config.objective` asks for.

    Args:
        model: what is trained.
        config: the `objective` section of an experiment.
        task: of the data set.
        labels: of the training items, int [N] or float [N, K].
    """
    if config.name not in OBJECTIVES:
        raise ValueError(
            f"objective.name is {config.name!r}; allowed: {', '.join(sorted(OBJECTIVES))}"
        )
    return OBJECTIVES[config.name](model, config, task=task, labels=labels)
