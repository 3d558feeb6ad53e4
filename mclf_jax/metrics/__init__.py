"""From song scores and targets to the numbers that a run is judged by.

`compute` gives those of a task, as every run reports them. The functions below it give one each,
with a choice of average, thresholds and kind; see `functions`.
"""

from mclf_jax.metrics.bootstrap import confidence_interval
from mclf_jax.metrics.compute import (
    HEADLINES,
    HIERARCHICAL,
    NAMES,
    Metrics,
    compute,
    direction,
    hierarchical,
    hierarchical_names,
    names_of,
)
from mclf_jax.metrics.functions.decisions import (
    accuracy,
    balanced_accuracy,
    counts,
    exact_match,
    f_beta,
    precision,
    recall,
    specificity,
    top_k_accuracy,
)
from mclf_jax.metrics.functions.numbers import ccc, mae, over_time, pearson, r2, rmse
from mclf_jax.metrics.functions.ranking import (
    BOUNDS,
    PR_KINDS,
    lwlrap,
    map_at_k,
    pr_auc,
    pr_auc_bound,
    roc_auc,
)

__all__ = [
    "BOUNDS",
    "HEADLINES",
    "HIERARCHICAL",
    "NAMES",
    "PR_KINDS",
    "Metrics",
    "accuracy",
    "balanced_accuracy",
    "ccc",
    "compute",
    "confidence_interval",
    "counts",
    "direction",
    "exact_match",
    "f_beta",
    "hierarchical",
    "hierarchical_names",
    "lwlrap",
    "mae",
    "map_at_k",
    "names_of",
    "over_time",
    "pearson",
    "pr_auc",
    "pr_auc_bound",
    "precision",
    "r2",
    "recall",
    "rmse",
    "roc_auc",
    "specificity",
    "top_k_accuracy",
]
