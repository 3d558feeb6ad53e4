"""Whether one model is better than another on the same songs, and how many such claims hold."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student

from mclf_jax.metrics.bootstrap import percentiles


def with_seeds(values: np.ndarray, points: Sequence[float], *, seed: int) -> np.ndarray:
    """Resamples [R] of the mean over the seeds of a method: of its songs, and of its seeds.

    Songs are resampled. Seeds are too few for that, so their mean varies by Student's t with the
    spread of their values: both errors are independent, and add up.

    Args:
        values: [S, R] of each seed, see `bootstrap.resampled`.
        points: the S values over all songs.
        seed: of the draws.
    """
    mean, count = np.mean(values, axis=0), len(points)
    if count < 2:
        return mean
    rng = np.random.default_rng([seed, count])
    drawn = student.rvs(count - 1, size=len(mean), random_state=rng)
    return mean + drawn * np.std(points, ddof=1) / np.sqrt(count)


def difference(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """How sure the difference of two models is, of the same resamples [R] of both.

    Returns:
        {"low", "high"}: 95 % percentile interval of first - second (Efron and Tibshirani 1993);
        "p": two-sided, the level at which that interval would just hold 0, at least 2 / (R + 1).
    """
    drawn = first - second
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return percentiles(drawn) | {"p": float("nan")}
    tail = 1 + min((drawn <= 0).sum(), (drawn >= 0).sum())
    return percentiles(drawn) | {"p": float(min(1.0, 2 * tail / (len(drawn) + 1)))}


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values for saying all that are below a level at once (Holm 1979); NaN stays NaN.

    With them the chance of even one wrong claim is at most the level, however many are tested.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, np.float64)
    defined = np.flatnonzero(~np.isnan(p))
    order = defined[np.argsort(p[defined], kind="stable")]
    corrected = np.full(len(p), np.nan)
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1, np.maximum.accumulate(p[order] * factors))
    return [round(float(each), 12) for each in corrected]
