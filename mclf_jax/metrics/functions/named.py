"""The names under which `eval.metrics` asks for the functions of this folder."""

import re
from collections.abc import Callable
from functools import partial

from mclf_jax.metrics.functions import decisions, numbers, ranking
from mclf_jax.metrics.functions.averages import AVERAGES

_AVERAGED = {
    "precision": decisions.precision,
    "recall": decisions.recall,
    "specificity": decisions.specificity,
    "balanced_accuracy": decisions.balanced_accuracy,
    "roc_auc": ranking.roc_auc,
    "pr_auc": ranking.pr_auc,
    "pr_auc_trapezoid": partial(ranking.pr_auc, kind="trapezoid"),
    "pr_auc_interpolated": partial(ranking.pr_auc, kind="interpolated"),
    "pr_auc_random": partial(ranking.pr_auc_bound, kind="random"),
    "pr_auc_minimum": partial(ranking.pr_auc_bound, kind="minimum"),
}
_PLAIN = {
    "accuracy": decisions.accuracy,
    "exact_match": decisions.exact_match,
    "balanced_accuracy": decisions.balanced_accuracy,
    "lwlrap": ranking.lwlrap,
    "r2": numbers.r2,
    "mae": numbers.mae,
    "rmse": numbers.rmse,
    "pearson": numbers.pearson,
    "ccc": numbers.ccc,
}
_LOWER_IS_BETTER = ("mae", "rmse")
_MEANS = tuple(name for name in AVERAGES if name != "none")

NAMES = (
    *_PLAIN,
    "top_K_accuracy",
    "map_at_K",
    *(f"{name}_AVERAGE" for name in (*_AVERAGED, "fBETA")),
)
"""For messages; K is a number such as 5, AVERAGE macro, micro or weighted, BETA such as 0.5."""


def find(name: str) -> Callable[..., float] | None:
    """The function (scores, targets, *, labels) of a name, with its `direction`; None if there is
    none.

    >>> find("top_5_accuracy").direction
    'max'
    """
    made = _make(name)
    if made is None:
        return None

    def metric(scores, targets, *, labels):
        return made(scores, targets)

    metric.direction = "min" if name in _LOWER_IS_BETTER else "max"
    return metric


def _make(name: str) -> Callable[..., float] | None:
    if name in _PLAIN:
        return _PLAIN[name]
    if match := re.fullmatch(r"top_([1-9]\d*)_accuracy", name):
        return partial(decisions.top_k_accuracy, k=int(match[1]))
    if match := re.fullmatch(r"map_at_([1-9]\d*)", name):
        return partial(ranking.map_at_k, k=int(match[1]))
    base, _, average = name.rpartition("_")
    if average not in _MEANS:
        return None
    if base in _AVERAGED:
        return partial(_AVERAGED[base], average=average)
    if (match := re.fullmatch(r"f(\d+(?:\.\d+)?)", base)) and float(match[1]) > 0:
        return partial(decisions.f_beta, beta=float(match[1]), average=average)
    return None
