"""The taggram: how likely each label is at each moment of a song, as a picture and as a table."""

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mclf_jax.common import files
from mclf_jax.common.text import tables
from mclf_jax.figures.axes import colour_bar, time_axis
from mclf_jax.figures.layout import single
from mclf_jax.figures.style import ACCENT, GRID, INK, SECOND, short, styled

_MAX_INCHES = 14.0


@styled
def plot_taggram(taggram: Mapping, *, title: str | None = None, max_labels: int = 15) -> Figure:
    """Heat map of scores, labels downwards by their mean, time to the right.

    Args:
        taggram: of `Tagger.taggram`: "times_s" float [W] rising window centres, "labels" K names,
            "scores" [W, K], and "window_s", up to whose ends the first and the last window are
            drawn; without it, half a hop.
        title: such as the name of the song.
        max_labels: this many labels of the highest mean are drawn.

    Raises:
        ValueError: the shapes disagree, or there is no window.
    """
    times_s, labels, scores = _checked(taggram)
    order = np.argsort(-scores.mean(axis=0), kind="stable")[:max_labels]
    edges_s = _edges(times_s, taggram.get("window_s"))
    # A long song gets a wide picture: about a hundred windows an inch can be told apart.
    width = float(np.clip(2 + len(times_s) / 100, 7.2, _MAX_INCHES))
    height = 1.1 + 0.24 * len(order) + 0.25 * (title is not None)
    figure, axes = single(width, height)
    lowest = min(float(scores.min()), 0.0)
    mesh = axes.pcolormesh(
        edges_s,
        np.arange(len(order) + 1),
        scores[:, order].T,
        cmap="magma",
        vmin=lowest,
        vmax=max(float(scores.max()), lowest + 1e-3),
        rasterized=scores[:, order].size > 2000,
    )
    axes.set_yticks(np.arange(len(order)) + 0.5, [short(labels[k]) for k in order])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set(ylim=(len(order), 0))
    time_axis(axes, edges_s[0], edges_s[-1])
    axes.grid(False)
    axes.spines[:].set_visible(False)
    if title is not None:
        axes.set_title(short(title, limit=80))
    colour_bar(figure, mesh, axes, label="score")
    return figure


@styled
def plot_along(
    taggram: Mapping,
    *,
    truth: Mapping[str, Sequence[tuple[float, float]]],
    title: str | None = None,
    max_labels: int = 6,
) -> Figure:
    """Scores along a song, a row for each label, and a bar below where the label is true.

    Args:
        taggram: as in `plot_taggram`, scores from 0 to 1.
        truth: {label: (start_s, end_s) of each time that has it}, such as the whole song.
        title: such as the name of the song.
        max_labels: true labels first, then those of the highest score anywhere.

    Raises:
        ValueError: as `plot_taggram`.
    """
    times_s, labels, scores = _checked(taggram)
    best = scores.max(axis=0)
    order = sorted(range(len(labels)), key=lambda k: (not truth.get(labels[k]), -best[k], k))
    shown = order[:max_labels]
    edges_s = _edges(times_s, taggram.get("window_s"))
    figure, axes = single(7.2, 0.9 + 0.42 * len(shown) + 0.25 * (title is not None))
    for row, k in enumerate(shown):
        floor = len(shown) - 1 - row
        axes.stairs(floor + 0.75 * scores[:, k], edges_s, baseline=floor, color=ACCENT, fill=True)
        axes.axhline(floor, color=GRID, linewidth=0.5, zorder=0)
        axes.axhline(floor + 0.375, color=GRID, linewidth=0.5, linestyle=(0, (2, 3)), zorder=0)
        times = [(start_s, end_s - start_s) for start_s, end_s in truth.get(labels[k], ())]
        axes.broken_barh(times, (floor - 0.14, 0.1), facecolors=SECOND, linewidth=0)
    axes.set_yticks([len(shown) - 1 - row + 0.375 for row in range(len(shown))])
    axes.set_yticklabels([short(labels[k]) for k in shown])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set(ylim=(-0.2, len(shown) - 0.15))
    time_axis(axes, edges_s[0], edges_s[-1])
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    if title is not None:
        axes.set_title(short(title, limit=80))
    return figure


def _checked(taggram: Mapping) -> tuple[np.ndarray, Sequence[str], np.ndarray]:
    times_s = np.asarray(taggram["times_s"], float)
    labels, scores = taggram["labels"], np.asarray(taggram["scores"], float)
    if scores.shape != (len(times_s), len(labels)) or scores.size == 0:
        raise ValueError(
            f"taggram scores must be [windows, labels] = [{len(times_s)}, {len(labels)}] and not "
            f"empty, got shape {scores.shape}"
        )
    return times_s, labels, scores


def save_taggram(
    taggram: Mapping, folder: str | os.PathLike, *, name: str, title: str | None = None
) -> dict[str, Path]:
    """Write NAME.png and, with the scores of every label, NAME.csv.

    Args:
        taggram: as in `plot_taggram`.
        folder: made if it is not there.
        name: of both files, without ending.
        title: of the picture.

    Returns:
        {"picture": path, "table": path}.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # The name is not a suffix: "no. 5" keeps its dot.
    paths = {"picture": folder / f"{name}.png", "table": folder / f"{name}.csv"}
    with warnings.catch_warnings():
        # A title in another script loses letters in the picture, which is no reason to warn.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = plot_taggram(taggram, title=title)
        with files.replacing(paths["picture"]) as path:
            figure.savefig(path, dpi=150)
    with (
        files.replacing(paths["table"]) as path,
        path.open("w", newline="", encoding="utf-8") as file,
    ):
        windows = zip(taggram["times_s"], taggram["scores"], strict=True)
        rows = [
            (f"{time_s:.3f}", *(f"{score:.5f}" for score in scores)) for time_s, scores in windows
        ]
        tables.write_rows(file, [("time_s", *taggram["labels"]), *rows], line_end="\r\n")
    return paths


def _edges(times_s: np.ndarray, window_s: float | None) -> np.ndarray:
    """Where the column of each window begins, and where the last one ends."""
    middles = (times_s[1:] + times_s[:-1]) / 2
    if window_s is not None:
        before = after = window_s / 2
    elif len(times_s) > 1:
        before, after = middles[0] - times_s[0], times_s[-1] - middles[-1]
    else:
        before = after = max(times_s[0], 0.5)
    return np.r_[max(times_s[0] - before, 0.0), middles, times_s[-1] + after]
