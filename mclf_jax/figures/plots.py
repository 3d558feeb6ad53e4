"""The figures of a report: one function each, arrays in, a matplotlib Figure out.

They use matplotlib's objects and never pyplot, so nothing is shown, no backend is chosen and no
global figure is left behind; a notebook displays what is returned. Colours are named once here,
because the page swaps them for its light and dark scheme (`report/svg.py`).

Shapes: N songs, K labels.
"""

import functools
import math
from collections.abc import Mapping, Sequence

import matplotlib.style
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn import metrics as sk

from mclf_jax import metrics as mclf_metrics

INK, MUTED, GRID = "#1c2333", "#6b7280", "#d8dce4"
ACCENT, ON_ACCENT, SECOND = "#3355dd", "#fefefe", "#d9622b"
# Twelve hues of middle lightness, readable on white and on black.
PALETTE = ("#3b82c4", "#d9822b", "#3f9e5b", "#c94f4f", "#8c6bc4", "#9c6b4f")
PALETTE += ("#cf6fa8", "#7a8291", "#a3a032", "#2fa5b5", "#5b7f3a", "#b0763a")
MAX_CURVES = 12
MAX_BARS = 120
MAX_PANELS = 12

_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "text.color": INK,
    "text.parse_math": False,  # labels are user text: "$" is a dollar sign
    "xtick.color": MUTED,
    "ytick.color": MUTED,
}
_TITLES = {"pr_auc": "PR-AUC", "roc_auc": "ROC-AUC", "f1": "F1", "r2": "R²"}
_TITLES |= {"mae": "MAE", "rmse": "RMSE", "log_loss": "log loss", "songs_per_s": "songs/s"}


def styled(draw):
    """Decorate a drawing function so that the user's matplotlibrc does not reach it."""

    @functools.wraps(draw)
    def wrapper(*args, **kwargs):
        with matplotlib.style.context(["default", _STYLE]):
            return draw(*args, **kwargs)

    return wrapper


def short(label: str, *, limit: int = 26) -> str:
    """A label that fits beside an axis: one line, printable, cut in the middle."""
    label = "".join(c if c.isprintable() else " " for c in label).strip() or " "
    if len(label) <= limit:
        return label
    head = (limit - 1) * 2 // 3
    return f"{label[:head]}…{label[head + 1 - limit :]}"


def title_of(metric: str) -> str:
    """How a metric is called in print: "pr_auc_macro" is "PR-AUC, macro"."""
    stem, _, kind = metric.rpartition("_")
    if kind in ("macro", "micro", "hierarchical"):
        return f"{title_of(stem)}, {kind}"
    return _TITLES.get(metric, metric.replace("_", " "))


@styled
def learning_curves(
    train: Mapping[str, Sequence[float]],
    valid: Mapping[str, Sequence[float]],
    *,
    best_step: int | None = None,
) -> Figure:
    """Losses, and validation metrics by the way they improve, against the step.

    Args:
        train: "step" and "loss", of equal length.
        valid: "step" and any metrics that `mclf_jax.metrics.direction` knows, "loss" among them.
        best_step: where the kept checkpoint was made; marked in each panel.
    """
    known = [n for n in valid if n != "step" and _is_metric(n) and np.isfinite(valid[n]).any()]
    scores = [n for n in known if mclf_metrics.direction(n) == "max"]
    errors = [n for n in known if mclf_metrics.direction(n) == "min" and n != "loss"]
    panels = [("loss", ["loss"])]
    panels += [("validation score", scores)] * bool(scores)
    panels += [("validation error", errors)] * bool(errors)
    width = {1: 5.6, 2: 10.2, 3: 10.6}[len(panels)]
    figure = Figure(figsize=(width, 3.0), layout="constrained")
    all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, names) in zip(all_axes, panels, strict=True):
        if title == "loss":
            _train_loss(axes, train)
            names = ["loss"] if "loss" in known else []
        for i, name in enumerate(names):
            colour = SECOND if title == "loss" else (ACCENT, SECOND, *PALETTE)[i % 14]
            label = "validation" if title == "loss" else title_of(name)
            marker = "o" if len(valid["step"]) <= 40 else None
            axes.plot(
                valid["step"], valid[name], color=colour, marker=marker, markersize=3, label=label
            )
        if best_step is not None:
            axes.axvline(best_step, color=MUTED, linestyle=(0, (3, 2)), linewidth=1)
            axes.annotate(
                f" step {best_step} ",
                (best_step, 1),
                xycoords=("data", "axes fraction"),
                va="top",
                ha="right" if best_step > np.mean(axes.get_xlim()) else "left",
                fontsize=7.5,
                color=MUTED,
            )
        axes.set(xlabel="step", ylabel=title, title=title.capitalize())
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if axes.get_legend_handles_labels()[0]:
            _legend_below(axes, ncols=min(3, len(axes.lines)))
    return figure


def _is_metric(name: str) -> bool:
    try:
        mclf_metrics.direction(name)
    except ValueError:
        return False
    return True


def _train_loss(axes, train: Mapping[str, Sequence[float]]) -> None:
    steps, loss = np.asarray(train.get("step", ())), np.asarray(train.get("loss", ()), float)
    if len(loss) == 0:
        return
    if len(loss) < 40:
        axes.plot(steps, loss, color=ACCENT, label="training")
        return
    axes.plot(steps, loss, color=ACCENT, alpha=0.3, linewidth=0.8)
    width = max(5, len(loss) // 30)
    window = np.ones(width)
    smooth = np.convolve(loss, window, "same") / np.convolve(np.ones_like(loss), window, "same")
    axes.plot(steps, smooth, color=ACCENT, label=f"training, mean of {width} points")


def _legend_below(axes, *, ncols: int) -> None:
    """Legend under the axes, where it hides no data."""
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.18), ncols=ncols, borderaxespad=0)


@styled
def confusion_matrix(counts: np.ndarray, labels: Sequence[str]) -> Figure:
    """Counts int [K, K], rows true and columns predicted; colour is the share of the row."""
    counts = np.asarray(counts)
    num_labels = len(labels)
    size = float(np.clip(0.42 * num_labels, 1.8, 8.5))
    figure = Figure(figsize=(size + 2.2, size + 1.8), layout="constrained")
    axes = figure.subplots()
    totals = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    # From transparent to the accent: right on a light and on a dark page.
    ramp = LinearSegmentedColormap.from_list("share", [(ACCENT, 0.03), (ACCENT, 1.0)])
    axes.pcolormesh(share, cmap=ramp, vmin=0, vmax=1, edgecolors=GRID, linewidth=0.5)
    if num_labels <= 25:
        for true, predicted in np.argwhere(counts):
            axes.text(
                predicted + 0.5,
                true + 0.5,
                str(counts[true, predicted]),
                ha="center",
                va="center",
                fontsize=8 if num_labels <= 12 else 6,
                color=ON_ACCENT if share[true, predicted] > 0.65 else INK,
            )
    centres = np.arange(num_labels) + 0.5
    fontsize = float(np.clip(8.5 - (num_labels - 12) * 0.1, 5.5, 8.5))
    names = [short(label) for label in labels]
    axes.set_xticks(centres, names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(centres, names)
    axes.tick_params(length=0, labelsize=fontsize, labelcolor=INK)
    axes.set(xlabel="predicted", ylabel="true", ylim=(num_labels, 0), aspect="equal")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return figure


@styled
def per_label_bars(
    per_label: Mapping[str, Mapping[str, float]],
    *,
    num_songs: int,
    metrics: Sequence[str] = ("pr_auc", "roc_auc"),
) -> Figure:
    """A bar a label and a panel a metric, sorted by the first; chance level as a tick.

    Labels whose first metric is NaN are left out. Above `MAX_BARS` labels, the best and the
    worst are drawn. Chance is the share of positives for PR-AUC, one half for ROC-AUC.

    Args:
        per_label: label to metric name to value, "support" (positive songs) among them, and
            "observed" where that is not all songs.
        num_songs: N.
        metrics: one panel each.
    """
    defined = [label for label, v in per_label.items() if math.isfinite(v[metrics[0]])]
    ranked = sorted(defined, key=lambda label: per_label[label][metrics[0]], reverse=True)
    num_defined, half = len(ranked), MAX_BARS // 2
    if num_defined > MAX_BARS:
        ranked = ranked[:half] + ranked[-half:]
    figure = Figure(figsize=(7.2, 0.9 + 0.2 * max(len(ranked), 2)), layout="constrained")
    all_axes = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    rows = np.arange(len(ranked))
    for axes, metric in zip(all_axes, metrics, strict=True):
        values = np.array([per_label[label][metric] for label in ranked])
        axes.barh(rows, np.nan_to_num(values), height=0.66, color=ACCENT, alpha=0.85)
        for row, value in zip(rows, values, strict=True):
            text = f" {value:.2f}" if np.isfinite(value) else " undefined"
            axes.text(np.nan_to_num(value), row, text, va="center", fontsize=7, color=MUTED)
        support = np.array([per_label[label]["support"] for label in ranked])
        observed = np.array([per_label[label].get("observed", num_songs) for label in ranked])
        chance = {"roc_auc": np.full(len(ranked), 0.5), "pr_auc": support / observed}.get(metric)
        if chance is not None:
            axes.vlines(chance, rows - 0.4, rows + 0.4, color=SECOND, linewidth=1.5)
        axes.set(title=title_of(metric), xlim=(0, 1.1))
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
        axes.grid(axis="y", visible=False)
    if num_defined > MAX_BARS:
        text = f"the {half} best and the {half} worst of {num_defined} labels"
        figure.supxlabel(text, fontsize=8, color=MUTED)
    all_axes[0].set_yticks(rows, [short(label) for label in ranked])
    all_axes[0].set_ylim(len(ranked) - 0.4, -0.6)
    for axes in all_axes:
        axes.tick_params(axis="y", length=0, labelsize=8, labelcolor=INK)
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
    grid = np.linspace(0, 1, 201)

    def curve(k: int) -> dict[str, np.ndarray]:
        seen = ~np.isnan(targets[:, k])
        false, true, _ = sk.roc_curve(targets[seen, k], scores[seen, k])
        return {"x": false, "y": true, "on_grid": np.interp(grid, false, true)}

    figure, axes = _curves(curve, grid, labels=labels, areas=areas, drawstyle="default")
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.set(title="ROC", xlabel="false positive rate", ylabel="true positive rate")
    return figure


@styled
def pr_curves(
    scores: np.ndarray, targets: np.ndarray, *, labels: Sequence[str], areas: Mapping[str, float]
) -> Figure:
    """Precision against recall of chosen labels; arguments as `roc_curves`, areas PR-AUC."""
    grid = np.linspace(0, 1, 201)

    def curve(k: int) -> dict[str, np.ndarray]:
        seen = ~np.isnan(targets[:, k])
        precision, recall, _ = sk.precision_recall_curve(targets[seen, k], scores[seen, k])
        precision, recall = precision[::-1], recall[::-1]  # from recall 0 up
        end = np.argmax(recall == 1) + 1  # lower thresholds find nothing more
        precision, recall = precision[:end], recall[:end]
        precision[recall == 0] = precision[np.argmax(recall > 0)]  # no jump at the left end
        # Average precision holds P_n over (R_{n-1}, R_n]: the drawn steps have that area.
        at = np.searchsorted(recall, np.maximum(grid, 1e-12), side="left")
        return {"x": recall, "y": precision, "on_grid": precision[np.minimum(at, len(recall) - 1)]}

    figure, axes = _curves(curve, grid, labels=labels, areas=areas, drawstyle="steps-pre")
    axes.set(title="Precision and recall", xlabel="recall", ylabel="precision")
    return figure


def _curves(curve, grid, *, labels, areas, drawstyle):
    """Mean over all defined labels, and single labels: all when few, else best and worst."""
    defined = [k for k, label in enumerate(labels) if math.isfinite(areas[label])]
    ranked = sorted(defined, key=lambda k: areas[labels[k]], reverse=True)
    shown = ranked if len(ranked) <= MAX_CURVES else ranked[:3] + ranked[-3:]
    figure = Figure(figsize=(4.7, 3.3 + 0.17 * math.ceil((len(shown) + 1) / 2)))
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    handles, names = [], []
    if defined:
        found = {k: curve(k) for k in defined}
        mean = np.mean([found[k]["on_grid"] for k in defined], axis=0)
        mean_area = np.mean([areas[labels[k]] for k in defined])
        handles += axes.plot(grid, mean, color=ACCENT, linewidth=2.6, zorder=5, drawstyle=drawstyle)
        names.append(f"mean of {len(defined)}: {mean_area:.3f}")
        for i, k in enumerate(shown):
            colour = PALETTE[i % len(PALETTE)]
            handles += axes.plot(
                found[k]["x"], found[k]["y"], color=colour, linewidth=1, drawstyle=drawstyle
            )
            names.append(f"{short(labels[k], limit=20)}: {areas[labels[k]]:.3f}")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    if handles:
        figure.legend(handles, names, loc="outside lower left", ncols=2)
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
        ranked = sorted(shown, key=lambda k: -np.nan_to_num(r2[labels[k]], nan=-np.inf))
        shown = ranked[: MAX_PANELS // 2] + ranked[-MAX_PANELS // 2 :]
    columns = min(3, len(shown))
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(3.4 * columns, 3.4 * rows), layout="constrained")
    all_axes = figure.subplots(rows, columns, squeeze=False).ravel()
    many = (
        np.isfinite(targets).sum(axis=0).max() > 800
    )  # then the dots are a picture, not one shape each
    for axes, k in zip(all_axes, shown, strict=False):
        seen = ~np.isnan(targets[:, k])
        true, predicted = targets[seen, k], predictions[seen, k]
        both = np.r_[true, predicted] if seen.any() else np.array([0.0, 1.0])
        margin = 0.05 * (np.ptp(both) or 1.0)
        ends = (both.min() - margin, both.max() + margin)
        axes.plot(ends, ends, color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)))
        alpha = 0.25 if many else 0.55
        axes.scatter(true, predicted, s=11, color=ACCENT, alpha=alpha, lw=0, rasterized=many)
        value = r2[labels[k]]
        suffix = f"R² {value:.3f}" if math.isfinite(value) else "R² undefined"
        axes.set(xlabel="true", ylabel="predicted", xlim=ends, ylim=ends, aspect="equal")
        axes.set_title(f"{short(labels[k], limit=18)}: {suffix}")
    for axes in all_axes[len(shown) :]:
        axes.set_visible(False)
    return figure
