"""The page of a run without labels: its objective's curves, and whether it has collapsed."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mclf_jax import objectives
from mclf_jax.figures.plots import ACCENT, SECOND, styled, title_of
from mclf_jax.objectives.diagnostics import collapse_message
from mclf_jax.report.markup import card, escape, facts, figure, number, write_document
from mclf_jax.report.page import config_section
from mclf_jax.run import history

# What every run logs and says nothing about embeddings.
_OF_THE_LOOP = ("step", "learning_rate", "grad_norm", "songs_per_s", "data_wait")
_MEANINGS = {
    "loss": "of the objective",
    "alignment": "squared distance of two views of a song; 0: the same",
    "uniformity": "log of the mean Gaussian potential; lower: spread over the sphere",
    "embedding_std": "1: spread out, 0: all songs alike",
    "effective_rank": "directions in use",
}
_COLUMNS = 3


def write_pretraining_page(run: Path, *, meta: Mapping[str, Any], objective: str) -> Path:
    """Write `report/index.html` of a self-supervised run and return its path.

    Args:
        run: the run directory; its `metrics.jsonl` and `config.json` are read.
        meta: of the run, as in `meta.json`.
        objective: its name.

    Raises:
        ValueError: the run has no history yet.
    """
    records = history.read(run / "metrics.jsonl")
    train, valid = records.get("train", {}), records.get("valid", {})
    names = sorted(set(train) - set(_OF_THE_LOOP), key=lambda name: (name != "loss", name))
    if not names and meta["data"]["name"] == "none":
        raise ValueError(
            f"{run} was made from weights by `mclf convert` and has no training history; see what "
            "its embeddings are good for with `mclf probe`"
        )
    if not names:
        raise ValueError(f"{run} has no training history yet: start its `mclf train` command again")
    last = {name: _last(train[name]) for name in names}
    known = {name: value for name, value in last.items() if value is not None}
    advice = objectives.traits(objective).against_collapse
    message = collapse_message(known, advice=advice)
    data = meta["data"]
    header = (
        f"<header><h1>{escape(run.resolve().name)}</h1><p>{escape(objective)} on "
        f"{escape(data['name'])}, without labels</p></header>"
    )
    cards = "".join(
        card(escape(_title(name)), number(value), below=_MEANINGS.get(name, ""))
        for name, value in last.items()
        if value is not None
    )
    shown = {"data set": data["name"], "splits": data["splits"], "network": meta["model"]["name"]}
    body = [
        header,
        f'<p class="note">{escape(message[:1].upper() + message[1:])}</p>' if message else "",
        f'<h2>After step {train["step"][-1]:.0f}</h2><div class="cards">{cards}</div>',
        "<h2>Training</h2>",
        facts(shown),
        figure(
            metric_curves(train, valid, names=names),
            name="curves",
            caption="What the objective says of itself, in training and on songs of the valid "
            "split. What its embeddings are good for, a probe tells: mclf probe.",
            wide=True,
        ),
        config_section(run / "config.json"),
    ]
    return write_document(
        run / "report" / "index.html",
        title=f"{run.resolve().name}: report",
        body=[part for part in body if part],
        footer="A loss that falls does not show that embeddings are useful: look at their spread.",
    )


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
    columns = min(_COLUMNS, len(names))
    rows = -(-len(names) // columns)
    drawn = Figure(figsize=(3.5 * columns, 2.3 * rows), layout="constrained")
    panels = drawn.subplots(rows, columns, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):
        axes.plot(train["step"], train[name], color=ACCENT, label="training")
        if np.isfinite(valid.get(name, ())).any():
            axes.plot(
                valid["step"], valid[name], color=SECOND, marker="o", markersize=3, label="valid"
            )
        axes.set_title(_title(name))
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    for axes in panels[max(0, len(names) - columns) : len(names)]:
        axes.set_xlabel("step")
    if len(panels[0].lines) > 1:
        panels[0].legend()
    return drawn


def _title(name: str) -> str:
    title = title_of(name)
    return title[:1].upper() + title[1:]


def _last(values: Sequence[float]) -> float | None:
    finite = [value for value in values if math.isfinite(value)]
    return finite[-1] if finite else None
