"""Who fails: the error of songs by artist, era, format, length, or any other column of the data."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import norm, rankdata

from mclf_jax.evaluation.result import Report
from mclf_jax.metrics import HEADLINES, counted
from mclf_jax.metrics.interval import mean_interval, share_interval
from mclf_jax.metrics.paired import holm
from mclf_jax.report.songs import mistakes

FEWEST = 10
"""Groups of fewer songs are pooled: an error of them says little."""
ERRORS = {
    "single_label": "share of wrong songs",
    "multi_label": "mean cross-entropy",
    "regression": "squared error in units of variance",
}
"""What the error of songs is, by task: a mean over songs, which groups of any labels can have."""

_MOST_SCORED = 100  # groups of a column; metrics of thousands would take minutes
_MOST_VALUES = 12  # of a column of numbers; more are put into ranges
_NUM_RANGES = 5
_YEARS = (1000, 2100)
_YEAR = r"\d{4}(\.0)?(-\d\d.*)?"  # as a spreadsheet may have it, and dates


def score_groups(report: Report, *, fewest: int = FEWEST) -> dict[str, Any]:
    """The error of songs by every column that is known of them, with 95 % intervals.

    Numbers of many values are put into five ranges with as many songs each, years into decades. The
    intervals are Wilson's for shares and Student's t for means. A group is called worse if its
    songs' errors are larger than those of all others by the test of Mann and Whitney, at 5 % for
    all groups of a column together (Holm 1979).

    Args:
        report: of a split.
        fewest: songs of a group; those of smaller ones are pooled.

    Returns:
        {"metric": headline of the task, "error": what it is, "overall": a group, "columns": {name:
        {"groups": the worst first, "small": the pooled ones or None, "num_small": groups in it,
        "unknown": songs without a value}}, "worst": "column" and a group, the one that is
        worse with the smallest p, or None}. A group is {"group", "songs", "error", "low", "high",
        "score": its metric (of the 100 worst of a column), "p", "worse"}. Columns with one value
        alone are left out.
    """
    errors = mistakes.song_errors(report)
    known = np.isfinite(errors)
    found = {
        "metric": HEADLINES[report.task][0],
        "error": ERRORS[report.task],
        "overall": _scored(report, _group(report, "all songs", np.flatnonzero(known), errors)),
        "columns": {},
        "worst": None,
    }
    columns = dict(report.columns)
    if report.groups and len(set(report.groups)) < len(report.groups):
        columns = {report.group_kind: report.groups} | columns
    for name, values in columns.items():
        named = _in_ranges(values)
        if len(set(named) - {""}) > 1:
            found["columns"][name] = _column(report, named, errors, fewest=fewest)
    worse = [
        {"column": name} | group
        for name, column in found["columns"].items()
        for group in column["groups"]
        if group["worse"]
    ]
    found["worst"] = min(worse, key=lambda group: group["p"], default=None)
    return found


def songs_by(values: Sequence[str], errors: np.ndarray) -> dict[str, np.ndarray]:
    """{value: places of its songs}, of those whose error is known."""
    places: dict[str, list[int]] = {}
    for n, value in enumerate(values):
        if np.isfinite(errors[n]):
            places.setdefault(value, []).append(n)
    return {value: np.array(songs) for value, songs in places.items()}


def _column(
    report: Report, values: Sequence[str], errors: np.ndarray, *, fewest: int
) -> dict[str, Any]:
    places = songs_by(values, errors)
    unknown = places.pop("", np.array([], int))
    large = {name: songs for name, songs in places.items() if len(songs) >= fewest}
    small = [songs for name, songs in places.items() if name not in large]
    groups = [_group(report, name, songs, errors) for name, songs in large.items()]
    for group, p in zip(groups, holm(_p_worse(list(large.values()), errors)), strict=True):
        group |= {"p": p, "worse": bool(p < 0.05)}
    groups.sort(key=lambda group: -group["error"])
    pooled = _group(report, "smaller groups", np.concatenate([*small, []]).astype(int), errors)
    return {
        "groups": [
            _scored(report, group, wanted="yes" if place < _MOST_SCORED else "no")
            for place, group in enumerate(groups)
        ],
        "small": _scored(report, pooled) if small else None,
        "num_small": len(small),
        "unknown": len(unknown),
    }


def _group(report: Report, name: str, songs: np.ndarray, errors: np.ndarray) -> dict[str, Any]:
    """What is known of a group but its metric; its songs are under "places"."""
    found: dict[str, Any] = {"group": name, "songs": len(songs), "places": songs}
    if not len(songs):
        return found | dict.fromkeys(("error", "low", "high"), float("nan"))
    error = float(errors[songs].mean())
    if report.task == "single_label":
        bounds = share_interval(int(errors[songs].sum()), len(songs))
    else:
        half_width = mean_interval(errors[songs], num_folds=0)["half_width"]
        bounds = {"low": max(0.0, error - half_width), "high": error + half_width}
    return found | {"error": error, **bounds}


def _scored(report: Report, group: dict[str, Any], *, wanted: str = "yes") -> dict[str, Any]:
    """The group with its "score" in place of its "places"."""
    songs, metric, score = group.pop("places"), HEADLINES[report.task][0], float("nan")
    if len(songs) and wanted == "yes":
        scores, targets = report.scores[songs], report.targets[songs]
        score = float(counted.value(metric, report.task, scores, targets)[0])
    return group | {"score": score}


def _p_worse(groups: Sequence[np.ndarray], errors: np.ndarray) -> list[float]:
    """p of each group of places by the test of Mann and Whitney (normal, with ties), one-sided."""
    known = np.flatnonzero(np.isfinite(errors))
    ranks = np.zeros(len(errors))
    ranks[known] = rankdata(errors[known])
    total = len(known)
    ties = np.unique(errors[known], return_counts=True)[1].astype(float)
    tied = ((ties**3 - ties).sum() / (total * (total - 1))) if total > 1 else 0.0
    p_values = []
    for songs in groups:
        first, second = len(songs), total - len(songs)
        above = ranks[songs].sum() - first * (first + 1) / 2 - first * second / 2
        spread = math.sqrt(first * second / 12 * (total + 1 - tied))
        p_values.append(float(norm.sf((above - 0.5) / spread)) if spread else math.nan)
    return p_values


def _in_ranges(values: Sequence[str]) -> Sequence[str]:
    """The same, with ranges for numbers of many values, and decades for years and dates."""
    there = [value for value in values if value]
    years = {value: int(value[:4]) for value in there if re.fullmatch(_YEAR, value)}
    if len(years) == len(set(there)) > 1 and _are_years(years):
        return [f"{years[value] // 10 * 10}s" if value else "" for value in values]
    try:
        numbers = {value: float(value) for value in set(there)}
    except ValueError:
        return values
    if len(numbers) <= _MOST_VALUES or not np.isfinite(list(numbers.values())).all():
        return values
    places = np.linspace(0, 1, _NUM_RANGES + 1)
    edges = np.unique(np.quantile([numbers[value] for value in there], places))
    names = _range_names(edges, numbers)
    inner = edges[1:-1]
    return [
        names[int(np.searchsorted(inner, numbers[value], side="left"))] if value else ""
        for value in values
    ]


def _range_names(edges: np.ndarray, numbers: Mapping[str, float]) -> list[str]:
    """Of ranges from above one edge, but the first, up to the next: "60-79" of whole numbers, "0.5
    to 1.25" of others, with as many digits as tell the edges apart."""
    if all(re.fullmatch(r"\d+(\.0)?", text) for text in numbers):
        values = np.unique(list(numbers.values()))
        lowest = [values[0], *(values[values > low][0] for low in edges[1:-1])]
        highest = [values[values <= high][-1] for high in edges[1:]]
        pairs = [(f"{low:.0f}", f"{high:.0f}") for low, high in zip(lowest, highest, strict=True)]
        return [low if low == high else f"{low}-{high}" for low, high in pairs]
    texts = []
    for digits in range(4, 18):
        how = {"precision": digits, "fractional": False, "trim": "-"}
        texts = [np.format_float_positional(edge, **how) for edge in edges]
        if len(set(texts)) == len(texts):
            break
    return [f"{low} to {high}" for low, high in zip(texts, texts[1:], strict=False)]


def _are_years(years: Mapping[str, int]) -> bool:
    return all(_YEARS[0] <= year <= _YEARS[1] for year in years.values())
