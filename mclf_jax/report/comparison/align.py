"""Reports of several runs, brought to the songs and labels that all of them have."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from mclf_jax.common import checks
from mclf_jax.data.base.source import TASKS
from mclf_jax.evaluation.result import Report
from mclf_jax.metrics.bootstrap import numbered
from mclf_jax.metrics.inputs import among

BY = ("auto", "song", "group")


@dataclasses.dataclass(frozen=True, eq=False)
class Aligned:
    """What M reports say of the same N songs and K labels.

    Attributes:
        task: one of `data.base.source.TASKS`.
        labels, items: names, in the order of the first report.
        targets: as in `Report`.
        scores: float64 [N, K] of each report.
        groups: int [N] from 0 on, of what is drawn together; None where every song is on its own.
        by: what is drawn: "song", "artist", ...
        notes: what was left out, a sentence each.
    """

    task: str
    labels: tuple[str, ...]
    items: tuple[str, ...]
    targets: np.ndarray
    scores: tuple[np.ndarray, ...]
    groups: np.ndarray | None
    by: str
    notes: tuple[str, ...]


def align(reports: Sequence[Report], *, by: str = "auto") -> Aligned:
    """The songs and labels that all reports have, of which all know the same truth.

    Args:
        reports: of one task.
        by: "song", "group", or "auto": by group where the first report has groups of several songs.

    Raises:
        ValueError: they are of different tasks, or have next to nothing in common; or no groups
            are known.
    """
    checks.choice("by", by, BY)
    first, notes = reports[0], []
    check_tasks([(report.run_name, report.task) for report in reports])
    labels = [one for one in first.labels if all(one in r.labels for r in reports)]
    every = sorted({one for report in reports for one in report.labels} - set(labels))
    if every:
        notes.append(f"labels that not all runs have, left out: {checks.few(every)}")
    check_common(len(labels), task=first.task, first=first.run_name)
    places = [{item: n for n, item in enumerate(report.items)} for report in reports]
    songs = [item for item in first.items if all(item in place for place in places)]
    num_songs = len({item for report in reports for item in report.items})
    if len(songs) < num_songs:
        notes.append(f"songs that not all runs scored, left out: {num_songs - len(songs)}")
    cut = [
        _cut(report, labels, [place[item] for item in songs])
        for report, place in zip(reports, places, strict=True)
    ]
    targets = cut[0]["targets"]
    same = np.ones(len(songs), bool)
    for each in cut[1:]:
        equal = (each["targets"] == targets) | (np.isnan(each["targets"]) & np.isnan(targets))
        same &= equal if equal.ndim == 1 else equal.all(axis=1)
    if differing := int((~same).sum()):
        notes.append(f"songs of which runs know another truth, left out: {differing}")
    if first.task == "single_label":
        if others := int((same & (targets < 0)).sum()):
            notes.append(f"songs whose label not all runs have, left out: {others}")
        same &= targets >= 0
    if same.sum() < 2:
        raise ValueError(
            f"{reports[0].run_name} and the others have {int(same.sum())} scored songs in common, "
            "with the same labels; evaluate them on the same split of the same data"
        )
    kept = np.flatnonzero(same)
    groups = _groups(first, [places[0][songs[n]] for n in kept], by=by)
    return Aligned(
        task=first.task,
        labels=tuple(labels),
        items=tuple(songs[n] for n in kept),
        targets=targets[kept].astype(int) if first.task == "single_label" else targets[kept],
        scores=tuple(each["scores"][kept] for each in cut),
        groups=groups,
        by="song" if groups is None else first.group_kind,
        notes=tuple(notes),
    )


def check_tasks(runs: Sequence[tuple[str, str]]) -> str:
    """The task of all (name, task), or a ValueError that names those of others."""
    if len(tasks := {task for _, task in runs}) > 1:
        named = ", ".join(f"{name}: {task}" for name, task in runs)
        raise ValueError(
            f"runs of {len(tasks)} tasks cannot be compared ({named}); allowed: runs of one of "
            f"{', '.join(TASKS)}"
        )
    return runs[0][1]


def check_common(count: int, *, task: str, first: str) -> None:
    """Raise a ValueError if runs have so few labels in common that nothing can be compared."""
    if count < (2 if task == "single_label" else 1):
        raise ValueError(
            f"{first} and the others have {count} labels in common: there is nothing to compare"
        )


def _cut(report: Report, labels: Sequence[str], songs: Sequence[int]) -> dict[str, np.ndarray]:
    """Scores and float64 targets of songs, of these labels; -1 of a class that is none of them."""
    columns = [report.labels.index(label) for label in labels]
    scores = report.scores[songs][:, columns].astype(np.float64)
    if report.task != "single_label":
        return {"scores": scores, "targets": report.targets[songs][:, columns].astype(np.float64)}
    if len(columns) < len(report.labels):
        scores = among(scores)
    place = {column: k for k, column in enumerate(columns)}
    targets = [place.get(int(target), -1) for target in report.targets[songs]]
    return {"scores": scores, "targets": np.array(targets, np.float64)}


def _groups(report: Report, songs: Sequence[int], *, by: str) -> np.ndarray | None:
    known = [report.groups[n] for n in songs] if report.groups and by != "song" else []
    found = numbered(known)
    if found is None and by == "group":
        raise ValueError(
            f"by is 'group', but the report of {report.run_name} knows no groups of several songs; "
            "take 'song', or evaluate the run again if the report is of an earlier version"
        )
    return found
