"""Scores of probes over the amount of labels, a line for each encoder and probe."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from mclf_jax import metrics
from mclf_jax.figures.layout import label_rows, note_below, panels, single
from mclf_jax.figures.style import ACCENT, MUTED, PALETTE, styled, title_of

_COLOURS = {"trained": ACCENT, "untrained": MUTED, "mfcc": PALETTE[1], "scratch": PALETTE[2]}
_LOOKS = {"linear": ("-", "o"), "mlp": ("--", "s"), "knn": (":", "^"), "svm": ("-.", "D")}
_LOOK = ("-", "P")


@styled
def plot_probes(rows: Sequence[Mapping[str, Any]], *, metric: str, title: str) -> Figure:
    """The picture of a result; with one amount of labels alone, a point for each encoder and probe.

    Bars are the 95 % intervals of the table: over seeds and folds or, of a single fit, over songs.

    Args:
        rows: of `ProbeResult.summary`, with the "name" of each in print.
        metric: of the scores.
        title: of the figure.
    """
    rows = [row for row in rows if not math.isnan(row["mean"])]
    figure, axes = single(6.4, 4.2)
    if len({row["labels"] for row in rows}) > 1:
        _lines(axes, rows)
        axes.set(ylabel=title_of(metric), ylim=_within_range(axes.get_ylim(), metric))
        figure.legend(loc="outside lower center", ncols=2)
    else:
        figure.set_figheight(1.1 + 0.28 * max(1, len(rows)))
        _points(axes, rows)
        axes.set(xlabel=title_of(metric), xlim=_within_range(axes.get_xlim(), metric))
    axes.set_title(title)
    return figure


def _lines(axes, rows: list[Mapping[str, Any]]) -> None:
    curves: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        curves.setdefault((row["encoder"], row["kind"]), []).append(row)
    # Evenly, since a few of each label, and shares of all, grow by about the same factor.
    order = sorted(rows, key=lambda row: (row["num_train"], row["fraction"]))
    places = {name: x for x, name in enumerate(dict.fromkeys(row["labels"] for row in order))}
    for number, ((encoder, kind), points) in enumerate(curves.items()):
        points.sort(key=lambda row: places[row["labels"]])
        line, marker = _LOOKS.get(kind, _LOOK)
        # Side by side, so that bars of one amount can be told apart.
        shift = 0.3 * ((number + 0.5) / len(curves) - 0.5)
        axes.errorbar(
            [places[row["labels"]] + shift for row in points],
            [row["mean"] for row in points],
            yerr=[list(side) for side in zip(*map(_bar, points), strict=True)],
            color=_COLOURS.get(encoder, PALETTE[3]),
            linestyle=line,
            marker=marker,
            markersize=4,
            elinewidth=0.8,
            label=points[0]["name"],
        )
    axes.set_xticks(list(places.values()), list(places))
    axes.set(xlabel="labels used in training")


def _points(axes, rows: list[Mapping[str, Any]]) -> None:
    for position, row in enumerate(rows):
        low, high = _bar(row)
        axes.errorbar(
            row["mean"],
            position,
            xerr=[[low], [high]],
            color=_COLOURS.get(row["encoder"], PALETTE[3]),
            marker=_LOOKS.get(row["kind"], _LOOK)[1],
            markersize=5,
            linestyle="none",
        )
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")


def _bar(row: Mapping[str, Any]) -> tuple[float, float]:
    """How far down and up the interval of a row reaches."""
    if not math.isnan(row["half_width"]):
        return row["half_width"], row["half_width"]
    if math.isnan(row["low"]):
        return 0.0, 0.0
    return max(0.0, row["mean"] - row["low"]), max(0.0, row["high"] - row["mean"])


def _within_range(limits: tuple[float, float], metric: str) -> tuple[float, float]:
    """Limits of an axis that an interval from few seeds cannot take beyond 0 and 1."""
    if metric in metrics.NAMES["regression"] or metric == "log_loss":
        return limits
    return max(limits[0], -0.02), min(limits[1], 1.02)


@styled
def plot_benchmark(
    columns: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> Figure:
    """Scores of encoders, a panel for each task and metric, bars being 95 % over songs.

    The best of a panel is blue, what cannot be told apart from it is light blue, and the rest is
    grey; what others published is a hollow diamond below a line.

    Args:
        columns: dicts of "task" and "metric".
        rows: dicts of "encoder", "whose" and "scores", see `sweep.benchmark.table.tabulate`.
    """
    looks = {"best": (ACCENT, 1.0), "not told apart": (ACCENT, 0.45), "worse": (MUTED, 1.0)}
    is_ours = [row["whose"] == "measured" for row in rows]
    pairs = zip(rows, is_ours, strict=True)
    names = [row["encoder"] + " (published)" * (not ours) for row, ours in pairs]
    width = 2.1 + 0.055 * max(map(len, names)) / len(columns)
    height = 1.0 + 0.24 * len(rows)
    figure, all_axes = panels(len(columns), columns=len(columns), width=width, height=height)
    for number, (axes, column) in enumerate(zip(all_axes, columns, strict=True)):
        places = label_rows(axes, names if number == 0 else [""] * len(names))
        for at, row in zip(places, rows, strict=True):
            score = row["scores"][number]
            if score is None:
                continue
            if "low" not in score:
                axes.plot(score["value"], at, "D", color=MUTED, markersize=4, fillstyle="none")
                continue
            shade, alpha = looks[score["place"]]
            bar = {"color": shade, "alpha": alpha}
            axes.plot([score["low"], score["high"]], [at, at], linewidth=2, **bar)
            axes.plot([score["value"]], [at], "o", markersize=5, markeredgewidth=0, **bar)
        if not all(is_ours):
            axes.axhline(sum(is_ours) - 0.5, color=MUTED, linewidth=0.6, linestyle=(0, (3, 2)))
        axes.set(title=column["task"], xlabel=title_of(column["metric"]))
        axes.set_xlim(_within_range(axes.get_xlim(), column["metric"]))
    told = "blue: the best; light blue: not told apart from it; grey: worse"
    note_below(figure, told + "; ◇: published by others" * (not all(is_ours)))
    return figure
