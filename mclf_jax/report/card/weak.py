"""Where a model is weak: its worst labels, and groups of songs that it fails. N songs, K labels."""

from collections.abc import Sequence

import numpy as np

from mclf_jax.evaluation.result import Report
from mclf_jax.metrics.bootstrap import label_intervals
from mclf_jax.report.groups import songs_by
from mclf_jax.report.songs import mistakes

METRICS = {"single_label": "f1", "multi_label": "pr_auc", "regression": "r2"}
"""What labels are compared by, by task."""
NUM_SHOWN = 8
FEW_SONGS = 20
"""Labels with fewer positive songs than this are named: a score of them says little."""
FEWEST_OF_GROUP = 5


def labels(report: Report) -> list[dict]:
    """The labels with the lowest scores: "label", "score", "interval" (95 %) and "songs"."""
    metric = METRICS[report.task]
    scored = {label: values.get(metric, np.nan) for label, values in report.per_label.items()}
    worst = sorted((value, label) for label, value in scored.items() if np.isfinite(value))
    shown = [label for _, label in worst[:NUM_SHOWN]]
    if not shown:
        return []
    intervals = label_intervals(
        report.task,
        report.scores,
        report.targets,
        labels=report.labels,
        metric=metric,
        groups=report.groups if "intervals" in report.meta else (),  # as those of the whole split
    )
    return [
        {
            "label": label,
            "score": scored[label],
            "interval": intervals[label],
            "songs": songs_of(report, label),
        }
        for label in shown
    ]


def rare(report: Report) -> dict[str, int]:
    """{label: positive songs} of labels with few; of regression, songs with a known value."""
    counts = {label: songs_of(report, label) for label in report.labels}
    few = {label: count for label, count in counts.items() if count < FEW_SONGS}
    return dict(sorted(few.items(), key=lambda pair: pair[1]))


def songs_of(report: Report, label: str) -> int:
    """How many songs of the split have a label, or of regression a known value."""
    column = "observed" if report.task == "regression" else "support"
    return int(report.per_label[label].get(column, 0))


def groups(report: Report) -> list[dict] | None:
    """The groups of at least `FEWEST_OF_GROUP` songs with the greatest error, the worst first.

    Errors are shares of wrong songs (single-label), mean cross-entropy (multi-label), or mean
    squared error in units of each label's variance.

    Returns:
        "group", "songs" and "error" of each; None where the report does not know of groups.
    """
    if not report.groups:
        return None
    errors = mistakes.song_errors(report)
    found = [
        {"group": name, "songs": len(songs), "error": float(errors[songs].mean())}
        for name, songs in songs_by(report.groups, errors).items()
        if len(songs) >= FEWEST_OF_GROUP
    ]
    found.sort(key=lambda each: -each["error"])
    return found[:NUM_SHOWN]


def branches(report: Report) -> list[dict]:
    """Labels that have others below them, by the mean score of those, the worst first."""
    metric, below = METRICS[report.task], {}
    for label in report.labels:
        if (parent := report.parents.get(label)) is not None:
            below.setdefault(parent, []).append(label)
    found = []
    for parent, children in below.items():
        values = [report.per_label[label].get(metric, np.nan) for label in children]
        values = [value for value in values if np.isfinite(value)]
        if values:
            found.append({"branch": parent, "labels": len(values), "score": float(np.mean(values))})
    return sorted(found, key=lambda each: each["score"])[:NUM_SHOWN]


def confusions(report: Report) -> Sequence[dict]:
    """The commonest mistakes of `single_label`, as `mistakes.confused_pairs` has them."""
    if report.task != "single_label":
        return []
    return mistakes.confused_pairs(report, count=5)
