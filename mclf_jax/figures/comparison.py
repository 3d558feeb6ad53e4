"""Figures of several runs in one picture: curves, scores, differences."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mclf_jax.figures.layout import label_rows, panels, single
from mclf_jax.figures.style import ACCENT, MUTED, colour, sentence, short, styled, title_of

_DASHED = {"color": MUTED, "linewidth": 0.8, "linestyle": (0, (3, 2))}


@styled
def compare_curves(
    curves: Mapping[str, Sequence[Mapping[str, Mapping[str, Sequence[float]]]]], *, metric: str
) -> Figure | None:
    """Losses and a metric against the step, a line for each run and a colour for each method.

    Args:
        curves: for each method the histories of its runs, {"train": {"step", "loss"}, "valid":
            {"step", "loss", metric}}, each of which may be missing.
        metric: of validation.

    Returns:
        None where no run has a history.
    """
    wanted = (("train", "loss"), ("valid", "loss"), ("valid", metric))
    shown = [
        (kind, name)
        for kind, name in wanted
        if any(name in run.get(kind, {}) for runs in curves.values() for run in runs)
    ]
    if not shown:
        return None
    figure, all_axes = panels(len(shown), columns=3, width=3.6, height=2.9)
    for axes, (kind, name) in zip(all_axes, shown, strict=True):
        for number, (method, runs) in enumerate(curves.items()):
            label = short(method)
            for run in runs:
                if name not in (record := run.get(kind, {})):
                    continue
                values = np.asarray(record[name], float)
                axes.plot(
                    record["step"],
                    _smooth(values) if kind == "train" else values,
                    color=colour(number),
                    alpha=1.0 if len(runs) == 1 else 0.7,
                    marker="o" if kind == "valid" and len(values) <= 40 else None,
                    markersize=3,
                    label=label,
                )
                label = "_nolegend_"
        what = {"train": "training", "valid": "validation"}[kind]
        axes.set(title=sentence(f"{what} {title_of(name)}"), xlabel="step")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    handles = {}
    for axes in all_axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(handles.values(), handles.keys(), loc="outside lower left", ncols=4)
    return figure


def _smooth(values: np.ndarray) -> np.ndarray:
    if len(values) < 40:
        return values
    window = np.ones(max(5, len(values) // 30))
    return np.convolve(values, window, "same") / np.convolve(np.ones_like(values), window, "same")


@styled
def score_points(table: Sequence[Mapping[str, Any]], *, metric: str) -> Figure:
    """A metric of each method with its interval, see `Comparison.table`."""
    figure, axes = single(6.6, 0.9 + 0.32 * max(2, len(table)))
    rows = label_rows(axes, [row["name"] for row in table])
    for number, (at, row) in enumerate(zip(rows, table, strict=True)):
        _interval(axes, at, row[metric], row[f"{metric}_low"], row[f"{metric}_high"], number)
    axes.set(xlabel=title_of(metric))
    return figure


@styled
def differences(pairs: Sequence[Mapping[str, Any]], *, metric: str) -> Figure:
    """The difference of each pair with its interval; grey where it could be chance."""
    figure, axes = single(6.6, 0.9 + 0.32 * max(2, len(pairs)))
    names = [f"{short(p['first'], limit=18)} – {short(p['second'], limit=18)}" for p in pairs]
    rows = label_rows(axes, [""] * len(pairs))
    axes.set_yticks(rows, names)
    axes.axvline(0, **_DASHED)
    for at, pair in zip(rows, pairs, strict=True):
        shade = ACCENT if pair["better"] else MUTED
        _interval(axes, at, pair["difference"], pair["low"], pair["high"], shade)
    axes.set(xlabel=f"difference of {title_of(metric)}")
    return figure


def _interval(axes, at: float, value: float, low: float, high: float, shade: int | str) -> None:
    colour_of = shade if isinstance(shade, str) else colour(shade)
    axes.plot([low, high], [at, at], color=colour_of, linewidth=2, solid_capstyle="round")
    axes.plot([value], [at], "o", color=colour_of, markersize=5)


@styled
def robustness_curves(
    rows: Sequence[Mapping[str, Any]], *, metric: str, titles: Mapping[str, str]
) -> Figure:
    """A metric against the strength of each effect, a panel each; bars are 95 %.

    Args:
        rows: of `Robustness.rows`; strengths are drawn in their order, evenly.
        metric: of the scores.
        titles: of effects.
    """
    effects = list(dict.fromkeys(row["effect"] for row in rows))
    runs = list(dict.fromkeys(row["run"] for row in rows))
    figure, all_axes = panels(len(effects), columns=4, width=2.7, height=2.3)
    lowest = min(row["low"] for row in rows)
    highest = max(row["high"] for row in rows)
    margin = 0.04 * (highest - lowest or 1.0)
    for axes, effect in zip(all_axes, effects, strict=True):
        of_effect = [row for row in rows if row["effect"] == effect]
        # Runs of other rates may lack a strength.
        longest = max(runs, key=lambda run: sum(row["run"] == run for row in of_effect))
        order = [row["strength"] for row in of_effect if row["run"] == longest]
        for number, run in enumerate(runs):
            points = [row for row in of_effect if row["run"] == run and row["strength"] in order]
            at = np.array([order.index(row["strength"]) for row in points]) + 0.06 * number
            value = np.array([row["value"] for row in points])
            ends = np.array([[row["low"], row["high"]] for row in points]).T
            bars = np.maximum(0, [value - ends[0], ends[1] - value])
            axes.errorbar(
                at,
                value,
                yerr=bars,
                color=colour(number),
                marker="o",
                markersize=3.5,
                elinewidth=0.8,
                label=short(run),
            )
        names = ["as is" if strength is None else f"{strength:g}" for strength in order]
        axes.set_xticks(range(len(order)), names, fontsize=6.5)
        axes.axvline(order.index(None), **_DASHED)
        axes.set(
            title=sentence(titles.get(effect, effect)), ylim=(lowest - margin, highest + margin)
        )
        axes.title.set_fontsize(8)
    for axes in all_axes[::4]:
        axes.set_ylabel(title_of(metric))
    figure.legend(*all_axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=4)
    return figure


@styled
def scores_and_costs(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """A score against the operations for a minute of music; the larger a mark, the more parameters.

    Args:
        rows: "name", "parameters", "gflop_per_minute", "metric" and "scores" of its runs, of which
            mean and range are drawn.
    """
    figure, axes = single(7.0, 4.2)
    parameters = np.array([row["parameters"] for row in rows], float)
    areas = 30 + 220 * parameters / parameters.max()
    for number, (row, area) in enumerate(zip(rows, areas, strict=True)):
        x, y = row["gflop_per_minute"], float(np.mean(row["scores"]))
        axes.plot([x, x], [min(row["scores"]), max(row["scores"])], color=MUTED, linewidth=1)
        axes.scatter([x], [y], s=area, color=colour(number), alpha=0.75, linewidth=0)
        offset = (0, -4 - math.sqrt(area) / 2)
        axes.annotate(
            short(row["name"]),
            (x, y),
            offset,
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=7,
        )
    axes.set_xscale("log")
    axes.margins(x=0.12, y=0.12)
    axes.set(xlabel="GFLOP for a minute of music", ylabel=title_of(rows[0]["metric"]))
    return figure
