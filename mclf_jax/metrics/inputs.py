"""Scores and targets as every metric takes them, or an error that says what does not fit."""

from collections.abc import Sequence

import numpy as np

from mclf_jax.common import checks
from mclf_jax.data.base.source import TASKS


def among(scores: np.ndarray) -> np.ndarray:
    """Probabilities [N, M] of some classes, where it is known that it is one of them: rows sum to
    one. A song whose classes have none at all is as likely to be of any."""
    total = scores.sum(axis=1, keepdims=True)
    alike = np.full_like(scores, 1 / scores.shape[1])
    return np.divide(scores, total, out=alike, where=total > 0)


def validate(task: str, scores, targets, labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Scores float64 [N, K] and targets that fit the task.

    Targets are int64 [N] for `single_label`, else floats [N, K] with NaN where not observed, those
    of `regression` in float64.

    Raises:
        ValueError: shapes, types or values do not fit, or something is not finite.
    """
    checks.choice("task", task, TASKS)
    scores, targets = np.asarray(scores, np.float64), np.asarray(targets)
    num_labels = len(labels)
    if len(set(labels)) != num_labels:
        raise ValueError(f"labels must differ from one another, got {list(labels)}")
    if scores.ndim != 2 or scores.shape[1] != num_labels:
        raise ValueError(
            f"scores must be [songs, labels] with {num_labels} labels, got shape {scores.shape}"
        )
    if len(scores) == 0:
        raise ValueError("there is no song to score: scores has shape " + str(scores.shape))
    expected = scores.shape[:1] if task == "single_label" else scores.shape
    if targets.shape != expected:
        raise ValueError(
            f"targets of {task} must have shape {expected} like scores, got {targets.shape}"
        )
    is_small = task == "multi_label" and np.issubdtype(targets.dtype, np.floating)
    numbers = targets if is_small else targets.astype(np.float64)
    _check_finite("scores", np.isfinite(scores), allowed="finite")
    if task == "single_label":
        _check_finite("targets", np.isfinite(numbers), allowed="finite")
    else:
        allowed = "finite, or NaN where not observed"
        _check_finite("targets", ~np.isinf(numbers), allowed=allowed)
    if task != "regression" and (scores.min() < -1e-6 or scores.max() > 1 + 1e-6):
        raise ValueError(
            f"scores must be probabilities in [0, 1], got {scores.min():.4g} to "
            f"{scores.max():.4g}; apply softmax or sigmoid to logits first"
        )
    if task == "single_label":
        return scores, _checked_classes(scores, targets)
    if task == "multi_label" and not ((numbers == 0) | (numbers == 1) | np.isnan(numbers)).all():
        raise ValueError("targets of multi_label must be zeros and ones, or NaN where not observed")
    return scores, numbers


def _check_finite(name: str, good: np.ndarray, *, allowed: str) -> None:
    bad = np.count_nonzero(~good)
    if bad:
        raise ValueError(f"{name} must be {allowed}, but {bad} of {good.size} values are not")


def _checked_classes(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    num_labels = scores.shape[1]
    if num_labels < 2:
        raise ValueError(f"single_label needs at least two labels, got {num_labels}")
    if not np.issubdtype(targets.dtype, np.integer):
        raise ValueError(f"targets of single_label must be integers, got dtype {targets.dtype}")
    if targets.min() < 0 or targets.max() >= num_labels:
        raise ValueError(
            f"targets must be class indices from 0 to {num_labels - 1}, got {targets.min()} to "
            f"{targets.max()}"
        )
    sums = scores.sum(axis=1)
    if np.abs(sums - 1).max() > 1e-3:
        raise ValueError(
            f"rows of single_label scores must sum to 1, got sums from {sums.min():.4g} to "
            f"{sums.max():.4g}; apply softmax to logits first"
        )
    return targets.astype(np.int64)
