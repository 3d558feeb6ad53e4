"""Which metrics a task has, and their values: those of `counted`, every song counted once.

Shapes: N songs, K labels. Single-label scores are softmax probabilities, multi-label scores
sigmoid probabilities, regression predictions are in the units of the targets.

A label without a positive song has no recall, average precision or ROC curve, and one without a
negative has no ROC curve; targets that are all equal have no R2. Such labels are named in
`Metrics.undefined`, hold NaN where a value does not exist, and are left out of the macro means;
they never stop an evaluation. Songs that are taken for such a class still count against their own,
and a class that is never predicted has precision 0.

Targets of multi-label and regression are NaN where nobody looked: to predict such a label is
neither right nor wrong. A label is judged by the songs that it was observed for, micro averages
are over the observed pairs of song and label, and a label that was never observed is undefined.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from mclf_jax.common import checks
from mclf_jax.metrics import counted, hierarchy, keys
from mclf_jax.metrics.inputs import validate

_SINGLE = ("accuracy", "precision_macro", "recall_macro", "f1_macro")
_SINGLE += ("roc_auc_macro", "pr_auc_macro", "log_loss")
_MULTI = ("pr_auc_macro", "roc_auc_macro", "pr_auc_micro", "roc_auc_micro")
_MULTI += ("precision_macro", "recall_macro", "f1_macro")

NAMES = {"single_label": _SINGLE, "multi_label": _MULTI, "regression": ("r2", "mae", "rmse")}
"""The metrics of each task, as `compute` names them."""

HIERARCHICAL = ("precision_hierarchical", "recall_hierarchical", "f1_hierarchical")
"""What `hierarchical` adds for labels in a tree."""

OF_KEYS = (keys.NAME,)
"""What `compute` adds where the labels are the 24 musical keys, see `keys`."""

HEADLINES = {
    "single_label": ("accuracy", "f1_macro"),
    "multi_label": ("pr_auc_macro", "roc_auc_macro"),
    "regression": ("r2", "rmse"),
}
"""The metrics that a report leads with and gives intervals for, first things first."""

_DIRECTIONS = {name: "max" for names in (*NAMES.values(), HIERARCHICAL, OF_KEYS) for name in names}
_DIRECTIONS |= {"loss": "min", "log_loss": "min", "mae": "min", "rmse": "min"}
_PER_LABEL = {
    "single_label": ("precision", "recall", "f1", "support", "roc_auc", "pr_auc"),
    "multi_label": ("precision", "recall", "f1", "support", "observed", "roc_auc", "pr_auc"),
    "regression": ("r2", "mae", "rmse", "observed"),
}


@dataclasses.dataclass(frozen=True)
class Metrics:
    """What `compute` found.

    Attributes:
        values: metric name (`names_of`) to value; NaN where no label defines it.
        per_label: label to {"precision", "recall", "f1", "support", "roc_auc", "pr_auc"}, or for
            regression {"r2", "mae", "rmse"}; NaN where undefined. Support is the positive songs.
            Where labels can be unknown, "observed" is the songs that one was looked for in.
        undefined: labels that are left out of at least one macro mean.
    """

    values: dict[str, float]
    per_label: dict[str, dict[str, float]]
    undefined: tuple[str, ...]


def direction(name: str) -> str:
    """Which way a metric improves: "max" or "min".

    Raises:
        ValueError: no metric has that name.

    >>> direction("accuracy"), direction("loss")
    ('max', 'min')
    """
    checks.choice("metric", name, sorted(_DIRECTIONS))
    return _DIRECTIONS[name]


def names_of(task: str, labels: Sequence[str]) -> tuple[str, ...]:
    """The metrics of a task with these labels: `NAMES`, and those of keys."""
    more = OF_KEYS if task == "single_label" and keys.is_keys(labels) else ()
    return NAMES[task] + more


def hierarchical_names(task: str, parents: Mapping[str, str]) -> tuple[str, ...]:
    """`HIERARCHICAL` where a task has them: multi-label with parents; else nothing."""
    return HIERARCHICAL if task == "multi_label" and parents else ()


def compute(task: str, scores, targets, *, labels: Sequence[str]) -> Metrics:
    """The metrics of a task.

    PR-AUC is average precision, without interpolation. A song has the label of its highest score
    (`single_label`) or those with a score of at least 0.5 (`multi_label`), for accuracy,
    precision, recall and F1. Micro averages take every observed pair of song and label as one
    decision and leave no label out.

    Args:
        task: "single_label", "multi_label" or "regression".
        scores: float [N, K]: rows summing to one, in [0, 1], or predictions.
        targets: int [N], class indices; or [N, K] of zeros and ones or of numbers, NaN where not
            observed.
        labels: the K names.

    Raises:
        ValueError: unknown task, or shapes, types or values do not fit it; not finite.

    >>> compute("regression", [[1.0], [2.0]], [[1.0], [3.0]], labels=["valence"]).values
    {'r2': 0.5, 'mae': 0.5, 'rmse': 0.7071067811865476}
    """
    scores, targets = validate(task, scores, targets, labels)
    columns = {name: counted.per_label(name, task, scores, targets) for name in _PER_LABEL[task]}
    per_label = {
        label: {name: float(column[k, 0]) for name, column in columns.items()}
        for k, label in enumerate(labels)
    }
    values = {}
    for name in names_of(task, labels):
        of_labels = columns.get(name.removesuffix("_macro"))
        if of_labels is None:
            value = counted.value(name, task, scores, targets)
        else:
            value = counted.macro(of_labels)
        values[name] = float(value[0])
    return Metrics(
        values=values,
        per_label=per_label,
        undefined=tuple(
            label for label in labels if np.isnan(list(per_label[label].values())).any()
        ),
    )


def hierarchical(
    scores, targets, *, labels: Sequence[str], parents: Mapping[str, str]
) -> dict[str, float]:
    """Precision, recall and F1 of labels in a tree, with credit for what is nearly right.

    Both the true and the predicted labels of a song are extended by everything above them, and the
    sizes of the sets and of what they share are added up over all songs (Kiritchenko, Matwin,
    Nock and Famili 2006, hP, hR and hF): a wrong subgenre of the right genre is half right. A
    root that every song has is no label there; leave it out of `labels` to compare.

    Args:
        scores, targets, labels: as in `compute` for "multi_label". A score lower than one below it
            in the tree is raised to that.
        parents: {label: parent}; see `hierarchy`.

    Returns:
        The values of `HIERARCHICAL`, NaN where no song has a label.

    Raises:
        ValueError: as `compute`, or the parents go in a circle.
    """
    scores, targets = validate("multi_label", scores, targets, labels)
    scores, targets = hierarchy.close(scores, targets, labels=labels, parents=parents)
    return {
        name: float(counted.value(name, "multi_label", scores, targets)[0]) for name in HIERARCHICAL
    }
