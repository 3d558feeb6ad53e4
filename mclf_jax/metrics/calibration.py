"""How far probabilities can be believed: what was said, against what came true."""

import numpy as np

from mclf_jax.common import checks
from mclf_jax.metrics.inputs import validate

NUM_BINS = 10


def reliability(
    task: str, scores: np.ndarray, targets: np.ndarray, *, num_bins: int = NUM_BINS
) -> list[dict[str, float]]:
    """Bins of equal width of what was said, [0, 1], with what came true; empty ones are left out.

    Of `single_label`, what is said is the highest score of a song, and it comes true if that label
    is right. Of `multi_label` it is every score of a song and a label that was observed, and it
    comes true if the song has the label.

    Args:
        task: "single_label" or "multi_label".
        scores: float [N, K], probabilities.
        targets: int [N], or [N, K] of zeros and ones, NaN where not observed.
        num_bins: into which [0, 1] is cut.

    Returns:
        For each bin "low", "high", "count" of decisions, "said", the mean score, and "true", the
        share that came true.

    Raises:
        ValueError: a task without probabilities, or what does not fit it.
    """
    checks.choice("task", task, ("single_label", "multi_label"))
    checks.at_least("num_bins", num_bins, 1)
    scores = np.asarray(scores)
    scores, targets = validate(task, scores, targets, list(map(str, range(scores.shape[-1]))))
    if task == "single_label":
        said, true = scores.max(axis=1), scores.argmax(axis=1) == targets
    else:
        observed = ~np.isnan(targets)
        said, true = scores[observed], targets[observed] > 0.5
    place = np.clip((said * num_bins).astype(int), 0, num_bins - 1)
    return [
        {
            "low": k / num_bins,
            "high": (k + 1) / num_bins,
            "count": int(inside.sum()),
            "said": float(said[inside].mean()),
            "true": float(true[inside].mean()),
        }
        for k in range(num_bins)
        if (inside := place == k).any()
    ]


def expected_error(bins: list[dict[str, float]]) -> float:
    """Mean |said - true| over bins of `reliability`, weighted by their counts; NaN without any.

    The expected calibration error of Naeini, Cooper and Hauskrecht 2015 (with top scores, as Guo,
    Pleiss, Sun and Weinberger 2017). It depends on the number of bins, and rare labels, whose
    scores and shares are near 0 alike, make that of `multi_label` small.

    >>> expected_error([{"count": 3, "said": 0.9, "true": 0.7}])
    0.2
    """
    total = sum(each["count"] for each in bins)
    if not total:
        return float("nan")
    gaps = (each["count"] * abs(each["said"] - each["true"]) for each in bins)
    return round(sum(gaps) / total, 12)
