"""From which score on a song is said to have a tag: chosen on songs that are not tested on."""

import numpy as np

from mclf_jax.metrics.inputs import validate


def best_f1_thresholds(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The threshold of each tag that gives it the highest F1.

    It lies in the middle between two scores, and is the highest of those that are equally good.

    Args:
        scores: float [N, K].
        targets: [N, K] of 0 and 1, NaN where not observed.

    Returns:
        float64 [K]; NaN for tags without a positive or a negative song.

    >>> best_f1_thresholds(np.array([[0.9], [0.6], [0.3]]), np.array([[1.0], [1.0], [0.0]]))
    array([0.45])
    """
    names = [str(k) for k in range(np.shape(scores)[1])]
    scores, targets = validate("multi_label", scores, targets, names)
    return np.array([_best(s, t) for s, t in zip(scores.T, targets.T, strict=True)])


def _best(scores: np.ndarray, targets: np.ndarray) -> float:
    seen = ~np.isnan(targets)
    scores, targets = scores[seen], targets[seen]
    order = np.argsort(-scores, kind="stable")
    scores, targets = scores[order], targets[order]
    num_positives = targets.sum()
    if not 0 < num_positives < len(targets):
        return np.nan
    f1 = 2 * np.cumsum(targets) / (np.arange(1, len(targets) + 1) + num_positives)
    # Songs with equal scores are all above a threshold or none of them is.
    last = np.append(scores[:-1] > scores[1:], True)
    best = int(np.flatnonzero(last)[f1[last].argmax()])
    below = scores[best + 1] if best + 1 < len(scores) else 0.0
    return float((scores[best] + below) / 2)
