"""Figures of an evaluation; N songs, K labels."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from sklearn import metrics as sk

from mclf_jax.figures.layout import (
    first_and_last,
    label_rows,
    note_below,
    panels,
    share_matrix,
    single,
)
from mclf_jax.figures.style import ACCENT, MUTED, PALETTE, SECOND, colour, short, styled, title_of

MAX_CURVES = 12
MAX_BARS = 120
MAX_PANELS = 12

_DASHED = {"color": MUTED, "linewidth": 0.8, "linestyle": (0, (3, 2))}
_GRID = np.linspace(0, 1, 201)


@styled
def confusion_matrix(counts: np.ndarray, labels: Sequence[str]) -> Figure:
    """Counts int [K, K], rows true and columns predicted; colour is the share of the row."""
    counts = np.asarray(counts)
    totals = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    texts = {(t, p): str(counts[t, p]) for t, p in np.argwhere(counts) if len(labels) <= 25}
    figure, axes = share_matrix(share, labels, texts=texts, cell_inches=0.42)
    axes.set(xlabel="predicted", ylabel="true")
    return figure


@styled
def per_label_bars(per_label: Mapping[str, Mapping[str, float]], *, num_songs: int) -> Figure:
    """PR-AUC and ROC-AUC of each label, sorted by the first; chance level as a tick.

    Labels whose PR-AUC is NaN are left out. Above `MAX_BARS` labels, the best and the worst are
    drawn. Chance is the share of positives for PR-AUC, one half for ROC-AUC.

    Args:
        per_label: label to "pr_auc", "roc_auc", "support" (positive songs), and "observed" where
            that is not all songs.
        num_songs: N.
    """
    defined = [label for label, values in per_label.items() if math.isfinite(values["pr_auc"])]
    defined.sort(key=lambda label: per_label[label]["pr_auc"], reverse=True)
    shown = first_and_last(defined, MAX_BARS)
    figure = Figure(figsize=(7.2, 0.9 + 0.2 * max(len(shown), 2)))
    support = np.array([per_label[label]["support"] for label in shown])
    observed = np.array([per_label[label].get("observed", num_songs) for label in shown])
    chances = {"pr_auc": support / observed, "roc_auc": np.full(len(shown), 0.5)}
    all_axes = figure.subplots(1, 2, sharey=True)
    for axes, (metric, chance) in zip(all_axes, chances.items(), strict=True):
        rows = label_rows(axes, shown)
        values = np.array([per_label[label][metric] for label in shown])
        axes.barh(rows, np.nan_to_num(values), height=0.66, color=ACCENT, alpha=0.85)
        for row, value in zip(rows, values, strict=True):
            text = f" {value:.2f}" if np.isfinite(value) else " undefined"
            axes.text(np.nan_to_num(value), row, text, va="center", fontsize=7, color=MUTED)
        axes.vlines(chance, rows - 0.4, rows + 0.4, color=SECOND, linewidth=1.5)
        axes.set(title=title_of(metric), xlim=(0, 1.1))
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    if len(shown) < len(defined):
        half = MAX_BARS // 2
        note_below(figure, f"the {half} best and the {half} worst of {len(defined)} labels")
    return figure


@styled
def roc_curves(
    scores: np.ndarray, targets: np.ndarray, *, labels: Sequence[str], areas: Mapping[str, float]
) -> Figure:
    """True against false positive rate of chosen labels, and their mean over all labels.

    Args:
        scores: float [N, K].
        targets: [N, K] of zeros and ones, NaN where not observed.
        labels: the K names.
        areas: label to ROC-AUC; labels with NaN are left out.
    """

    def curve(targets: np.ndarray, scores: np.ndarray) -> dict[str, np.ndarray]:
        false, true, _ = sk.roc_curve(targets, scores)
        return {"x": false, "y": true, "on_grid": np.interp(_GRID, false, true)}

    figure, axes = _curves(curve, scores, targets, labels=labels, areas=areas, steps="default")
    axes.plot([0, 1], [0, 1], **_DASHED)
    axes.set(title="ROC", xlabel="false positive rate", ylabel="true positive rate")
    return figure


@styled
def pr_curves(
    scores: np.ndarray, targets: np.ndarray, *, labels: Sequence[str], areas: Mapping[str, float]
) -> Figure:
    """Precision against recall of chosen labels; arguments as `roc_curves`, areas PR-AUC."""

    def curve(targets: np.ndarray, scores: np.ndarray) -> dict[str, np.ndarray]:
        precision, recall, _ = sk.precision_recall_curve(targets, scores)
        precision, recall = precision[::-1], recall[::-1]  # from recall 0 up
        end = np.argmax(recall == 1) + 1  # lower thresholds find nothing more
        precision, recall = precision[:end], recall[:end]
        precision[recall == 0] = precision[np.argmax(recall > 0)]  # no jump at the left end
        # Average precision holds P_n over (R_{n-1}, R_n]: the drawn steps have that area.
        at = np.searchsorted(recall, np.maximum(_GRID, 1e-12), side="left")
        return {"x": recall, "y": precision, "on_grid": precision[np.minimum(at, len(recall) - 1)]}

    figure, axes = _curves(curve, scores, targets, labels=labels, areas=areas, steps="steps-pre")
    axes.set(title="Precision and recall", xlabel="recall", ylabel="precision")
    return figure


@styled
def threshold_curves(scores: np.ndarray, targets: np.ndarray, *, label: str) -> Figure:
    """Precision, recall and F1 of one label against the score from which on a song has it.

    Args:
        scores: float [N].
        targets: [N] of zeros and ones.
        label: its name.
    """
    thresholds = np.unique(np.r_[0.0, scores])
    said = scores[None] >= thresholds[:, None]
    right = (said & (targets == 1)).sum(1)
    found = {"precision": right / np.maximum(said.sum(1), 1)}
    found["recall"] = right / max(1, int((targets == 1).sum()))
    found["F1"] = 2 * right / np.maximum(said.sum(1) + (targets == 1).sum(), 1)
    figure, axes = single(4.7, 3.3)
    for number, (name, values) in enumerate(found.items()):
        axes.plot(thresholds, values, color=colour(number), drawstyle="steps-post", label=name)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), xlabel="threshold", title=short(label))
    axes.legend()
    return figure


def _curves(
    curve: Callable,
    scores: np.ndarray,
    targets: np.ndarray,
    *,
    labels: Sequence[str],
    areas: Mapping[str, float],
    steps: str,
) -> tuple[Figure, Axes]:
    """Mean over all defined labels, and single labels: all when few, else best and worst."""
    defined = [k for k, label in enumerate(labels) if math.isfinite(areas[label])]
    ranked = sorted(defined, key=lambda k: areas[labels[k]], reverse=True)
    shown = ranked if len(ranked) <= MAX_CURVES else first_and_last(ranked, 6)
    figure, axes = single(4.7, 3.3 + 0.17 * math.ceil((len(shown) + 1) / 2))
    if defined:
        seen = ~np.isnan(targets)
        found = {k: curve(targets[seen[:, k], k], scores[seen[:, k], k]) for k in defined}
        mean = np.mean([found[k]["on_grid"] for k in defined], axis=0)
        area = np.mean([areas[labels[k]] for k in defined])
        name = f"mean of {len(defined)}: {area:.3f}"
        lines = axes.plot(_GRID, mean, color=ACCENT, linewidth=2.6, zorder=5, drawstyle=steps)
        names = [name]
        for i, k in enumerate(shown):
            lines += axes.plot(
                found[k]["x"],
                found[k]["y"],
                color=PALETTE[i % len(PALETTE)],
                linewidth=1,
                drawstyle=steps,
            )
            names.append(f"{short(labels[k], limit=20)}: {areas[labels[k]]:.3f}")
        # By hand, because matplotlib leaves out of a legend what is called "_...".
        figure.legend(lines, names, loc="outside lower left", ncols=2)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    return figure, axes


@styled
def regression_scatter(
    predictions: np.ndarray, targets: np.ndarray, *, labels: Sequence[str], r2: Mapping[str, float]
) -> Figure:
    """Predicted against true value [N, K], a panel a label; the line is a perfect prediction.

    Songs whose true value is NaN are left out. Above `MAX_PANELS` labels, those of the highest
    and the lowest R2 are drawn.
    """
    shown = list(range(len(labels)))
    if len(shown) > MAX_PANELS:
        shown.sort(key=lambda k: -np.nan_to_num(r2[labels[k]], nan=-np.inf))
        shown = first_and_last(shown, MAX_PANELS)
    figure, all_axes = panels(len(shown), columns=3, width=3.4, height=3.4)
    # Many dots are a picture, not one shape each.
    many = np.isfinite(targets).sum(axis=0).max() > 800
    for axes, k in zip(all_axes, shown, strict=True):
        seen = ~np.isnan(targets[:, k])
        true, predicted = targets[seen, k], predictions[seen, k]
        both = np.r_[true, predicted] if seen.any() else np.array([0.0, 1.0])
        margin = 0.05 * (np.ptp(both) or 1.0)
        ends = (both.min() - margin, both.max() + margin)
        axes.plot(ends, ends, **_DASHED)
        alpha = 0.25 if many else 0.55
        axes.scatter(true, predicted, s=11, color=ACCENT, alpha=alpha, lw=0, rasterized=many)
        value = r2[labels[k]]
        suffix = f"R² {value:.3f}" if math.isfinite(value) else "R² undefined"
        axes.set(xlabel="true", ylabel="predicted", xlim=ends, ylim=ends, aspect="equal")
        axes.set_title(f"{short(labels[k], limit=18)}: {suffix}")
    return figure


@styled
def reliability_diagram(bins: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """What came true against what was said; on the dashed line scores can be taken at their word.

    Args:
        bins: {name: bins of `metrics.calibration.reliability`}, such as "before" and "after".
            Below, on a logarithmic scale, is how many decisions each bin holds.
    """
    figure = Figure(figsize=(4.7, 4.4))
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    axes.plot([0, 1], [0, 1], **_DASHED)
    for number, (name, found) in enumerate(bins.items()):
        color, middle = colour(number), [(b["low"] + b["high"]) / 2 for b in found]
        said, true = [b["said"] for b in found], [b["true"] for b in found]
        axes.plot(said, true, color=color, marker="o", markersize=4, label=name)
        width = [(b["high"] - b["low"]) * 0.8 / len(bins) for b in found]
        shifted = [
            m + w * (number - (len(bins) - 1) / 2) for m, w in zip(middle, width, strict=True)
        ]
        below.bar(shifted, [b["count"] for b in found], width=width, color=color, alpha=0.85)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), ylabel="came true", title="Reliability")
    below.set(xlabel="said", ylabel="decisions", yscale="log")
    below.yaxis.set_major_formatter("{x:,.0f}")  # in words of a page, which knows no formulas
    below.yaxis.set_minor_formatter(NullFormatter())
    if len(bins) > 1:
        axes.legend(loc="upper left")
    return figure


@styled
def risk_over_coverage(curves: Mapping[str, Mapping[str, np.ndarray]], *, risk: float) -> Figure:
    """Error among the surest decisions, for every share of them; the dashed line is a wanted error.

    Args:
        curves: {name: of `metrics.confidence.selective.risk_coverage`}.
        risk: the error that is wanted; a dot is the largest share that has it.
    """
    figure, axes = single(4.7, 3.5)
    for number, (name, curve) in enumerate(curves.items()):
        color = colour(number)
        # Of millions of decisions, as many as can be told apart.
        drawn = np.unique(np.searchsorted(curve["coverage"], _GRID[1:] - 1e-12))
        at = {axis: curve[axis][drawn] for axis in ("coverage", "risk")}
        axes.plot(at["coverage"], at["risk"], color=color, drawstyle="steps-pre", label=name)
        if len(good := np.flatnonzero(curve["risk"] <= risk)):
            place = good[-1]
            axes.plot(
                curve["coverage"][place], curve["risk"][place], "o", color=color, markersize=5
            )
    axes.axhline(risk, **_DASHED)
    axes.set(xlim=(-0.01, 1.02), xlabel="share of decisions, the surest first", ylabel="wrong")
    axes.set_ylim(bottom=0, top=max(axes.get_ylim()[1], 1.5 * risk))
    axes.set_title("Risk over coverage")
    if len(curves) > 1:
        axes.legend(loc="upper left")
    return figure
