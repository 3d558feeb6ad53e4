"""`mclf.plot`: what a notebook draws, of audio and features, data, runs and reports by name alone.

A report is what `mclf.evaluate` gives; every function returns a matplotlib Figure.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mclf_jax.audio.features import LogMel, mel_frequencies_hz
from mclf_jax.common import checks
from mclf_jax.figures.features import (
    compare,
    filter_bank,
    harmonic_filters,
    mean_spectrum,
    spectrogram,
    waveform,
)
from mclf_jax.figures.layout import single
from mclf_jax.figures.style import colour, short, styled
from mclf_jax.figures.taggram import plot_along as along
from mclf_jax.figures.taggram import plot_taggram as taggram
from mclf_jax.figures.training import loss_curves as losses

__all__ = [
    "along",
    "bars",
    "compare",
    "confusion",
    "filter_bank",
    "harmonic_filters",
    "labels",
    "losses",
    "mean_spectrum",
    "mel_bands",
    "pr",
    "reliability",
    "roc",
    "scatter",
    "spectrogram",
    "taggram",
    "thresholds",
    "together",
    "waveform",
]
_OF_LABELS = ("single_label", "multi_label")


@styled
def mel_bands(settings: Mapping[str, LogMel]) -> Figure:
    """Which frequency is in the middle of each mel band, a curve for each of some settings.

    Args:
        settings: name -> `LogMel`, such as two scales.
    """
    figure, axes = single(4.7, 3.0)
    for number, (name, one) in enumerate(settings.items()):
        centre_hz = mel_frequencies_hz(one)
        axes.plot(np.arange(len(centre_hz)), centre_hz, color=colour(number), label=short(name))
    axes.set(xlabel="mel band", ylabel="Hz", title="Middle of each band")
    axes.legend()
    return figure


def labels(source: Any) -> Figure:
    """Share of the songs of each split with each label; of a data set of `mclf.data.build`."""
    from mclf_jax.figures.dataset import label_bars

    checks.choice("the task of the data set", source.info.task, _OF_LABELS)
    splits = {name: items for name, items in source.info.splits.items() if len(items)}
    shares = [np.nanmean(_positives(source, items), axis=0) for items in splits.values()]
    return label_bars(np.stack(shares), labels=source.info.labels, splits=list(splits))


def together(source: Any) -> Figure:
    """Which tags come with which others; of a data set of `mclf.data.build`."""
    from scipy import sparse

    from mclf_jax.figures.dataset import co_occurrence

    checks.choice("the task of the data set", source.info.task, ("multi_label",))
    positives = sparse.csr_array(_positives(source, np.arange(len(source))) == 1, dtype=np.int64)
    return co_occurrence((positives.T @ positives).tocsr(), labels=source.info.labels)


def _positives(source: Any, items: np.ndarray) -> np.ndarray:
    """Float [n, K] of zeros and ones, NaN where not observed."""
    targets = source.targets[items]
    return np.eye(len(source.info.labels))[targets] if targets.ndim == 1 else targets


def thresholds(report: Any, label: str) -> Figure:
    """Precision, recall and F1 of a label against the score from which on a song has it."""
    from mclf_jax.figures.scores import threshold_curves

    checks.choice("the task of the report", report.task, _OF_LABELS)
    checks.choice("label", label, report.labels)
    number = report.labels.index(label)
    if report.task == "single_label":
        return threshold_curves(report.scores[:, number], report.targets == number, label=label)
    seen = report.observed[:, number]
    values = report.scores[seen, number], report.targets[seen, number]
    return threshold_curves(*values, label=label)


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
