"""Methods against each other on the same songs: scores, differences, and where they disagree."""

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mclf_jax import metrics
from mclf_jax.common import checks
from mclf_jax.evaluation.result import Report
from mclf_jax.metrics import bootstrap, counted, paired
from mclf_jax.report.comparison.align import Aligned, align

AVERAGE = "average of all"
LEVEL = 0.05
_NUM_RESAMPLES = 2000
_RESAMPLES_OF_A_PAIR = 80
"""So many that the least p of a bootstrap, 2 / (R + 1), is half of `LEVEL` after Holm's correction:
of 2,000 alone no difference, however large, would be called one among 51 pairs or more."""
_MAX_WORDS = 6


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """What was found; every table is a list of dicts, which pandas takes as it is.

    Attributes:
        dataset, split, task: of the songs.
        metric: by which differences are tested.
        by: what was drawn in resamples: "song", or a kind of group such as "artist".
        labels, items: that all have.
        table: "name", "runs", "seeds" and metrics of each method; of the headlines also "_low",
            "_high" (95 %) and, of several seeds, "_sd".
        pairs: "first", "second", "metric", "difference" (first - second), "low", "high", "p",
            "p_holm" and "better": the name of the better one at 5 % for all pairs together, or "".
        disagreements: "item", "truth", "label", "scores" {method: of the label} and "predicted"
            {method: in words} of every song, those first of which most different things are said.
        settings: fields of configs that differ, {"field", method: value}.
        notes: what was left out, a sentence each.
    """

    dataset: str
    split: str
    task: str
    metric: str
    by: str
    labels: tuple[str, ...]
    items: tuple[str, ...]
    table: list[dict[str, Any]]
    pairs: list[dict[str, Any]]
    disagreements: list[dict[str, Any]]
    settings: list[dict[str, Any]]
    notes: tuple[str, ...]


def compare_reports(
    methods: Mapping[str, Sequence[Report]],
    *,
    metric: str | None = None,
    by: str = "auto",
    against: str = "",
    ensemble: str = "no",
    num_resamples: int | None = None,
) -> Comparison:
    """Methods on the songs and labels that all of them were scored on.

    All are judged in the same resamples of songs or groups, so that a difference is paired. The
    mean over seeds varies with its seeds too, see `paired.with_seeds`. p-values are corrected for
    the number of pairs (Holm 1979).

    Args:
        methods: name to reports of one split, one for each seed.
        metric: of `metrics.names_of`; the headline of the task when not given.
        by: "song", "group" or "auto", see `align`.
        against: the method to which all others are compared; every pair when not given.
        ensemble: "no", or "add": the mean of all runs' scores is a method, too.
        num_resamples: of the bootstrap; 2,000 when not given, or 80 for each pair if these are
            more.

    Raises:
        ValueError: see `align`; or there is no such metric or method.
    """
    checks.choice("ensemble", ensemble, ("no", "add"))
    if against:
        checks.choice("against", against, tuple(methods))
    every = [report for reports in methods.values() for report in reports]
    aligned = align(every, by=by)
    task = aligned.task
    metric = metric or metrics.HEADLINES[task][0]
    checks.choice(f"metric of {task}", metric, metrics.names_of(task, aligned.labels))
    numbers = iter(range(len(every)))
    scores = {
        name: [aligned.scores[next(numbers)] for _ in reports] for name, reports in methods.items()
    }
    runs = {name: [report.run_name for report in of] for name, of in methods.items()}
    if ensemble == "add":
        scores[AVERAGE] = [np.mean(aligned.scores, axis=0)]
        runs[AVERAGE] = [report.run_name for report in every]
    shown = dict.fromkeys((metric, *metrics.HEADLINES[task]))
    pairs = _named_pairs(scores, against=against)
    sizes = dict.fromkeys(shown, num_resamples or _NUM_RESAMPLES)
    if num_resamples is None:
        sizes[metric] = max(_NUM_RESAMPLES, _RESAMPLES_OF_A_PAIR * len(pairs))
    drawn = {
        name: _resampled(aligned, scores, metric=name, num_resamples=size)
        for name, size in sizes.items()
    }
    table = [
        _row(aligned, name, scores[name], drawn) | {"runs": ", ".join(runs[name])}
        for name in scores
    ]
    return Comparison(
        dataset=every[0].dataset,
        split=every[0].split,
        task=task,
        metric=metric,
        by=aligned.by,
        labels=aligned.labels,
        items=aligned.items,
        table=table,
        pairs=_tested(pairs, table, drawn[metric], metric=metric),
        disagreements=_disagreements(
            aligned, {name: np.mean(s, axis=0) for name, s in scores.items() if name != AVERAGE}
        ),
        settings=[],
        notes=(*aligned.notes, *_notes_on_seeds(scores)),
    )


def _resampled(
    aligned: Aligned, scores: Mapping[str, Sequence[np.ndarray]], *, metric: str, num_resamples: int
) -> dict[str, np.ndarray]:
    """Resamples [R] of each method, of the mean over its seeds."""
    every = [each for of in scores.values() for each in of]
    values = iter(
        bootstrap.resampled(
            aligned.task,
            every,
            aligned.targets,
            metric=metric,
            groups=aligned.groups,
            num_resamples=num_resamples,
        )
    )
    drawn = {name: np.stack([next(values) for _ in of]) for name, of in scores.items()}
    points = {name: [_value(aligned, each, metric) for each in of] for name, of in scores.items()}
    return paired.with_seeds(drawn, points)


def _notes_on_seeds(scores: Mapping[str, Sequence[np.ndarray]]) -> list[str]:
    counts = {name: len(of) for name, of in scores.items() if name != AVERAGE}
    if max(counts.values()) < 2:
        return []
    notes, single = [], [name for name, count in counts.items() if count == 1]
    if single:
        notes.append(
            f"of one seed, so that nobody knows what another would do: {checks.few(single)}"
        )
    if sum(counts.values()) - len(counts) < 2:
        notes.append(
            "two seeds say next to nothing of how far seeds lie apart: with a third, intervals are "
            "a third as wide"
        )
    return notes


def _value(aligned: Aligned, scores: np.ndarray, metric: str) -> float:
    return float(counted.value(metric, aligned.task, scores, aligned.targets)[0])


def _row(
    aligned: Aligned,
    name: str,
    scores: Sequence[np.ndarray],
    drawn: Mapping[str, Mapping[str, np.ndarray]],
) -> dict[str, Any]:
    found = [
        metrics.compute(aligned.task, each, aligned.targets, labels=aligned.labels).values
        for each in scores
    ]
    row: dict[str, Any] = {"name": name, "seeds": len(scores)}
    for metric in dict.fromkeys((*drawn, *found[0])):
        values = [each[metric] for each in found]
        row[metric] = float(np.mean(values))
        if metric in drawn:
            ends = (-np.inf, np.inf)
            if aligned.task != "regression" and metrics.direction(metric) == "max":
                ends = (0.0, 1.0)  # which the spread of few seeds knows nothing of
            bounds = bootstrap.percentiles(np.clip(drawn[metric][name], *ends))
            row |= {f"{metric}_{end}": value for end, value in bounds.items()}
        if len(values) > 1:
            row[f"{metric}_sd"] = float(np.std(values, ddof=1))
    return row


def _named_pairs(names: Iterable[str], *, against: str) -> list[tuple[str, str]]:
    if against:
        return [(name, against) for name in names if name != against]
    return list(itertools.combinations(names, 2))


def _tested(
    chosen: Sequence[tuple[str, str]],
    table: Sequence[Mapping[str, Any]],
    drawn: Mapping[str, np.ndarray],
    *,
    metric: str,
) -> list[dict[str, Any]]:
    value = {row["name"]: row[metric] for row in table}
    pairs = [
        {"first": first, "second": second, "metric": metric}
        | {"difference": value[first] - value[second]}
        | paired.difference(drawn[first], drawn[second])
        for first, second in chosen
    ]
    sign = 1 if metrics.direction(metric) == "max" else -1
    for pair, p in zip(pairs, paired.holm([pair["p"] for pair in pairs]), strict=True):
        better = pair["first"] if sign * pair["difference"] > 0 else pair["second"]
        pair |= {"p_holm": p, "better": better if p < LEVEL else ""}
    return pairs


def _disagreements(aligned: Aligned, scores: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Of every song the label of which methods say most different things; [N, K] of each."""
    stacked = np.stack(list(scores.values()))
    spread, songs = np.ptp(stacked, axis=0), np.arange(len(aligned.items))
    if aligned.task == "single_label":
        column = aligned.targets
    else:
        observed = ~np.isnan(aligned.targets)
        if aligned.task == "regression":
            spread = spread / (np.nanstd(aligned.targets, axis=0) + 1e-12)
        heard = np.where(observed, spread, -1.0)
        column = np.where(observed.any(axis=1), heard.argmax(axis=1), spread.argmax(axis=1))
    by_song = spread[songs, column]
    return [
        {
            "item": aligned.items[n],
            "truth": _truth(aligned, n),
            "label": aligned.labels[column[n]],
            "scores": {name: float(each[n, column[n]]) for name, each in scores.items()},
            "predicted": {name: _predicted(aligned, each[n]) for name, each in scores.items()},
        }
        for n in np.argsort(-by_song, kind="stable")
    ]


def _truth(aligned: Aligned, n: int) -> str:
    target = aligned.targets[n]
    if aligned.task == "single_label":
        return aligned.labels[int(target)]
    if aligned.task == "regression":
        return _numbers(aligned, target)
    return ", ".join(aligned.labels[k] for k in np.flatnonzero(target > 0.5)) or "none"


def _predicted(aligned: Aligned, scores: np.ndarray) -> str:
    if aligned.task == "regression":
        return _numbers(aligned, scores)
    if aligned.task == "single_label":
        return aligned.labels[int(scores.argmax())]
    top = np.argsort(-scores, kind="stable")[:_MAX_WORDS]
    return ", ".join(aligned.labels[k] for k in top if scores[k] >= 0.5) or "none"


def _numbers(aligned: Aligned, values: np.ndarray) -> str:
    named = zip(aligned.labels, values, strict=True)
    return ", ".join(f"{label} {value:.3g}" for label, value in list(named)[:_MAX_WORDS])
