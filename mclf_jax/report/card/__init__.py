"""The model card of a run: what it is, what it is for, and where it fails, in Markdown."""

from pathlib import Path
from typing import Any

import jinja2

from mclf_jax.figures.style import sentence, title_of
from mclf_jax.metrics.calibration import NUM_BINS
from mclf_jax.report.card import markdown, weak
from mclf_jax.report.card.facts import card_facts
from mclf_jax.report.groups import ERRORS
from mclf_jax.report.page import interval, number
from mclf_jax.run.cost import Session

__all__ = ["card_facts", "write_card"]


def write_card(run: str | Path) -> str:
    """The model card of a run directory, as Markdown that reads well as text.

    It is made from the run alone: settings, data, saved reports of evaluated splits, what training
    cost, and `card.toml`, which holds what only a person knows. Nothing is computed anew but
    intervals and calibration, so that a card costs seconds.

    Raises:
        FileNotFoundError: not a run directory.
        ValueError: a file of it is damaged.
    """
    found = card_facts(run)
    cost, meta = found["cost"], found["meta"]
    text = _TEMPLATES.get_template("card.md").render(
        **found,
        devices=dict.fromkeys(map(_devices, cost.sessions)) if cost else {},
        packages={"python": meta.get("python", "unknown"), **meta.get("packages", {})},
    )
    # What a condition left out leaves lines behind.
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    while "\n\n\n" in lines:
        lines = lines.replace("\n\n\n", "\n\n")
    return lines.strip() + "\n"


def _metrics(split: dict[str, Any]) -> markdown.Markdown:
    intervals = split["report"].intervals
    rows = [
        [sentence(title_of(name)), number(value), interval(intervals.get(name))]
        for name, value in split["metrics"].items()
    ]
    return markdown.table(["metric", "value", "interval"], rows, numbers_from=1)


def _weak(split: dict[str, Any]) -> markdown.Markdown:
    rows = [
        [each["label"], number(each["score"]), interval(each["interval"]), each["songs"]]
        for each in split["weak"]
    ]
    head = ["label", title_of(split["weak_by"]), "interval", "songs"]
    return markdown.table(head, rows, numbers_from=1)


def _groups(split: dict[str, Any]) -> markdown.Markdown:
    rows = [[each["group"], number(each["error"]), each["songs"]] for each in split["groups"]]
    head = [split["report"].group_kind, "error", "songs"]
    return markdown.table(head, rows, numbers_from=1)


def _branches(split: dict[str, Any]) -> markdown.Markdown:
    rows = [[each["branch"], number(each["score"]), each["labels"]] for each in split["branches"]]
    head = ["branch", title_of(split["weak_by"]), "labels"]
    return markdown.table(head, rows, numbers_from=1)


def _bins(split: dict[str, Any]) -> markdown.Markdown:
    rows = [
        [f"{each['low']:g} to {each['high']:g}", each["said"], each["true"], each["count"]]
        for each in split["bins"]
    ]
    rows = [[bounds, number(said), number(true), count] for bounds, said, true, count in rows]
    head = ["score", "said, mean", "came true", "decisions"]
    return markdown.table(head, rows, numbers_from=1)


def _devices(session: Session) -> str:
    kind = session.device
    if session.device != session.platform:
        kind += f" ({session.platform})"
    text = f"{session.num_devices} x {kind}, in a machine with "
    text += f"{session.processor}, {session.num_cores} cores"
    return text + (f", {session.num_processes} processes" if session.num_processes > 1 else "")


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.3g} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("mclf_jax.report"),
    finalize=markdown.inline,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {
    "interval": interval,
    "number": number,
    "paragraphs": markdown.paragraphs,
    "sentence": sentence,
    "title_of": title_of,
}
_TEMPLATES.filters |= {"duration": _duration, "listed": markdown.listed, "pairs": markdown.pairs}
_TEMPLATES.globals |= {
    "metrics_table": _metrics,
    "weak_table": _weak,
    "groups_table": _groups,
    "branches_table": _branches,
    "bins_table": _bins,
    "errors": ERRORS,
    "few_songs": weak.FEW_SONGS,
    "fewest_of_group": weak.FEWEST_OF_GROUP,
    "num_bins": NUM_BINS,
    "software": "The mclf_jax authors, mclf_jax: music classification beyond supervised learning, "
    "in JAX and Flax",
    "tutorial": "M. Won, J. Spijkervet and K. Choi, Music Classification: Beyond Supervised "
    "Learning, Towards Real-world Applications, 2021, doi:10.5281/zenodo.5703780",
}
