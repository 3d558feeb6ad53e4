"""From song scores and targets to the numbers that a run is judged by; scikit-learn counts.

Shapes: N songs, K labels. Single-label scores are softmax probabilities, multi-label scores
sigmoid probabilities, regression predictions are in the units of the targets.

A label without a positive song has no recall, average precision or ROC curve, and one without a
negative has no ROC curve. Such labels are named in `Metrics.undefined`, hold NaN where a value
does not exist, and are left out of the macro means; they never stop an evaluation.

Targets of tags and of numbers are NaN where nobody looked: to predict such a label is neither
right nor wrong. A label is judged by the songs that it was observed for, micro averages are over
the observed pairs of song and label, and a label that was never observed is undefined.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from sklearn import metrics as sk

from mclf_jax.metrics import bootstrap, hierarchy
from mclf_jax.metrics.inputs import check_task, checked

_SINGLE = ("accuracy", "precision_macro", "recall_macro", "f1_macro")
_SINGLE += ("roc_auc_macro", "pr_auc_macro", "log_loss")
_MULTI = ("pr_auc_macro", "roc_auc_macro", "pr_auc_micro", "roc_auc_micro")
_MULTI += ("precision_macro", "recall_macro", "f1_macro")

NAMES = {"single_label": _SINGLE, "multi_label": _MULTI, "regression": ("r2", "mae", "rmse")}
"""The metrics of each task, as `compute` names them."""

HIERARCHICAL = ("precision_hierarchical", "recall_hierarchical", "f1_hierarchical")
"""What `hierarchical` adds for tags in a tree."""

HEADLINES = {
    "single_label": ("accuracy", "f1_macro"),
    "multi_label": ("pr_auc_macro", "roc_auc_macro"),
    "regression": ("r2", "rmse"),
}
"""The metrics that a report leads with and gives intervals for, first things first."""

_DIRECTIONS = {name: "max" for names in (*NAMES.values(), HIERARCHICAL) for name in names}
_DIRECTIONS |= {"loss": "min", "log_loss": "min", "mae": "min", "rmse": "min"}
_COUNTS = ("support", "observed")
_NO_PARENTS: Mapping[str, str] = MappingProxyType({})


@dataclasses.dataclass(frozen=True)
class Metrics:
    """What `compute` found.

    Attributes:
        values: metric name (`NAMES`) to value; NaN where no label defines it.
        per_label: label to {"precision", "recall", "f1", "support", "roc_auc", "pr_auc"}, or for
            regression {"r2", "mae", "rmse"}; NaN where undefined. Support is the positive songs.
            Where labels can be unknown, "observed" is the songs that one was looked for in.
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


def hierarchical_names(task: str, parents: Mapping[str, str]) -> tuple[str, ...]:
    """`HIERARCHICAL` where a task has them: for tags with parents; else nothing."""
    return HIERARCHICAL if task == "multi_label" and parents else ()


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
    check_task(task)
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
    scores, targets = checked("single_label", scores, targets, labels)
    classes = np.arange(len(labels))
    predicted = scores.argmax(axis=1)
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        targets, predicted, labels=classes, average=None, zero_division=0
    )
    one_hot = (targets[:, None] == classes).astype(np.float64)
    columns = _masked(precision, recall, f1, support) | _areas(_observed(scores, one_hot))
    values = {"accuracy": sk.accuracy_score(targets, predicted)} | _macro_values(columns)
    normalised = scores / scores.sum(axis=1, keepdims=True)
    values["log_loss"] = sk.log_loss(targets, normalised, labels=classes)
    confusion = sk.confusion_matrix(targets, predicted, labels=classes)
    return _metrics("single_label", values, columns, labels, confusion=confusion)


def multi_label(scores, targets, *, labels: Sequence[str], threshold: float = 0.5) -> Metrics:
    """Tags: any number of labels a song.

    PR-AUC is average precision, without interpolation. Micro averages take every observed
    (song, label) pair as one decision and leave no label out.

    Args:
        scores: float [N, K] in [0, 1].
        targets: [N, K] of zeros and ones, NaN where not observed.
        labels: the K tag names.
        threshold: a tag is predicted at this score and above, for precision, recall and F1.

    Raises:
        ValueError: shapes or values do not fit, or something is infinite.
    """
    scores, targets = checked("multi_label", scores, targets, labels)
    observed = _observed(scores, targets)
    counts = {"observed": np.array([len(true) for _, true in observed])}
    decided = [_decisions(true, score >= threshold) for score, true in observed]
    columns = _masked(*np.transpose(decided)) | counts | _areas(observed)
    micro = _areas(_observed(scores.reshape(-1, 1), targets.reshape(-1, 1)))
    values = {f"{name}_micro": float(micro[name][0]) for name in micro} | _macro_values(columns)
    return _metrics("multi_label", values, columns, labels)


def hierarchical(
    scores, targets, *, labels: Sequence[str], parents: Mapping[str, str], threshold: float = 0.5
) -> dict[str, float]:
    """Precision, recall and F1 of tags in a tree, with credit for what is nearly right.

    Both the true and the predicted tags of a song are extended by everything above them, and the
    sizes of the sets and of what they share are added up over all songs (Kiritchenko, Matwin,
    Nock and Famili 2006, hP, hR and hF): a wrong subgenre of the right genre is half right. A
    root that every song has is no label there; leave it out of `labels` to compare.

    Args:
        scores, targets, labels, threshold: as in `multi_label`. A score lower than one below it
            in the tree is raised to that.
        parents: {label: parent}; see `hierarchy`.

    Returns:
        The values of `HIERARCHICAL`, NaN where no song has a tag.

    Raises:
        ValueError: as `multi_label`, or the parents go in a circle.
    """
    scores, targets = checked("multi_label", scores, targets, labels)
    scores, targets = _closed(scores, targets, labels=labels, parents=parents)
    seen = ~np.isnan(targets)
    precision, recall, f1, support = _decisions(targets[seen], scores[seen] >= threshold)
    values = (precision, recall, f1) if support else (np.nan,) * 3
    return dict(zip(HIERARCHICAL, map(float, values), strict=True))


def regression(predictions, targets, *, labels: Sequence[str]) -> Metrics:
    """Numbers, such as valence and arousal; each value is the mean over the labels.

    R2 is undefined for a label whose targets are all equal, MAE and RMSE exist for every label
    that was observed.

    Args:
        predictions: float [N, K].
        targets: float [N, K], NaN where not observed.
        labels: the K names of what is predicted.

    Raises:
        ValueError: shapes do not fit, or something is infinite.
    """
    predictions, targets = checked("regression", predictions, targets, labels)
    true = [column for _, column in _observed(predictions, targets)]
    varied = np.array([len(column) > 0 and np.ptp(column) > 0 for column in true])
    r2 = np.full(len(labels), np.nan)
    if varied.any():
        r2[varied] = _scored(sk.r2_score, predictions[:, varied], targets[:, varied])
    columns = {
        "r2": r2,
        "mae": _scored(sk.mean_absolute_error, predictions, targets),
        "rmse": _scored(sk.root_mean_squared_error, predictions, targets),
    }
    values = {name: _macro(column) for name, column in columns.items()}
    columns["observed"] = np.array([len(column) for column in true])
    return _metrics("regression", values, columns, labels)


def confidence_interval(
    task: str,
    scores,
    targets,
    *,
    labels: Sequence[str],
    metric: str,
    parents: Mapping[str, str] = _NO_PARENTS,
    num_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, float]:
    """95 % percentile bootstrap interval over songs (Efron, 1979).

    It says how much the value depends on which songs were in the split, and nothing of how much
    it would change with another training seed. Labels that a resample leaves undefined are left
    out of its macro mean, and resamples without any defined label are left out altogether. Where
    every song is right, all resamples are equal and the interval has no width: with few songs
    that is an answer about the resampling and not about the model.

    Args:
        task, scores, targets, labels: as in `compute`.
        metric: one of `NAMES[task]`, or for tags with `parents` of `HIERARCHICAL`.
        parents: {label: parent}, as in `hierarchical`.
        num_resamples: how often as many songs as there are are drawn, with replacement.
        seed: of the draws.

    Returns:
        {"low": 2.5th percentile, "high": 97.5th}, both NaN where the metric is undefined.

    Raises:
        ValueError: as `compute`, or the task has no such metric.
    """
    scores, targets = checked(task, scores, targets, labels)
    names = NAMES[task] + hierarchical_names(task, parents)
    if metric not in names:
        raise ValueError(f"{task} has no metric {metric!r}; choose one of {', '.join(names)}")
    if num_resamples < 1:
        raise ValueError(f"num_resamples must be at least 1, got {num_resamples}")
    if metric in HIERARCHICAL:
        scores, targets = _closed(scores, targets, labels=labels, parents=parents)
    rng = np.random.default_rng(seed)
    values = bootstrap.resampled(
        metric, task, scores, targets, num_resamples=num_resamples, rng=rng
    )
    values = values[np.isfinite(values)]
    low, high = np.percentile(values, [2.5, 97.5]) if len(values) else (np.nan, np.nan)
    return {"low": float(low), "high": float(high)}


def _closed(scores, targets, *, labels, parents) -> tuple[np.ndarray, np.ndarray]:
    above = hierarchy.ancestry(labels, parents)
    return hierarchy.consistent_scores(scores, above), hierarchy.closed_targets(targets, above)


def _observed(scores: np.ndarray, targets: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Scores and targets of each of K labels, both of the songs that it was observed for."""
    pairs = zip(scores.T, targets.T, strict=True)
    return [(score[~np.isnan(true)], true[~np.isnan(true)]) for score, true in pairs]


def _decisions(true: np.ndarray, predicted: np.ndarray) -> tuple[float, float, float, float]:
    """Precision, recall, F1 and the number of positives among decisions, maybe none at all."""
    if not len(true):
        return 0.0, 0.0, 0.0, 0.0
    found = sk.precision_recall_fscore_support(
        true.astype(np.int64), predicted, average="binary", zero_division=0
    )
    return *found[:3], true.sum()


def _areas(observed: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """ROC-AUC and average precision [K] of the pairs of `_observed`, NaN where undefined."""
    roc_auc, pr_auc = np.full((2, len(observed)), np.nan)
    for k, (score, true) in enumerate(observed):
        if true.sum() > 0:
            pr_auc[k] = sk.average_precision_score(true, score)
        if 0 < true.sum() < len(true):
            roc_auc[k] = sk.roc_auc_score(true, score)
    return {"roc_auc": roc_auc, "pr_auc": pr_auc}


def _scored(score: Callable, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """A regression score of scikit-learn for each label [K], NaN where none was observed."""
    if not np.isnan(targets).any():
        return score(targets, predictions, multioutput="raw_values")
    pairs = _observed(predictions, targets)
    return np.array([score(true, guess) if len(true) else np.nan for guess, true in pairs])


def _masked(precision, recall, f1, support) -> dict[str, np.ndarray]:
    exists = np.asarray(support) > 0
    columns = {"precision": precision, "recall": recall, "f1": f1}
    masked = {name: np.where(exists, column, np.nan) for name, column in columns.items()}
    return masked | {"support": np.asarray(support)}


def _macro_values(columns: Mapping[str, np.ndarray]) -> dict[str, float]:
    return {f"{name}_macro": _macro(c) for name, c in columns.items() if name not in _COUNTS}


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
