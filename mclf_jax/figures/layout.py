"""What several figures are made of: panels, a label for each row, labels against labels."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure

from mclf_jax.figures.style import ACCENT, GRID, INK, MUTED, ON_ACCENT, short


def single(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of one panel, in inches."""
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots()


def panels(count: int, *, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels of this size in inches, in rows of at most `columns`."""
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(width * columns, height * rows))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[count:]:
        axes.remove()
    return figure, list(grid[:count])


def first_and_last(ranked: Sequence[int], most: int) -> list[int]:
    """A ranking, of which both ends are left if it is longer than `most`."""
    half = most // 2
    return list(ranked) if len(ranked) <= most else [*ranked[:half], *ranked[-half:]]


def note_below(figure: Figure, text: str) -> None:
    """What is not drawn, or the like."""
    figure.supxlabel(text, fontsize=8, color=MUTED)


def label_rows(axes: Axes, labels: Sequence[str]) -> np.ndarray:
    """Name rows from the top down, and return where they are."""
    rows = np.arange(len(labels))
    axes.set_yticks(rows, [short(label) for label in labels])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    return rows


def share_matrix(
    share: np.ndarray,
    labels: Sequence[str],
    *,
    texts: Mapping[tuple[int, int], str],
    cell_inches: float,
) -> tuple[Figure, Axes]:
    """Labels against labels; the colour is a share.

    Args:
        share: float [K, K], 0 to 1 or NaN.
        labels: K names.
        texts: by row and column.
        cell_inches: of a square, unless that makes the figure tiny or huge.
    """
    count = len(labels)
    size = float(np.clip(cell_inches * count, 1.8, 9.5))
    figure, axes = single(size + 2.2, size + 1.8)
    # From transparent to the accent: right on a light and on a dark page.
    ends = [to_rgba(ACCENT, 0.03), to_rgba(ACCENT, 1.0)]
    ramp = LinearSegmentedColormap.from_list("share", ends)
    axes.pcolormesh(share, cmap=ramp, vmin=0, vmax=1, edgecolors=GRID, linewidth=0.4)
    for (row, column), text in texts.items():
        axes.text(
            column + 0.5,
            row + 0.5,
            text,
            ha="center",
            va="center",
            fontsize=8 if count <= 12 else 6,
            color=ON_ACCENT if share[row, column] > 0.65 else INK,
        )
    centres = np.arange(count) + 0.5
    names = [short(label) for label in labels]
    axes.set_xticks(centres, names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(centres, names)
    fontsize = float(np.clip(8.5 - (count - 12) * 0.05, 6.5, 8.5))
    axes.tick_params(length=0, labelsize=fontsize, labelcolor=INK)
    axes.set(ylim=(count, 0), aspect="equal")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return figure, axes
