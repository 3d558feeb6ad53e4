"""`mclf.plot`: what a notebook draws, of audio and features, and of reports by their name alone.

A report is what `mclf.evaluate` gives; every function returns a matplotlib Figure.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mclf_jax.common import checks
from mclf_jax.figures.features import (
    compare,
    filter_bank,
    harmonic_filters,
    spectrogram,
    waveform,
)
from mclf_jax.figures.taggram import plot_along as along
from mclf_jax.figures.taggram import plot_taggram as taggram

__all__ = [
    "along",
    "bars",
    "compare",
    "confusion",
    "filter_bank",
    "harmonic_filters",
    "pr",
    "reliability",
    "roc",
    "scatter",
    "spectrogram",
    "taggram",
    "waveform",
]
_OF_LABELS = ("single_label", "multi_label")


def confusion(report: Any) -> Figure:
    """Songs by true and predicted label; of `single_label`."""
    from mclf_jax.figures.scores import confusion_matrix

    checks.choice("the task of the report", report.task, ("single_label",))
    return confusion_matrix(report.confusion, report.labels)


def roc(report: Any) -> Figure:
    """True against false positive rate of each label, or of the best and the worst of many."""
    from mclf_jax.figures.scores import roc_curves

    return roc_curves(**_curves(report, "roc_auc"))


def pr(report: Any) -> Figure:
    """Precision against recall of each label, or of the best and the worst of many."""
    from mclf_jax.figures.scores import pr_curves

    return pr_curves(**_curves(report, "pr_auc"))


def bars(report: Any) -> Figure:
    """PR-AUC and ROC-AUC of each label, the best first."""
    from mclf_jax.figures.scores import per_label_bars

    checks.choice("the task of the report", report.task, _OF_LABELS)
    return per_label_bars(report.per_label, num_songs=len(report.items))


def reliability(report: Any) -> Figure:
    """What came true against what was said."""
    from mclf_jax.figures.scores import reliability_diagram
    from mclf_jax.metrics.calibration import reliability as bins

    checks.choice("the task of the report", report.task, _OF_LABELS)
    return reliability_diagram({"scores": bins(report.task, report.scores, report.targets)})


def scatter(report: Any) -> Figure:
    """Predicted against true number; of `regression`."""
    from mclf_jax.figures.scores import regression_scatter

    checks.choice("the task of the report", report.task, ("regression",))
    r2 = {label: values["r2"] for label, values in report.per_label.items()}
    return regression_scatter(report.scores, report.targets, labels=report.labels, r2=r2)


def _curves(report: Any, metric: str) -> dict[str, Any]:
    checks.choice("the task of the report", report.task, _OF_LABELS)
    targets = report.targets
    if report.task == "single_label":
        targets = np.eye(len(report.labels))[targets]
    areas = {label: values[metric] for label, values in report.per_label.items()}
    return {
        "scores": report.scores,
        "targets": targets,
        "labels": report.labels,
        "areas": areas,
    }
