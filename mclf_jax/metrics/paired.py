"""Whether one model is better than another on the same songs, and how many such claims hold."""

from collections.abc import Mapping, Sequence

import numpy as np

from mclf_jax.metrics.bootstrap import percentiles


def with_seeds(
    values: Mapping[str, np.ndarray], points: Mapping[str, Sequence[float]], *, seed: int = 0
) -> dict[str, np.ndarray]:
    """Resamples [R] of the mean over the seeds of each method: of its songs, and of its seeds.

    Songs are resampled. Seeds are too few for that: what their mean varies by is drawn from
    Student's t, with the spread of seeds that all methods share, as in an analysis of variance. A
    method of one seed is taken as it is.

    Args:
        values: [S, R] of the seeds of each method, see `bootstrap.resampled`.
        points: the S values of each over all songs.
        seed: of the draws.
    """
    several = {name: np.asarray(of) for name, of in points.items() if len(of) > 1}
    found = {name: np.mean(drawn, axis=0) for name, drawn in values.items()}
    freedom = sum(len(of) - 1 for of in several.values())
    if not freedom:
        return found
    squares = sum(np.square(of - of.mean()).sum() for of in several.values())
    rng, size = np.random.default_rng(seed), len(next(iter(found.values())))
    # One draw of the spread for all, as there is one estimate of it.
    spread = np.sqrt(squares / rng.chisquare(freedom, size))
    for name, of in several.items():
        found[name] = found[name] + spread * rng.standard_normal(size) / np.sqrt(len(of))
    return found


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
