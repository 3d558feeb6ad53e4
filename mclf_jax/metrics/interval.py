"""How sure a mean over seeds and folds is, and a share of songs."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student


def mean_interval(values: Sequence[float], *, num_folds: int) -> dict[str, float]:
    """Mean of scores and half of its 95 % interval, by Student's t.

    Folds are tested on different songs but trained on mostly the same ones, and every seed deals
    the same songs again, so that their scores are less independent than they look and the plain
    interval is too narrow. With folds the variance of the mean is therefore s² (1/n + 1/(k - 1))
    instead of s² / n: the corrected resampled t of Nadeau and Bengio 2003, as Bouckaert and Frank
    2004 recommend it for repeated cross-validation, where test is 1/(k - 1) of the rest. Without
    folds the test songs are always the same ones, and the interval says nothing of another choice
    of songs: for that there is `metrics.confidence_interval`.

    Args:
        values: n scores, or differences of scores.
        num_folds: k, or 0 where there are none.

    Returns:
        "mean", "half_width" (NaN for n = 1) and "count", n. A value that is NaN makes both NaN.
    """
    scores = np.asarray(values, np.float64)
    count = len(scores)
    half_width = math.nan
    if count > 1:
        factor = 1 / count + (1 / (num_folds - 1) if num_folds else 0.0)
        spread = math.sqrt(scores.var(ddof=1) * factor)
        half_width = float(student.ppf(0.975, count - 1) * spread)
    return {"mean": float(scores.mean()), "half_width": half_width, "count": count}


def share_interval(hits: int, count: int) -> dict[str, float]:
    """95 % interval of a share, {"low", "high"}: Wilson's, which has a width at 0 and at 1 too.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.

    >>> {end: round(value, 3) for end, value in share_interval(0, 10).items()}
    {'low': 0.0, 'high': 0.278}
    """
    z2 = float(norm.ppf(0.975)) ** 2
    centre = (hits + z2 / 2) / (count + z2)
    spread = math.sqrt(z2 * (hits * (count - hits) / count + z2 / 4)) / (count + z2)
    return {"low": max(0.0, centre - spread), "high": min(1.0, centre + spread)}
