"""How near predicted numbers are to true ones: of songs, or along them."""

from collections.abc import Callable, Sequence

import numpy as np

from mclf_jax.common import checks
from mclf_jax.metrics import counted
from mclf_jax.metrics.functions import averages

OVER_TIME = ("concatenated", "per_song")
_AVERAGES = ("macro", "none")


def r2(predictions, targets, *, average: str = "macro") -> float | np.ndarray:
    """Coefficient of determination: the share of the variance that is explained.

    Args:
        predictions: float [N, K].
        targets: float [N, K], NaN where not observed.
        average: "macro", the mean over the K numbers that have one, or "none", [K].

    Raises:
        ValueError: shapes do not fit, or something is not finite.
    """
    return _counted("r2", predictions, targets, average)


def mae(predictions, targets, *, average: str = "macro") -> float | np.ndarray:
    """Mean absolute error; see `r2`."""
    return _counted("mae", predictions, targets, average)


def rmse(predictions, targets, *, average: str = "macro") -> float | np.ndarray:
    """Root of the mean squared error; see `r2`."""
    return _counted("rmse", predictions, targets, average)


def pearson(predictions, targets, *, average: str = "macro") -> float | np.ndarray:
    """Correlation coefficient; undefined where either does not vary. See `r2`."""

    def value(x, y):
        spread = x.std() * y.std()
        return np.mean((x - x.mean()) * (y - y.mean())) / spread if spread > 0 else np.nan

    return _of_columns(value, predictions, targets, average)


def ccc(predictions, targets, *, average: str = "macro") -> float | np.ndarray:
    """Concordance correlation coefficient (Lin 1989), as emotion is scored along songs.

    2 s_xy / (s_x² + s_y² + (mean_x - mean_y)²), with variances over N: correlation that a wrong
    scale or offset makes lower. Undefined where neither varies and both are equal. See `r2`.
    """

    def value(x, y):
        bottom = x.var() + y.var() + (x.mean() - y.mean()) ** 2
        return 2 * np.mean((x - x.mean()) * (y - y.mean())) / bottom if bottom > 0 else np.nan

    return _of_columns(value, predictions, targets, average)


def over_time(
    metric: Callable, predictions: Sequence, targets: Sequence, *, how: str = "concatenated"
) -> float:
    """A metric of numbers along songs.

    Args:
        metric: of this module, such as `ccc`, or any other (predictions, targets) -> float.
        predictions, targets: of each song float [T, K], T its own; NaN where not observed.
        how: "concatenated": one value of all moments of all songs, as AVEC scores; "per_song": the
            mean of the values of the songs that have one, as MediaEval's emotion in music does.

    Raises:
        ValueError: there is no song, or shapes do not fit one another.
    """
    checks.choice("how", how, OVER_TIME)
    if not len(predictions) or len(predictions) != len(targets):
        raise ValueError(
            f"got predictions of {len(predictions)} songs and targets of {len(targets)}; they must "
            "be of the same songs, one or more"
        )
    if how == "concatenated":
        return float(metric(np.concatenate(list(predictions)), np.concatenate(list(targets))))
    values = np.array([metric(p, t) for p, t in zip(predictions, targets, strict=True)])
    return averages.of_labels(values, np.ones(len(values)), average="macro")


def _counted(name: str, predictions, targets, average: str) -> float | np.ndarray:
    averages.check(average, _AVERAGES)
    _, predictions, targets = averages.validate(predictions, targets, task="regression")
    values = counted.per_label(name, "regression", predictions, targets)
    return float(counted.macro(values)[0]) if average == "macro" else values[:, 0]


def _of_columns(value, predictions, targets, average: str) -> float | np.ndarray:
    averages.check(average, _AVERAGES)
    _, predictions, targets = averages.validate(predictions, targets, task="regression")
    values = []
    for x, y in zip(predictions.T, targets.T, strict=True):
        seen = ~np.isnan(y)
        values.append(value(x[seen], y[seen]) if seen.any() else np.nan)
    return averages.of_labels(np.array(values), np.ones(len(values)), average=average)
