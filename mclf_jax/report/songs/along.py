"""Songs along time: what is said when, of songs of which a model is surest and of its worst."""

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mclf_jax.common import files
from mclf_jax.evaluation.result import Report
from mclf_jax.figures.style import title_of
from mclf_jax.figures.taggram import plot_along
from mclf_jax.metrics.along import Segment, window_targets
from mclf_jax.report import page
from mclf_jax.report.songs import mistakes

TaggramOf = Callable[[str], Mapping[str, Any]]
NUM_EACH = 2
_MOST_FILES = 12
_CARDS = ("f1_macro", "f1", "precision", "recall")
_OF_WINDOWS = ("pr_auc_macro", "roc_auc_macro")
_PART = re.compile(r"(.+)#t=([\d.]+),([\d.]+)")
"""Parts of a file are called "song.ogg#t=10,12.5"."""


def along(report: Report, *, taggram_of: TaggramOf | None) -> list[dict[str, Any]]:
    """{"item", "kind": "surest" or "worst", and "figure", or "why" there is none} of a few songs.

    Where the songs of a report are parts of files, it holds their scores along time; of whole songs
    `taggram_of` gives them. Numbers have no such pictures, as they know no bounds.

    Args:
        report: of a split.
        taggram_of: from the name of a song to "times_s" [W], "scores" [W, K] and "window_s".
    """
    if report.task == "regression":
        return []
    errors = mistakes.song_errors(report)
    if files := _files(report):
        of_file = {name: _mean(errors[list(parts)]) for name, parts in files.items()}
        chosen = _ends(list(of_file), [of_file[name] for name in of_file])
        return [
            {"item": name, "kind": kind, "figure": _of_parts(report, files[name])}
            for name, kind in chosen
        ]
    if taggram_of is None:
        return []
    worst = [report.items[found.index] for found in mistakes.worst(report, count=NUM_EACH)]
    sure = [report.items[n] for n in surest(report, count=NUM_EACH)]
    shown = []
    for item, kind in (*((i, "surest") for i in sure), *((i, "worst") for i in worst)):
        try:
            taggram = {**taggram_of(item), "labels": report.labels}
            shown.append({"item": item, "kind": kind, "figure": _of_song(report, taggram, item)})
        except Exception as error:  # one unreadable song must not cost the whole page
            why = f"no picture: {type(error).__name__}: {error}"
            shown.append({"item": item, "kind": kind, "why": why})
    return shown


def write_along(
    found: Mapping[str, Any],
    truth: Mapping[str, Sequence[Segment]],
    out: str | os.PathLike,
    *,
    run_name: str,
) -> dict[str, Path]:
    """Write what `evaluation.along.evaluate_along` found as OUT/along.json, and as a page.

    Args:
        found: of it.
        truth: that it was judged by.
        out: the folder.
        run_name: of what was judged.

    Returns:
        The paths of "scores" and "page".
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    kinds = ("windows", "frames", "events")
    kept = (*kinds, "frame_s", "onset_s", "unknown", "skipped")
    files.write_json(out / "along.json", files.without_nan({name: found[name] for name in kept}))
    labels = sorted({label for kind in kinds[1:] for label in found[kind]["labels"]})
    columns = ("precision", "recall", "f1")
    unknown = dict.fromkeys(columns, math.nan)
    cells = {
        label: [
            found[kind]["labels"].get(label, unknown)[name]
            for kind in kinds[1:]
            for name in columns
        ]
        for label in labels
    }
    cards = [(f"{k}: {n}", found[k][n], n == "f1_macro") for k in kinds[1:] for n in _CARDS]
    cards += [(f"windows: {title_of(name)}", found["windows"][name], False) for name in _OF_WINDOWS]
    page_path = page.write(
        out / "index.html",
        "along",
        run_name=run_name,
        found=found,
        labels=labels,
        cards=[card for card in cards if math.isfinite(card[1])],
        head=["label", *(f"{kind}: {name}" for kind in kinds[1:] for name in columns)],
        rows=[[label, *map(page.number, values)] for label, values in cells.items()],
        figures=_furthest(found["taggrams"], truth),
    )
    return {"scores": out / "along.json", "page": page_path}


def _furthest(
    taggrams: Mapping[str, Mapping[str, Any]], truth: Mapping[str, Sequence[Segment]]
) -> dict[str, Figure]:
    """Pictures of the songs whose windows say the most that is not so."""
    errors = {}
    for path, taggram in taggrams.items():
        cut = {name: taggram[name] for name in ("times_s", "window_s", "labels")}
        targets = window_targets(truth[path], **cut)
        named = [k for k, label in enumerate(taggram["labels"]) if label in _named(truth)]
        errors[path] = float(np.abs(taggram["scores"] - targets)[:, named].mean())
    shown = sorted(errors, key=lambda path: -errors[path])[:_MOST_FILES]
    times: dict[str, dict[str, list[tuple[float, float]]]] = {path: {} for path in shown}
    for path in shown:
        for one in truth[path]:
            times[path].setdefault(one.label, []).append((one.start_s, one.end_s))
    return {path: plot_along(taggrams[path], truth=times[path]) for path in shown}


def _named(truth: Mapping[str, Sequence[Segment]]) -> set[str]:
    return {one.label for segments in truth.values() for one in segments}


def surest(report: Report, *, count: int) -> list[int]:
    """Places of the right songs with the clearest scores: of the best class, or of tags on the
    whole; songs that are among the worst are left out."""
    errors, scores = mistakes.song_errors(report), report.scores
    if report.task == "single_label":
        clear, good = scores.max(axis=1), errors == 0
    else:
        clear = -np.where(report.observed, scores * (1 - scores), np.nan)
        known = np.isfinite(errors)
        clear = np.where(known, [_mean(row) for row in clear], -np.inf)
        good = known & (errors <= (np.median(errors[known]) if known.any() else 0.0))
    order = np.argsort(-np.where(good, clear, -np.inf), kind="stable")
    return [int(n) for n in order[:count] if good[n]]


def _files(report: Report) -> dict[str, dict[int, tuple[float, float]]]:
    """{file: {place of a part: (start_s, end_s)}} of files of several parts."""
    found: dict[str, dict[int, tuple[float, float]]] = {}
    for n, item in enumerate(report.items):
        if part := _PART.fullmatch(item):
            found.setdefault(part[1], {})[n] = float(part[2]), float(part[3])
    return {name: parts for name, parts in found.items() if len(parts) > 1}


def _ends(names: Sequence[str], errors: Sequence[float]) -> list[tuple[str, str]]:
    """The files with the fewest errors and those with the most."""
    order = sorted((n for n in range(len(names)) if errors[n] == errors[n]), key=errors.__getitem__)
    sure = order[: min(NUM_EACH, (len(order) + 1) // 2)]
    worst = order[::-1][: min(NUM_EACH, len(order) // 2)]
    return [(names[n], "surest") for n in sure] + [(names[n], "worst") for n in worst]


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def _labels_of(report: Report, n: int) -> list[str]:
    if report.task == "single_label":
        return [report.labels[int(report.targets[n])]]
    return [report.labels[k] for k in np.flatnonzero(report.targets[n] > 0.5)]


def _of_parts(report: Report, parts: Mapping[int, tuple[float, float]]) -> Any:
    order = sorted(parts, key=lambda n: parts[n])
    times = np.array([parts[n] for n in order])
    truth: dict[str, list[tuple[float, float]]] = {}
    for n in order:
        for label in _labels_of(report, n):
            truth.setdefault(label, []).append(parts[n])
    taggram = {
        "times_s": times.mean(axis=1),
        "labels": report.labels,
        "scores": report.scores[order],
        "window_s": float(np.diff(times[[0, -1]]).mean()),
    }
    return plot_along(taggram, truth=truth)


def _of_song(report: Report, taggram: Mapping[str, Any], item: str) -> Any:
    ends_s = np.asarray(taggram["times_s"])[[0, -1]] + [-1, 1] * np.array(taggram["window_s"]) / 2
    whole = (float(ends_s[0]), float(ends_s[1]))
    labels = _labels_of(report, report.items.index(item))
    return plot_along(taggram, truth={label: [whole] for label in labels})
