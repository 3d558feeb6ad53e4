"""Segments: from when to when a song has a label, and the two files that hold them."""

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mclf_jax.common import checks, files
from mclf_jax.common.text import tables

COLUMNS = ("path", "start_s", "end_s", "label")


@dataclasses.dataclass(frozen=True)
class Segment:
    """A label from `start_s` to `end_s`, in seconds; `score` is NaN where it is annotated."""

    start_s: float
    end_s: float
    label: str
    score: float = math.nan


def segments_of(
    taggram: Mapping[str, Any],
    *,
    task: str = "multi_label",
    thresholds: Mapping[str, float] | float | None = None,
    merge_gap_s: float = 0.0,
    min_s: float = 0.0,
) -> list[Segment]:
    """From when to when each label holds, by the scores of windows.

    A window speaks for the time that is nearer to its middle than to that of another; the first
    and the last for all that they hear. Neighbours with a gap of at most `merge_gap_s` between
    them become one, but in "single_label" where another label holds in between; what is then
    shorter than `min_s` is dropped.

    Args:
        taggram: of `Tagger.taggram`: "times_s" [W] middles of the windows, "labels" K names,
            "scores" [W, K], "window_s".
        task: "multi_label": labels whose score reaches the threshold; "single_label": of each
            window the best, if it reaches its threshold.
        thresholds: of all labels, 0 to 1, or {label: threshold}, .5 where there is none
            ("single_label": 0).
        merge_gap_s, min_s: seconds.

    Returns:
        By start, end and label; `score` is the mean of the windows.

    Raises:
        ValueError: a setting out of range, or the task is "regression".

    >>> taggram = {"times_s": [1, 3, 5], "labels": ["a"], "scores": [[0.9], [0.7], [0.1]]}
    >>> segments_of(taggram | {"window_s": 2.0})
    [Segment(start_s=0.0, end_s=4.0, label='a', score=0.8)]
    """
    checks.choice("task", task, ("multi_label", "single_label"))
    checks.at_least("merge_gap_s", merge_gap_s, 0)
    checks.at_least("min_s", min_s, 0)
    labels, scores = taggram["labels"], np.asarray(taggram["scores"], float)
    edges_s = window_edges(taggram["times_s"], taggram["window_s"])
    usual = 0.5 if task == "multi_label" else 0.0
    if isinstance(thresholds, Mapping):
        lowest = np.array([thresholds.get(label, usual) for label in labels])
    else:
        one = usual if thresholds is None else thresholds
        checks.within("threshold", one, 0, 1)
        lowest = np.full(len(labels), one)
    active = scores >= lowest
    if task == "single_label":
        active &= scores.argmax(axis=1)[:, None] == np.arange(len(labels))
    found = []
    for k, label in enumerate(labels):
        changes = np.flatnonzero(np.diff(np.r_[0, active[:, k].astype(int), 0]))
        runs = changes.reshape(-1, 2).tolist()
        merged: list[list[int]] = []
        for first, stop in runs:
            since = merged[-1][1] if merged else 0
            gap_s = edges_s[first] - edges_s[since] if merged else math.inf
            # Of labels that exclude each other, none reaches over what another one has.
            free = task == "multi_label" or not active[since:first].any()
            if gap_s <= merge_gap_s and free:
                merged[-1][1] = stop
            else:
                merged.append([first, stop])
        for first, stop in merged:
            start_s, end_s = float(edges_s[first]), float(edges_s[stop])
            if end_s - start_s >= min_s:
                heard = scores[first:stop, k][active[first:stop, k]]
                found.append(Segment(start_s, end_s, label, round(float(heard.mean()), 6)))
    return sorted(found, key=lambda one: (one.start_s, one.end_s, one.label))


def window_edges(times_s: Sequence[float], window_s: float) -> np.ndarray:
    """Seconds [W + 1] between which each window speaks, given their middles."""
    times_s = np.asarray(times_s, float)
    between = (times_s[:-1] + times_s[1:]) / 2
    first = max(0.0, times_s[0] - window_s / 2)
    return np.concatenate([[first], between, [times_s[-1] + window_s / 2]])


def write_csv(found: Mapping[str, Sequence[Segment]], file: str | os.PathLike) -> Path:
    """A row for each segment of each song: path, start_s, end_s, label, score.

    It is a `manifest.csv`, too, for whoever corrects it and trains on it.
    """
    with files.replacing(Path(file)) as partial, partial.open("w", encoding="utf-8") as text:
        rows: list[Sequence[Any]] = [(*COLUMNS, "score")]
        for path, segments in found.items():
            for one in segments:
                score = "" if math.isnan(one.score) else f"{one.score:.4f}"
                rows.append((path, f"{one.start_s:.3f}", f"{one.end_s:.3f}", one.label, score))
        tables.write_rows(text, rows)
    return Path(file)


def write_labels(segments: Sequence[Segment], file: str | os.PathLike) -> Path:
    """A label track for Audacity (File, Import, Labels): start, end and label with tabs between."""
    lines = [
        f"{one.start_s:.6f}\t{one.end_s:.6f}\t{' '.join(one.label.split())}\n" for one in segments
    ]
    files.write_text(Path(file), "".join(lines))
    return Path(file)


def read(file: str | os.PathLike) -> dict[str, list[Segment]]:
    """{path: segments} of a table with the columns path, start_s, end_s and label; or of a label
    track of Audacity (.txt), whose path is its name without the ending.

    A cell of `label` may hold several, separated by `|`; an empty one says that there is none.

    Raises:
        ValueError: no such table, or a segment does not end after its beginning.
    """
    file = Path(file)
    if file.is_dir():
        raise ValueError(f"{file} is a folder; name a table with the columns {', '.join(COLUMNS)}")
    if file.suffix.lower() == ".txt":
        lines = [(n, line.split("\t", 2)) for n, line in tables.read_lines(file) if line.strip()]
        rows = [  # a line that begins with a backslash says frequencies
            (n, file.stem, *(*cells, "", "")[:3]) for n, cells in lines if cells[0] != "\\"
        ]
    else:
        table = tables.read(file, columns=COLUMNS)
        rows = [(n, *(row[name] for name in COLUMNS)) for n, row in table.rows]
    found: dict[str, list[Segment]] = {}
    for number, path, start, end, label in rows:
        try:
            times_s = float(start), float(end)
            if not 0 <= times_s[0] <= times_s[1] < math.inf:
                raise ValueError("a segment must end after its beginning")
        except ValueError as error:
            raise ValueError(
                f"{file}, line {number}: start {start!r}, end {end!r}: {error}"
            ) from error
        segments = found.setdefault(path, [])
        segments += [Segment(*times_s, one.strip()) for one in label.split("|") if one.strip()]
    return found
