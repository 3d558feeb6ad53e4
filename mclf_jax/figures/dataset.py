"""Figures of a checked data set."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator
from scipy import sparse

from mclf_jax.figures.layout import first_and_last, label_rows, note_below, share_matrix, single
from mclf_jax.figures.style import ACCENT, MUTED, PALETTE, SECOND, short, styled

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
    shown = first_and_last(np.argsort(-shares.mean(axis=0), kind="stable"), MAX_LABELS)
    height = 0.8 / max(1, len(splits))
    figure, axes = single(7.2, 0.9 + len(shown) * max(0.2, 0.09 * len(splits)))
    rows = label_rows(axes, [labels[k] for k in shown])
    for s, split in enumerate(splits):
        offset = (s - (len(splits) - 1) / 2) * height
        colour = _SPLIT_COLOURS.get(split, MUTED)
        percent = 100 * shares[s, shown]
        axes.barh(rows + offset, percent, height=height, color=colour, label=short(split))
    axes.set(xlabel="% of the split's items")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(splits), borderaxespad=0)
    if len(shown) < len(labels):
        half = MAX_LABELS // 2
        note_below(figure, f"the {half} most and the {half} least frequent of {len(labels)} labels")
    return figure


@styled
def co_occurrence(together: sparse.csr_array, *, labels: Sequence[str]) -> Figure:
    """Of the items with the label of a row, how many have that of the column.

    Above `MAX_MATRIX` labels, the most frequent are drawn. Labels stand next to those they come
    with, so that groups show as squares.

    Args:
        together: int [K, K], items with both; the diagonal is the items of a label.
        labels: K names.
    """
    number = together.diagonal()
    kept = np.argsort(-number, kind="stable")[:MAX_MATRIX]
    kept = kept[number[kept] > 0]
    share = together[kept][:, kept].toarray() / number[kept][:, None]
    order = _neighbours(np.minimum(share, share.T))
    kept, share = kept[order], share[np.ix_(order, order)]
    np.fill_diagonal(share, np.nan)
    texts = {
        (row, column): f"{100 * share[row, column]:.0f}"
        for row, column in np.argwhere(share >= 0.01)
        if len(kept) <= 12
    }
    figure, axes = share_matrix(share, [labels[k] for k in kept], texts=texts, cell_inches=0.22)
    axes.set(xlabel="has this too", ylabel="of items with")
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
    figure = Figure(figsize=(10.2, 2.6))
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
