"""The part of the page that tells what one split's evaluation found."""

import math

import numpy as np

from mclf_jax.evaluation.result import Report
from mclf_jax.figures import plots
from mclf_jax.figures.spectrogram import plot_spectrogram
from mclf_jax.metrics import HEADLINES, HIERARCHICAL, NAMES
from mclf_jax.report import mistakes
from mclf_jax.report.hierarchy import hierarchy_section
from mclf_jax.report.markup import card, escape, figure, folded, interval_text, number, table
from mclf_jax.report.svg import inline_svg

NUM_MISTAKES = 10
MAX_MATRIX = 60  # a larger confusion matrix cannot be read; the commonest errors can


def results(report: Report, *, prefix: str, spectrogram_of=None) -> str:
    """HTML of one report; `prefix` is its anchor and keeps its figures' ids apart from others'."""
    draw = {
        "single_label": _single_label,
        "multi_label": _multi_label,
        "regression": _regression,
    }
    parts = [
        f'<section id="{prefix}"><h2>{escape(report.split.capitalize())} split</h2>',
        _cards(report),
        _undefined(report),
        draw[report.task](report, prefix),
        hierarchy_section(report),
        _mistakes(report, prefix, spectrogram_of),
        _per_label_table(report),
        _skipped(report),
        "</section>",
    ]
    return "\n".join(part for part in parts if part)


def _cards(report: Report) -> str:
    lead = HEADLINES[report.task]
    rest = [name for name in NAMES[report.task] if name in report.metrics and name not in lead]
    rest += [name for name in report.metrics if name not in (*NAMES[report.task], *HIERARCHICAL)]
    cards = []
    for name in (*lead, *rest):
        if name not in report.metrics:
            continue
        title = plots.title_of(name)
        title = escape(title[:1].upper() + title[1:])
        value = number(report.metrics[name])
        below = interval_text(report.intervals.get(name))
        cards.append(card(title, value, below=below, lead=name in lead))
    observed = report.observed
    if not observed.all():
        below = f"{observed.sum()} of {observed.size}"
        cards.append(card("Labels observed", escape(_share(observed)), below=below))
    cards.append(card("Songs", str(len(report.items)), below=f"{report.num_windows} windows"))
    return f'<div class="cards">{"".join(cards)}</div>'


def _share(observed: np.ndarray) -> str:
    percent = 100 * observed.mean()
    if 0 < percent < 1 or percent > 99:  # neither none nor all
        return "< 1 %" if percent < 1 else "> 99 %"
    return f"{percent:.0f} %"


def _undefined(report: Report) -> str:
    if not report.undefined:
        return ""
    why = {
        "single_label": "no song of the split has it, or every song has",
        "multi_label": "no song of the split has it, or every song has",
        "regression": "its true values are all equal",
    }[report.task]
    if not report.observed.all():
        why = {
            "multi_label": "of the songs that it was observed for, none has it or every one has",
            "regression": "its observed values are all equal, or there is none",
        }[report.task]
    names = "".join(f'<span class="tag">{escape(label)}</span>' for label in report.undefined)
    return (
        f'<p class="note">Left out of a mean, because {why} ({len(report.undefined)} of '
        f"{len(report.labels)}): {names}</p>"
    )


def _single_label(report: Report, prefix: str) -> str:
    parts = []
    if len(report.labels) <= MAX_MATRIX:
        drawn = plots.confusion_matrix(report.confusion, report.labels)
        caption = "Songs by true and predicted label; the colour is the share of the true label."
        name = f"{prefix}-confusion"
        parts.append(figure(drawn, name=name, caption=caption, wide=len(report.labels) > 7))
    pairs = mistakes.confused_pairs(report, count=8)
    if pairs and len(report.labels) > 2:
        rows = [
            [escape(p["true"]), escape(p["predicted"]), str(p["songs"]), f"{p['share']:.0%}"]
            for p in pairs
        ]
        head = ["True", "taken for", "songs", "of its songs"]
        parts.append(f'<div class="panel">{table(head, rows, numbers_from=2)}</div>')
    one_hot = np.eye(len(report.labels))[report.targets]
    kind = "beside" if len(parts) == 2 and len(report.labels) <= 12 else "below"
    confusion = f'<h3>Confusion</h3><div class="{kind}">{"".join(parts)}</div>'
    return confusion + _curves(report, one_hot, prefix)


def _multi_label(report: Report, prefix: str) -> str:
    drawn = plots.per_label_bars(report.per_label, num_songs=len(report.items))
    caption = "Each label, by PR-AUC. The tick on a bar is chance."
    bars = figure(drawn, name=f"{prefix}-bars", caption=caption, wide=True)
    return f"<h3>Labels</h3>{bars}{_curves(report, report.targets, prefix)}"


def _curves(report: Report, targets: np.ndarray, prefix: str) -> str:
    areas = {
        name: {label: report.per_label[label][name] for label in report.labels}
        for name in ("roc_auc", "pr_auc")
    }
    few = sum(map(math.isfinite, areas["pr_auc"].values())) <= plots.MAX_CURVES
    which = "every label" if few else "the three best and the three worst labels"
    arguments = (report.scores, targets)
    roc = plots.roc_curves(*arguments, labels=report.labels, areas=areas["roc_auc"])
    pr = plots.pr_curves(*arguments, labels=report.labels, areas=areas["pr_auc"])
    one = figure(roc, name=f"{prefix}-roc", caption=f"ROC of {which}, with areas; dashed: chance.")
    two = figure(pr, name=f"{prefix}-pr", caption=f"Precision and recall of {which}, with areas.")
    return f'<h3>Curves</h3><div class="pair">{one}{two}</div>'


def _regression(report: Report, prefix: str) -> str:
    r2 = {label: report.per_label[label]["r2"] for label in report.labels}
    drawn = plots.regression_scatter(report.scores, report.targets, labels=report.labels, r2=r2)
    caption = "Predicted against true value, one dot a song. On the dashed line, both are equal."
    return "<h3>Predictions</h3>" + figure(
        drawn, name=f"{prefix}-scatter", caption=caption, wide=len(report.labels) > 1
    )


def _mistakes(report: Report, prefix: str, spectrogram_of) -> str:
    found = mistakes.worst(report, count=NUM_MISTAKES)
    heading = "<h3>Worst mistakes</h3>"
    if not found:
        why = "every song is right" if report.observed.any() else "no label was observed"
        return f'{heading}<p class="note">None: {why}.</p>'
    how = {
        "single_label": "Wrong songs, by how much more the wrong label scored than the right one.",
        "multi_label": "Songs by mean cross-entropy. True tags from the most missed, predictions "
        "from the highest score.",
        "regression": "Songs by squared error in units of each label's variance.",
    }[report.task]
    heads = {
        "single_label": ("True (its score)", "Predicted (score)"),
        "multi_label": ("True tags (score)", "Predicted (score)"),
        "regression": ("True", "Predicted"),
    }[report.task]
    partial = not report.observed.all()
    if partial:
        how += " Only labels that were observed in a song count."
        how += " The other predictions are marked with a ?." * (report.task == "multi_label")
    rows = []
    for i, mistake in enumerate(found):
        item = report.items[mistake.index]
        cells, name = "", escape(item)
        if spectrogram_of is not None:
            picture = _picture(item, spectrogram_of, name=f"{prefix}-song{i}")
            cells = f'<td class="picture">{picture["html"]}</td>'
            if picture["title"]:
                name = f"{escape(picture['title'])}<br><small>{name}</small>"
        if partial:
            seen = report.observed[mistake.index]
            name += f"<br><small>{seen.sum()} of {seen.size} labels observed</small>"
        cells += f'<td class="song">{name}</td>'
        for head, pairs in zip(heads, (mistake.true, mistake.predicted), strict=True):
            tags = "".join(_tag(k, v, known=k not in mistake.unobserved) for k, v in pairs)
            cells += f'<td data-head="{head}">{tags or "none"}</td>'
        rows.append(f"<tr>{cells}</tr>")
    columns = ("Spectrogram",) * (spectrogram_of is not None) + ("Song", *heads)
    head = "".join(f"<th>{column}</th>" for column in columns)
    return (
        f'{heading}<p class="note">{how}</p><div class="panel"><table class="mistakes"><thead>'
        f"<tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _tag(label: str, value: float, *, known: bool) -> str:
    if known:
        return f'<span class="tag">{escape(label)} {number(value)}</span>'
    why = "not observed in this song"
    return f'<span class="tag unknown" title="{why}">{escape(label)} {number(value)} ?</span>'


def _picture(item: str, spectrogram_of, *, name: str) -> dict[str, str]:
    """The picture, or why there is none: one unreadable song must not cost the whole page."""
    try:
        found = spectrogram_of(item)
        if found is None:
            return {"html": '<span class="muted">no picture</span>', "title": ""}
        drawn = plot_spectrogram(
            found["spectrogram"],
            duration_s=found.get("duration_s"),
            mel_centre_hz=found.get("mel_centre_hz"),
        )
        svg = inline_svg(drawn, name=name, description=f"log-mel spectrogram of {item}")
        return {"html": svg, "title": found.get("title") or ""}
    except Exception as error:
        why = f"no picture: {type(error).__name__}: {error}"
        return {"html": f'<span class="muted">{escape(why)}</span>', "title": ""}


def _per_label_table(report: Report) -> str:
    columns = list(next(iter(report.per_label.values()), {}))
    if report.observed.all():
        columns = [column for column in columns if column != "observed"]
    rows = [
        [escape(label), *(_cell(column, values[column]) for column in columns)]
        for label, values in report.per_label.items()
    ]
    head = ["label", *(escape(plots.title_of(column)) for column in columns)]
    return folded("All numbers by label", table(head, rows, numbers_from=1))


def _cell(column: str, value: float) -> str:
    if column in ("support", "observed") and math.isfinite(value):
        return str(int(value))
    return number(value, undefined="–")


def _skipped(report: Report) -> str:
    if not report.skipped:
        return ""
    rows = [[escape(item), escape(reason)] for item, reason in report.skipped]
    songs = "song" if len(rows) == 1 else "songs"
    return folded(f"{len(rows)} {songs} skipped", table(["song", "why"], rows, numbers_from=2))
