"""Figures of a training run: losses and metrics against the optimiser step."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mclf_jax import metrics
from mclf_jax.figures.layout import panels, single
from mclf_jax.figures.style import ACCENT, MUTED, SECOND, colour, sentence, styled, title_of


@styled
def learning_curves(
    train: Mapping[str, Sequence[float]],
    valid: Mapping[str, Sequence[float]],
    *,
    best_step: int | None = None,
    baseline: Mapping[str, float] = MappingProxyType({}),
) -> Figure:
    """Losses, and validation metrics by the way they improve, against the step.

    Args:
        train: "step" and "loss", of equal length.
        valid: "step" and any metrics that `mclf_jax.metrics.direction` knows, "loss" among them.
        best_step: where the kept checkpoint was made; marked in each panel.
        baseline: {metric: value} of what the network is compared with, a dotted line.
    """
    groups: dict[str, list[str]] = {"loss": [], "validation score": [], "validation error": []}
    title_by_direction = {"max": "validation score", "min": "validation error"}
    for name, values in valid.items():
        title = "loss" if name == "loss" else title_by_direction.get(_direction(name))
        if title and np.isfinite(values).any():
            groups[title].append(name)
    shown = {title: names for title, names in groups.items() if names or title == "loss"}
    width = {1: 5.6, 2: 5.1, 3: 3.53}[len(shown)]
    figure, all_axes = panels(len(shown), columns=3, width=width, height=3.0)
    for axes, (title, names) in zip(all_axes, shown.items(), strict=True):
        if title == "loss":
            _train_loss(axes, train)
        for i, name in enumerate(names):
            color = SECOND if title == "loss" else colour(i)
            label = "validation" if title == "loss" else title_of(name)
            marker = "o" if len(valid["step"]) <= 40 else None
            axes.plot(
                valid["step"], valid[name], color=color, marker=marker, markersize=3, label=label
            )
            if name in baseline and title != "loss":
                told = f"{title_of(name)}, MFCC and SVM"
                axes.axhline(baseline[name], color=color, linestyle=(0, (1, 2)), label=told)
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
        axes.set(xlabel="step", ylabel=title, title=sentence(title))
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if axes.get_legend_handles_labels()[0]:  # under the axes, where it hides no data
            columns = min(3, len(axes.lines))
            axes.legend(loc="upper left", bbox_to_anchor=(0, -0.18), ncols=columns, borderaxespad=0)
    return figure


@styled
def loss_curves(
    histories: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]], *, metric: str = "loss"
) -> Figure:
    """Curves of several runs in one picture: lines of training, dots of validation.

    Args:
        histories: name -> what `mclf.history` gives of a run, {"train": columns, "valid": columns}.
        metric: that is drawn: "loss", or another of these columns, such as "accuracy".

    Raises:
        ValueError: no run has that metric.
    """
    figure, axes = single(5.6, 3.0)
    looks = {"train": {"alpha": 0.55}, "valid": {"marker": "o", "markersize": 3, "linewidth": 0.8}}
    for number, (name, history) in enumerate(histories.items()):
        for kind, look in looks.items():
            columns = history.get(kind, {})
            if metric in columns:
                label = f"{name}, {'training' if kind == 'train' else 'validation'}"
                axes.plot(
                    columns["step"], columns[metric], color=colour(number), label=label, **look
                )
    if not axes.lines:
        known = {
            column for history in histories.values() for of in history.values() for column in of
        }
        raise ValueError(f"metric is {metric!r}; these runs have {', '.join(sorted(known))}")
    axes.set(xlabel="step", ylabel=title_of(metric))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.18), ncols=2, borderaxespad=0)
    return figure


def _direction(name: str) -> str | None:
    try:
        return metrics.direction(name)
    except ValueError:
        return None


def _train_loss(axes: Axes, train: Mapping[str, Sequence[float]]) -> None:
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


@styled
def metric_curves(
    train: Mapping[str, Sequence[float]],
    valid: Mapping[str, Sequence[float]],
    *,
    names: Sequence[str],
) -> Figure:
    """A panel for each metric against the step, training and, where there is one, validation.

    Args:
        train, valid: "step" and metrics, of equal length; `valid` may be {}.
        names: of the metrics, in order.
    """
    figure, all_axes = panels(len(names), columns=3, width=3.5, height=2.3)
    for axes, name in zip(all_axes, names, strict=True):
        axes.plot(train["step"], train[name], color=ACCENT, label="training")
        if np.isfinite(valid.get(name, ())).any():
            axes.plot(
                valid["step"], valid[name], color=SECOND, marker="o", markersize=3, label="valid"
            )
        axes.set_title(sentence(title_of(name)))
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    for axes in all_axes[-3:]:
        axes.set_xlabel("step")
    if len(all_axes[0].lines) > 1:
        all_axes[0].legend()
    return figure


@styled
def input_speed(found: Mapping[str, Any]) -> Figure:
    """What a song costs at each stage, and the rate of each setting beside that of the step.

    Args:
        found: "stages_ms", "settings" and "step_songs_per_s", see
            `train.spending.speed.Speed.to_json`.
    """
    figure, (left, right) = panels(2, columns=2, width=4.2, height=3.0)
    stages = found["stages_ms"]
    left.barh(list(stages), list(stages.values()), color=ACCENT)
    left.invert_yaxis()
    left.set(xlabel="ms a song", title="One thread, and the device")
    fields = ("num_workers", "num_threads", "prefetch")
    measured = [one for one in found["settings"] if "songs_per_s" in one]
    names = [" / ".join(f"{one[field]}" for field in fields) for one in measured]
    right.barh(names, [one["songs_per_s"] for one in measured], color=ACCENT)
    if found["step_songs_per_s"]:
        right.axvline(found["step_songs_per_s"], color=SECOND, label="the step takes")
        right.legend(loc="upper left", bbox_to_anchor=(0, -0.18), borderaxespad=0)
    right.invert_yaxis()
    right.set(xlabel="songs/s", title="Workers / threads / batches ahead")
    return figure
