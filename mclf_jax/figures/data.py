"""The figures of a checked data set; arrays in, a matplotlib Figure out, as in `plots`."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from mclf_jax.figures.plots import (
    ACCENT,
    GRID,
    INK,
    MUTED,
    ON_ACCENT,
    PALETTE,
    SECOND,
    short,
    styled,
)

MAX_LABELS = 60
"""Of a figure; of more labels the most and the least frequent are drawn."""

MAX_MATRIX = 50

_SPLIT_COLOURS = {"train": ACCENT, "valid": PALETTE[4], "test": SECOND}
_BINS = 40
_MANY = 200


@styled
def label_bars(shares: np.ndarray, *, labels: Sequence[str], splits: Sequence[str]) -> Figure:
    """Share of items with each label, a bar a split.

    Args:
        shares: float [S, K], 0 to 1.
        labels: K names.
        splits: S names.
    """
    order = np.argsort(-shares.mean(axis=0), kind="stable")
    num_labels = len(order)
    if num_labels > MAX_LABELS:
        order = np.r_[order[: MAX_LABELS // 2], order[-MAX_LABELS // 2 :]]
    height = 0.8 / max(1, len(splits))
    inches = 0.9 + len(order) * max(0.2, 0.09 * len(splits))
    figure = Figure(figsize=(7.2, inches), layout="constrained")
    axes = figure.subplots()
    rows = np.arange(len(order))
    for s, split in enumerate(splits):
        offset = (s - (len(splits) - 1) / 2) * height
        colour = _SPLIT_COLOURS.get(split, MUTED)
        axes.barh(rows + offset, 100 * shares[s, order], height=height, color=colour, label=split)
    axes.set_yticks(rows, [short(labels[k]) for k in order])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set(xlabel="% of the split's items", ylim=(len(order) - 0.4, -0.6))
    axes.grid(axis="y", visible=False)
    axes.legend(loc="lower right", ncols=len(splits))
    if num_labels > MAX_LABELS:
        half = MAX_LABELS // 2
        text = f"the {half} most and the {half} least frequent of {num_labels} labels"
        figure.supxlabel(text, fontsize=8, color=MUTED)
    return figure


@styled
def co_occurrence(together: np.ndarray, *, labels: Sequence[str]) -> Figure:
    """Of the items with the label of a row, how many have that of the column.

    Above `MAX_MATRIX` labels, the most frequent are drawn. Labels stand next to those they come
    with, so that groups show as squares.

    Args:
        together: int [K, K], items with both; the diagonal is the items of a label.
        labels: K names.
    """
    number = np.diag(together)
    kept = np.argsort(-number, kind="stable")[:MAX_MATRIX]
    kept = kept[number[kept] > 0]
    share = together[np.ix_(kept, kept)] / number[kept][:, None]
    order = _neighbours(np.minimum(share, share.T))
    kept, share = kept[order], share[np.ix_(order, order)]
    np.fill_diagonal(share, np.nan)
    size = float(np.clip(0.22 * len(kept), 2.4, 9.5))
    figure = Figure(figsize=(size + 1.9, size + 1.5), layout="constrained")
    axes = figure.subplots()
    ramp = LinearSegmentedColormap.from_list("share", [(ACCENT, 0.02), (ACCENT, 1.0)])
    axes.pcolormesh(share, cmap=ramp, vmin=0, vmax=1, edgecolors=GRID, linewidth=0.3)
    if len(kept) <= 12:
        for row, column in np.argwhere(share >= 0.01):
            value = share[row, column]
            colour = ON_ACCENT if value > 0.65 else INK
            text = f"{100 * value:.0f}"
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=colour)
    names = [short(labels[k], limit=22) for k in kept]
    centres = np.arange(len(kept)) + 0.5
    axes.set_xticks(centres, names, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(centres, names)
    fontsize = float(np.clip(8.5 - (len(kept) - 12) * 0.05, 6.8, 8.5))
    axes.tick_params(length=0, labelsize=fontsize, labelcolor=INK)
    axes.set(xlabel="has this too", ylabel="of items with", ylim=(len(kept), 0), aspect="equal")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return figure


def _neighbours(similarity: np.ndarray) -> np.ndarray:
    """An order in which like stands by like: the leaves of an average-linkage tree."""
    from scipy.cluster import hierarchy
    from scipy.spatial.distance import squareform

    if len(similarity) < 3:
        return np.arange(len(similarity))
    distance = 1 - similarity
    np.fill_diagonal(distance, 0)
    tree = hierarchy.linkage(squareform(distance, checks=False), "average", optimal_ordering=True)
    return hierarchy.leaves_list(tree)


@styled
def histograms(panels: Mapping[str, tuple[str, np.ndarray]]) -> Figure:
    """Distributions of items, a panel each.

    Args:
        panels: title to (unit, values [N]).
    """
    figure = Figure(figsize=(10.2, 2.6), layout="constrained")
    all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, (unit, values)) in zip(all_axes, panels.items(), strict=True):
        low, high = float(values.min()), float(values.max())
        margin = max(0.02 * (high - low), 0.01 * abs(high), 1e-3)
        axes.hist(values, bins=np.linspace(low - margin, high + margin, _BINS), color=ACCENT)
        if len(values) >= _MANY:  # single odd items would not show beside them
            axes.set_yscale("symlog", linthresh=10)
            axes.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:g}"))
            axes.yaxis.set_minor_locator(NullLocator())
        axes.set(title=title, xlabel=unit)
        axes.grid(axis="x", visible=False)
    all_axes[0].set_ylabel("items")
    return figure
