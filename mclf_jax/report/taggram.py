"""The taggram: how likely each label is at each moment of a song."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from mclf_jax.report.plots import INK, short, styled


@styled
def plot_taggram(taggram: Mapping, *, max_labels: int = 15) -> Figure:
    """Heat map of scores, labels downwards by their mean, seconds to the right.

    Args:
        taggram: "times_s" float [W] rising window centres, "labels" K names, "scores" [W, K].
        max_labels: this many labels of the highest mean are drawn.

    Raises:
        ValueError: the shapes disagree, or there is no window.
    """
    times_s = np.asarray(taggram["times_s"], float)
    labels, scores = taggram["labels"], np.asarray(taggram["scores"], float)
    if scores.shape != (len(times_s), len(labels)) or scores.size == 0:
        raise ValueError(
            f"taggram scores must be [windows, labels] = [{len(times_s)}, {len(labels)}] and not "
            f"empty, got shape {scores.shape}"
        )
    order = np.argsort(-scores.mean(axis=0), kind="stable")[:max_labels]
    if len(times_s) > 1:
        middles = (times_s[1:] + times_s[:-1]) / 2
        # Half a hop beyond the first and the last centre.
        first, last = 2 * times_s[0] - middles[0], 2 * times_s[-1] - middles[-1]
        edges = np.r_[max(first, 0.0), middles, last]
    else:
        edges = np.array([0.0, max(2 * times_s[0], 1.0)])
    figure = Figure(figsize=(7.2, 1.1 + 0.24 * len(order)), layout="constrained")
    axes = figure.subplots()
    mesh = axes.pcolormesh(
        edges,
        np.arange(len(order) + 1),
        scores[:, order].T,
        cmap="magma",
        vmin=0,
        vmax=max(float(scores.max()), 1e-3),
        rasterized=scores[:, order].size > 2000,
    )
    axes.set_yticks(np.arange(len(order)) + 0.5, [short(labels[k]) for k in order])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set(xlabel="seconds", ylim=(len(order), 0))
    axes.grid(False)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(mesh, ax=axes, pad=0.01, aspect=30)
    bar.set_label("score")
    bar.outline.set_visible(False)
    return figure
