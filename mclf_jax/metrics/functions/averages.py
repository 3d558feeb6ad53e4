"""What these functions have in common: their arguments, and how labels make one value."""

import numpy as np

from mclf_jax.common import checks
from mclf_jax.metrics import inputs

AVERAGES = ("macro", "micro", "weighted", "none")
"""Mean over labels; all pairs of song and label as one; mean by positive songs; [K], no mean."""


def task_of(targets: np.ndarray) -> str:
    """Single labels are [N], tags are [N, K]."""
    return "single_label" if np.ndim(targets) == 1 else "multi_label"


def validate(scores, targets, *, task: str = "") -> tuple[str, np.ndarray, np.ndarray]:
    """The task, and scores and targets that fit it, see `inputs.validate`; labels have no names."""
    task = task or task_of(targets)
    names = [str(k) for k in range(np.shape(scores)[-1])]
    return task, *inputs.validate(task, scores, targets, names)


def check(average: str, allowed: tuple[str, ...] = AVERAGES) -> None:
    """Raise a ValueError if there is no such average."""
    checks.choice("average", average, allowed)


def of_labels(values: np.ndarray, support: np.ndarray, *, average: str) -> float | np.ndarray:
    """Values [K] of labels, NaN where undefined, as one number, or as they are ("none")."""
    if average == "none":
        return values
    defined = np.isfinite(values)
    weights = np.where(defined, support if average == "weighted" else 1.0, 0.0)
    if not weights.sum():
        return float("nan")
    return float(np.where(defined, values, 0) @ weights / weights.sum())
