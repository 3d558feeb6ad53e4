"""From song scores and targets to the numbers that a run is judged by; scikit-learn counts.

Shapes: N songs, K labels. Single-label scores are softmax probabilities, multi-label scores
sigmoid probabilities, regression predictions are in the units of the targets.

A label without a positive song has no recall, average precision or ROC curve, and one without a
negative has no ROC curve. Such labels are named in `Metrics.undefined`, hold NaN where a value
does not exist, and are left out of the macro means; they never stop an evaluation.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from sklearn import metrics as sk

from mclf_jax import bootstrap
from mclf_jax.data.source import TASKS

_SINGLE = ("accuracy", "precision_macro", "recall_macro", "f1_macro")
_SINGLE += ("roc_auc_macro", "pr_auc_macro", "log_loss")
_MULTI = ("pr_auc_macro", "roc_auc_macro", "pr_auc_micro", "roc_auc_micro")
_MULTI += ("precision_macro", "recall_macro", "f1_macro")

NAMES = {"single_label": _SINGLE, "multi_label": _MULTI, "regression": ("r2", "mae", "rmse")}
"""The metrics of each task, as `compute` names them."""

HEADLINES = {
    "single_label": ("accuracy", "f1_macro"),
    "multi_label": ("pr_auc_macro", "roc_auc_macro"),
    "regression": ("r2", "rmse"),
}
"""The metrics that a report leads with and gives intervals for, first things first."""

_DIRECTIONS = {name: "max" for names in NAMES.values() for name in names}
_DIRECTIONS |= {"loss": "min", "log_loss": "min", "mae": "min", "rmse": "min"}


@dataclasses.dataclass(frozen=True)
class Metrics:
    """What `compute` found.

    Attributes:
        values: metric name (`NAMES`) to value; NaN where no label defines it.
        per_label: label to {"precision", "recall", "f1", "roc_auc", "pr_auc", "support"}, or for
            regression {"r2", "mae", "rmse"}; NaN where undefined. Support is the positive songs.
        undefined: labels that are left out of at least one macro mean.
        confusion: int [K, K] for `single_label`, rows true and columns predicted; else None.
    """

    values: dict[str, float]
    per_label: dict[str, dict[str, float]]
    undefined: tuple[str, ...]
    confusion: np.ndarray | None


def direction(name: str) -> str:
    """Which way a metric improves: "max" or "min".

    Raises:
        ValueError: no metric has that name.
    """
    if name not in _DIRECTIONS:
        raise ValueError(f"unknown metric {name!r}; choose one of {', '.join(sorted(_DIRECTIONS))}")
    return _DIRECTIONS[name]


def compute(task: str, scores, targets, *, labels: Sequence[str]) -> Metrics:
    """The metrics of a task in `TASKS`: `single_label`, `multi_label` or `regression`.

    Raises:
        ValueError: unknown task, or arrays that do not fit it.
    """
    functions = {
        "single_label": single_label,
        "multi_label": multi_label,
        "regression": regression,
    }
    _check_task(task)
    return functions[task](scores, targets, labels=labels)


def single_label(scores, targets, *, labels: Sequence[str]) -> Metrics:
    """One label of many.

    A class without songs in `targets` is left out of every macro mean; songs taken for it still
    count against their own class. A class that is never predicted has precision 0.

    Args:
        scores: float [N, K], rows summing to one.
        targets: int [N], class indices.
        labels: the K class names.

    Raises:
        ValueError: shapes, types or values do not fit, or something is not finite.
    """
    scores, targets = _checked("single_label", scores, targets, labels)
    classes = np.arange(len(labels))
    predicted = scores.argmax(axis=1)
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        targets, predicted, labels=classes, average=None, zero_division=0
    )
    one_hot = (targets[:, None] == classes).astype(np.float64)
    columns = _masked(precision, recall, f1, support) | _areas(scores, one_hot)
    values = {"accuracy": sk.accuracy_score(targets, predicted)}
    values |= {f"{name}_macro": _macro(columns[name]) for name in columns if name != "support"}
    normalised = scores / scores.sum(axis=1, keepdims=True)
    values["log_loss"] = sk.log_loss(targets, normalised, labels=classes)
    confusion = sk.confusion_matrix(targets, predicted, labels=classes)
    return _metrics("single_label", values, columns, labels, confusion=confusion)


def multi_label(scores, targets, *, labels: Sequence[str], threshold: float = 0.5) -> Metrics:
    """Tags: any number of labels a song.

    PR-AUC is average precision, without interpolation. Micro averages take every (song, label)
    pair as one decision and leave nothing out.

    Args:
        scores: float [N, K] in [0, 1].
        targets: [N, K] of zeros and ones.
        labels: the K tag names.
        threshold: a tag is predicted at this score and above, for precision, recall and F1.

    Raises:
        ValueError: shapes or values do not fit, or something is not finite.
    """
    scores, targets = _checked("multi_label", scores, targets, labels)
    predicted = scores >= threshold
    one_each = [
        sk.precision_recall_fscore_support(
            targets[:, k], predicted[:, k], average="binary", zero_division=0
        )[:3]
        for k in range(len(labels))
    ]
    columns = _masked(*np.transpose(one_each), targets.sum(axis=0)) | _areas(scores, targets)
    micro = _areas(scores.reshape(-1, 1), targets.reshape(-1, 1))
    values = {f"{name}_micro": float(micro[name][0]) for name in micro}
    values |= {f"{name}_macro": _macro(columns[name]) for name in columns if name != "support"}
    return _metrics("multi_label", values, columns, labels)


def regression(predictions, targets, *, labels: Sequence[str]) -> Metrics:
    """Numbers, such as valence and arousal; each value is the mean over the labels.

    R2 is undefined for a label whose targets are all equal, MAE and RMSE always exist.

    Args:
        predictions: float [N, K].
        targets: float [N, K].
        labels: the K names of what is predicted.

    Raises:
        ValueError: shapes do not fit, or something is not finite.
    """
    predictions, targets = _checked("regression", predictions, targets, labels)
    varied = np.ptp(targets, axis=0) > 0
    r2 = np.full(len(labels), np.nan)
    if varied.any():
        r2[varied] = sk.r2_score(
            targets[:, varied], predictions[:, varied], multioutput="raw_values"
        )
    columns = {
        "r2": r2,
        "mae": sk.mean_absolute_error(targets, predictions, multioutput="raw_values"),
        "rmse": sk.root_mean_squared_error(targets, predictions, multioutput="raw_values"),
    }
    values = {name: _macro(column) for name, column in columns.items()}
    return _metrics("regression", values, columns, labels)


def confidence_interval(
    task: str,
    scores,
    targets,
    *,
    labels: Sequence[str],
    metric: str,
    num_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, float]:
    """95 % percentile bootstrap interval over songs (Efron, 1979).

    It says how much the value depends on which songs were in the split, and nothing of how much
    it would change with another training seed. Labels that a resample leaves undefined are left
    out of its macro mean, and resamples without any defined label are left out altogether. Where
    every song is right, all resamples are equal and the interval has no width: with few songs
    that is an answer about the resampling and not about the model.

    Returns:
        {"low": 2.5th percentile, "high": 97.5th}, both NaN where the metric is undefined.

    Raises:
        ValueError: as `compute`, or the task has no such metric.
    """
    scores, targets = _checked(task, scores, targets, labels)
    if metric not in NAMES[task]:
        raise ValueError(f"{task} has no metric {metric!r}; choose one of {', '.join(NAMES[task])}")
    if num_resamples < 1:
        raise ValueError(f"num_resamples must be at least 1, got {num_resamples}")
    rng = np.random.default_rng(seed)
    values = bootstrap.resampled(
        metric, task, scores, targets, num_resamples=num_resamples, rng=rng
    )
    values = values[np.isfinite(values)]
    low, high = np.percentile(values, [2.5, 97.5]) if len(values) else (np.nan, np.nan)
    return {"low": float(low), "high": float(high)}


def _areas(scores: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
    """ROC-AUC and average precision [K] of each column, NaN where undefined."""
    positives = targets.sum(axis=0)
    roc_auc, pr_auc = np.full((2, len(positives)), np.nan)
    for k, count in enumerate(positives):
        if count > 0:
            pr_auc[k] = sk.average_precision_score(targets[:, k], scores[:, k])
        if 0 < count < len(targets):
            roc_auc[k] = sk.roc_auc_score(targets[:, k], scores[:, k])
    return {"roc_auc": roc_auc, "pr_auc": pr_auc}


def _masked(precision, recall, f1, support) -> dict[str, np.ndarray]:
    exists = np.asarray(support) > 0
    columns = {"precision": precision, "recall": recall, "f1": f1}
    masked = {name: np.where(exists, column, np.nan) for name, column in columns.items()}
    return masked | {"support": np.asarray(support)}


def _macro(column: np.ndarray) -> float:
    defined = column[np.isfinite(column)]
    return float(defined.mean()) if len(defined) else float("nan")


def _metrics(task, values, columns, labels, *, confusion=None) -> Metrics:
    per_label = {
        label: {name: float(column[k]) for name, column in columns.items()}
        for k, label in enumerate(labels)
    }
    undefined = tuple(label for label in labels if np.isnan(list(per_label[label].values())).any())
    ordered = {name: float(values[name]) for name in NAMES[task]}
    return Metrics(ordered, per_label, undefined, confusion)


def _check_task(task: str) -> None:
    if task not in TASKS:
        raise ValueError(f"unknown task {task!r}; choose one of {', '.join(TASKS)}")


def _checked(task: str, scores, targets, labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Float64 scores [N, K] and targets that fit the task, or a ValueError in words."""
    _check_task(task)
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
    for name, array in (("scores", scores), ("targets", targets)):
        bad = np.count_nonzero(~np.isfinite(array.astype(np.float64)))
        if bad:
            raise ValueError(f"{name} must be finite, but {bad} of {array.size} values are not")
    if task != "regression" and (scores.min() < -1e-6 or scores.max() > 1 + 1e-6):
        raise ValueError(
            f"scores must be probabilities in [0, 1], got {scores.min():.4g} to "
            f"{scores.max():.4g}; apply softmax or sigmoid to logits first"
        )
    return scores, _checked_targets(task, scores, targets, num_labels)


def _checked_targets(task, scores, targets, num_labels) -> np.ndarray:
    if task == "multi_label":
        if not np.isin(targets, (0, 1)).all():
            raise ValueError("targets of multi_label must be zeros and ones")
        return targets.astype(np.int64)
    if task == "regression":
        return targets.astype(np.float64)
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
