"""The page of `mclf data check`: findings, and the figures that people would rather look at."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from mclf_jax.data.check.finding import Finding
from mclf_jax.data.check.measure import Measured
from mclf_jax.data.check.result import CheckResult
from mclf_jax.figures import data as data_plots
from mclf_jax.report.markup import card, escape, facts, figure, folded, table, write_document

_SHOWN = 12
_COLOURS = {"leak": "var(--second)", "warning": "var(--second)", "passed": "var(--accent)"}
_ANCHORS = {"label names": "names"}


def write_page(result: CheckResult, path: str | os.PathLike) -> Path:
    """Write one HTML file that needs nothing else, and return its path.

    Args:
        result: of `data.check.check`.
        path: of the file, which is replaced; its folder is made.
    """
    topics: dict[str, list[Finding]] = {}
    for found in result.findings:
        topics.setdefault(found.topic, []).append(found)
    figures = {"audio": _audio, "duplicates": _matches, "labels": _labels, "label names": _matrix}
    body = [_header(result, list(topics)), _cards(result), _first(result)]
    for topic, findings in topics.items():
        title = result.title_of(topic)
        body.append(f'<section id="{_anchor(topic)}"><h2>{escape(title.capitalize())}</h2>')
        body.append(_findings(findings))
        body.append(figures[topic](result) if topic in figures else "")
        body.append("</section>")
    body.append(_about(result))
    return write_document(
        Path(path),
        title=f"{result.name}: check",
        body=body,
        footer="A leak makes scores too good; a warning is for you to judge.",
    )


def _anchor(topic: str) -> str:
    return _ANCHORS.get(topic, topic)


def _header(result: CheckResult, topics: list[str]) -> str:
    splits = ", ".join(f"{name} {size}" for name, size in result.splits.items())
    links = "".join(
        f'<a href="#{_anchor(topic)}">{escape(result.title_of(topic))}</a>' for topic in topics
    )
    return (
        f"<header><h1>{escape(result.name)}</h1><p>{len(result.item_ids)} items: {escape(splits)}"
        f"</p><nav>{links}</nav></header>"
    )


def _cards(result: CheckResult) -> str:
    leaks, warnings = len(result.leaks), len(result.warnings)
    below = "scores on these splits are too good" if leaks else "none found"
    cards = [
        card("Leaks", str(leaks), below=below, lead=True),
        card("Warnings", str(warnings), below="for you to judge"),
        card("Items", str(len(result.item_ids)), below=f"{result.num_skipped} left out"),
    ]
    heard = _heard(result)
    if heard:
        hours = sum(found.duration_s for found in heard) / 3600
        cards.append(card("Audio", f"{hours:.2f} h", below=f"{len(heard)} items decode"))
    if result.duplicates is not None:
        clusters = len(result.duplicates.clusters)
        cards.append(card("Repeated", str(clusters), below="recordings, exact or near copies"))
    return f'<div class="cards">{"".join(cards)}</div>'


def _first(result: CheckResult) -> str:
    """What to look at first, without the details."""
    worst = [*result.leaks, *result.warnings]
    if not worst:
        return '<p class="note">Nothing to warn of.</p>'
    return _rows(
        (found, f'<a href="#{_anchor(found.topic)}">{escape(result.title_of(found.topic))}</a>: ')
        for found in worst
    )


def _findings(findings: list[Finding]) -> str:
    return _rows((found, "") for found in findings)


def _rows(findings: Iterable[tuple[Finding, str]]) -> str:
    """Findings in a panel; those with a link before them are without details."""
    rows = []
    for found, link in findings:
        weight = "700" if found.verdict == "leak" else "500"
        colour = _COLOURS.get(found.verdict, "var(--muted)")
        style = f"color: {colour}; font-weight: {weight}; white-space: nowrap"
        text = link + escape(found.message)
        if found.details and not link:
            text += _lines(found.details)
        tag = f'<span class="tag" style="{style}">{found.verdict}</span>'
        rows.append(f"<dt>{tag}</dt><dd>{text}</dd>")
    return f'<div class="panel"><dl class="facts">{"".join(rows)}</dl></div>'


def _lines(details: Sequence[str]) -> str:
    lines = [f'<small class="muted">{escape(line)}</small>' for line in details]
    text = "<br>" + "<br>".join(lines[:_SHOWN])
    if len(lines) > _SHOWN:
        text += folded(f"{len(lines) - _SHOWN} more", "<br>".join(lines[_SHOWN:]))
    return text


def _heard(result: CheckResult) -> list[Measured]:
    return [found for found in result.audio or () if isinstance(found, Measured)]


def _audio(result: CheckResult) -> str:
    heard = _heard(result)
    if not heard:
        return ""
    panels = {
        "duration": ("seconds", np.array([found.duration_s for found in heard])),
        "level": ("dB of full scale", np.array([found.level_db for found in heard])),
        "band": ("reaches up to kHz", np.array([found.band_hz / 1000 for found in heard])),
        "silence": ("% of the item", np.array([100 * found.silent_share for found in heard])),
    }
    caption = "Items by length, loudness, highest frequency, and share of silence."
    return figure(data_plots.histograms(panels), name="audio", caption=caption, wide=True)


def _matches(result: CheckResult) -> str:
    if result.duplicates is None or not result.duplicates.matches:
        return ""
    rows = [
        [
            escape(result.item_ids[match.first]),
            escape(result.item_ids[match.second]),
            escape(match.kind),
            f"{match.shared_s:.1f}",
            f"{match.offset_s:+.1f}",
            f"{match.similarity:.2f}",
        ]
        for match in result.duplicates.matches
    ]
    head = ["one", "other", "what", "seconds in common", "apart, s", "similarity"]
    return folded(f"All {len(rows)} matches", table(head, rows, numbers_from=3))


def _labels(result: CheckResult) -> str:
    counts = result.counts
    if counts is None:
        return ""
    shares = counts.share()
    bars = data_plots.label_bars(shares, labels=counts.labels, splits=counts.splits)
    caption = "Share of each split's items with a label, where it is known; most frequent first."
    head = ["label"]
    for split in counts.splits:
        head += [f"{escape(split)}: positives", "known"]
    rows = [
        [escape(label)]
        + [
            str(n[s][k])
            for s in range(len(counts.splits))
            for n in (counts.positives, counts.observed)
        ]
        for k, label in enumerate(counts.labels)
    ]
    numbers = folded("All numbers by label", table(head, rows, numbers_from=1))
    return figure(bars, name="labels", caption=caption, wide=True) + numbers


def _matrix(result: CheckResult) -> str:
    counts = result.counts
    off_diagonal = counts.together - np.diag(np.diag(counts.together))
    if result.task != "multi_label" or not off_diagonal.any():
        return ""
    drawn = data_plots.co_occurrence(counts.together, labels=counts.labels)
    caption = (
        "Of the items with the label of a row, the share that has that of the column too. Labels "
        "stand next to those that they come with."
    )
    return figure(drawn, name="together", caption=caption, wide=True)


def _about(result: CheckResult) -> str:
    shown = {
        "version": result.version,
        "fingerprint": result.fingerprint,
        "licence": result.licence,
        "task": result.task.replace("_", " "),
    }
    return f'<h2 id="about">Data set</h2>{facts(shown)}'
