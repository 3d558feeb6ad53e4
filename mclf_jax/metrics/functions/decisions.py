"""What is said of songs, right or wrong: counts, and the ratios that are made of them."""

from collections.abc import Sequence

import numpy as np

from mclf_jax.common import checks
from mclf_jax.metrics.functions import averages

Thresholds = float | Sequence[float] | np.ndarray


def counts(scores, targets, *, thresholds: Thresholds = 0.5) -> dict[str, np.ndarray]:
    """Right and wrong decisions of each label.

    A song has the label of its highest score (targets [N]), or those with a score of at least
    their threshold (targets [N, K]).

    Args:
        scores: float [N, K], probabilities.
        targets: int [N], or [N, K] of zeros and ones, NaN where not observed.
        thresholds: one, or [K]; of tags. A NaN says that no song has the label.

    Returns:
        int64 [K] each: "tp" and "fp", songs that are said to have the label and have it or not;
        "fn" and "tn", those that are not said to have it.

    Raises:
        ValueError: shapes, types or values do not fit one another.
    """
    positive, predicted, observed = _decide(scores, targets, thresholds)
    return {
        "tp": (positive & predicted & observed).sum(0),
        "fp": (~positive & predicted & observed).sum(0),
        "fn": (positive & ~predicted & observed).sum(0),
        "tn": (~positive & ~predicted & observed).sum(0),
    }


def precision(scores, targets, *, thresholds: Thresholds = 0.5, average: str = "macro"):
    """Share of the songs said to have a label that have it; 0 where it is said of none.

    Undefined for a label that no song has. Arguments as of `counts`; `average` of
    `averages.AVERAGES`.
    """
    return _averaged(_precision, scores, targets, thresholds, average)


def recall(scores, targets, *, thresholds: Thresholds = 0.5, average: str = "macro"):
    """Share of the songs with a label that are said to have it; see `precision`."""
    return _averaged(_recall, scores, targets, thresholds, average)


def specificity(scores, targets, *, thresholds: Thresholds = 0.5, average: str = "macro"):
    """Share of the songs without a label that are not said to have it; see `precision`.

    Undefined for a label that every song has.
    """
    return _averaged(_specificity, scores, targets, thresholds, average)


def f_beta(
    scores, targets, *, beta: float = 1.0, thresholds: Thresholds = 0.5, average: str = "macro"
):
    """The harmonic mean of precision and recall in which recall counts `beta` times as much.

    (1 + b²) tp / ((1 + b²) tp + b² fn + fp), of van Rijsbergen 1979; see `precision`.
    """
    checks.positive("beta", beta)

    def value(tp, fp, fn, tn):
        square = beta * beta
        ratio = _ratio((1 + square) * tp, (1 + square) * tp + square * fn + fp)
        return np.where(tp + fn > 0, ratio, np.nan)

    return _averaged(value, scores, targets, thresholds, average)


def balanced_accuracy(
    scores, targets, *, thresholds: Thresholds = 0.5, average: str = "macro"
) -> float | np.ndarray:
    """Accuracy in which rare labels count as much as common ones.

    Of single labels the mean recall; of tags the mean of recall and specificity of each label.
    """
    if averages.task_of(targets) == "single_label":
        return recall(scores, targets, average=average)

    def value(tp, fp, fn, tn):
        return (_recall(tp, fp, fn, tn) + _specificity(tp, fp, fn, tn)) / 2

    return _averaged(value, scores, targets, thresholds, average)


def accuracy(scores, targets, *, thresholds: Thresholds = 0.5) -> float:
    """Share of right songs (targets [N]), or of right pairs of song and label (targets [N, K])."""
    if averages.task_of(targets) == "single_label":
        return top_k_accuracy(scores, targets, k=1)
    positive, predicted, observed = _decide(scores, targets, thresholds)
    return float(_share((positive == predicted)[observed]))


def exact_match(scores, targets, *, thresholds: Thresholds = 0.5) -> float:
    """Share of songs of which every observed label is right; songs with none do not count."""
    positive, predicted, observed = _decide(scores, targets, thresholds)
    right = ((positive == predicted) | ~observed).all(axis=1)
    return float(_share(right[observed.any(axis=1)]))


def top_k_accuracy(scores, targets, *, k: int) -> float:
    """Share of songs whose label is among the `k` with the highest scores; of single labels.

    Of equal scores the label further to the left comes first, as `accuracy` takes it.
    """
    checks.whole("k", k, lowest=1)
    _, scores, targets = averages.validate(scores, targets, task="single_label")
    of_true = np.take_along_axis(scores, targets[:, None], axis=1)
    before = np.arange(scores.shape[1]) < targets[:, None]
    rank = (scores > of_true).sum(1) + ((scores == of_true) & before).sum(1)
    return float(_share(rank < k))


def _decide(scores, targets, thresholds) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bool [N, K]: true, predicted, observed."""
    task, scores, targets = averages.validate(scores, targets)
    if task == "single_label":
        eye = np.eye(scores.shape[1], dtype=bool)
        return eye[targets], eye[scores.argmax(1)], np.ones(scores.shape, bool)
    limits = np.asarray(thresholds, np.float64)
    if limits.shape not in ((), (scores.shape[1],)):
        raise ValueError(
            f"thresholds have shape {limits.shape}; they must be one number, or one of each of the "
            f"{scores.shape[1]} labels"
        )
    return targets > 0.5, scores >= limits, ~np.isnan(targets)


def _averaged(value, scores, targets, thresholds, average: str) -> float | np.ndarray:
    averages.check(average)
    found = {
        key: n.astype(float) for key, n in counts(scores, targets, thresholds=thresholds).items()
    }
    if average == "micro":
        return float(value(**{key: each.sum() for key, each in found.items()}))
    support = found["tp"] + found["fn"]
    return averages.of_labels(value(**found), support, average=average)


def _precision(tp, fp, fn, tn):
    return np.where(tp + fn > 0, _ratio(tp, tp + fp), np.nan)


def _recall(tp, fp, fn, tn):
    return np.where(tp + fn > 0, _ratio(tp, tp + fn), np.nan)


def _specificity(tp, fp, fn, tn):
    return np.where(tn + fp > 0, _ratio(tn, tn + fp), np.nan)


def _ratio(top, bottom):
    return np.divide(top, bottom, out=np.zeros_like(np.asarray(bottom)), where=bottom > 0)


def _share(right: np.ndarray) -> float:
    return float(right.mean()) if right.size else float("nan")
