"""Several runs beside each other: a row for each method, its runs being its seeds."""

import dataclasses
from collections.abc import Mapping, Sequence

from mclf_jax import metrics
from mclf_jax.common import checks
from mclf_jax.metrics.interval import mean_interval
from mclf_jax.probe import show
from mclf_jax.probe.result import END_TO_END, ProbeResult

FORMATS = ("markdown", "text")


@dataclasses.dataclass(frozen=True)
class _Row:
    """A line of the table: scores by (run, seed, fold), and those of the untrained network."""

    name: str
    kind: str
    scores: Mapping[tuple, float]
    untrained: Mapping[tuple, float]


def compare(
    results: Mapping[str, Sequence[ProbeResult]],
    *,
    kinds: Sequence[str] = ("linear",),
    fraction: float = 1.0,
    metric: str | None = None,
    style: str = "markdown",
) -> str:
    """One table of many runs, a section for each data set.

    Scores of a method are averaged over its runs, seeds and folds; the gain over its own untrained
    network is taken run by run, seed by seed and fold by fold, on the same songs. Baselines that
    do not depend on pretraining (MFCC, from scratch) follow, from whichever results have them.

    Args:
        results: method, as it is to be called, to the results of its runs, on any data sets.
        kinds: of probes to show.
        fraction: of labels.
        metric: the headline of the task when not given.
        style: "markdown" or "text".

    Raises:
        ValueError: results of one data set are not on the same folds and seeds, or there is
            nothing to show.
    """
    checks.choice("style", style, FORMATS)
    data = dict.fromkeys((r.data, r.fingerprint) for rs in results.values() for r in rs)
    if not data:
        raise ValueError("results is empty: give at least one result of `probe`")
    sections = []
    for name, fingerprint in data:
        chosen = {
            method: [r for r in found if (r.data, r.fingerprint) == (name, fingerprint)]
            for method, found in results.items()
        }
        chosen = {method: found for method, found in chosen.items() if found}
        sections.append(
            _section(name, chosen, kinds=kinds, fraction=fraction, metric=metric, style=style)
        )
    return "\n\n".join(sections) + "\n"


def _section(data, results, *, kinds, fraction, metric, style) -> str:
    every = [result for found in results.values() for result in found]
    num_folds = _the_same_dealing(data, every)
    metric = metric or metrics.HEADLINES[every[0].task][0]
    rows = [
        _Row(
            method,
            kind,
            _scores(found, "trained", kind, fraction, metric),
            _scores(found, "untrained", kind, fraction, metric),
        )
        for method, found in results.items()
        for kind in kinds
    ]
    rows.append(_Row("MFCC statistics", "svm", _scores(every, "mfcc", "svm", fraction, metric), {}))
    rows += [
        _Row(
            f"from scratch, network of {method}",
            END_TO_END,
            _scores(found, "scratch", END_TO_END, fraction, metric),
            {},
        )
        for method, found in results.items()
    ]
    rows = [row for row in rows if row.scores]
    if not rows:
        raise ValueError(
            f"the results on {data} have no probe of {', '.join(kinds)} at fraction {fraction:g}"
        )
    head = ["method", "probe", "runs", metric, "untrained", "over untrained"]
    cells = [_cells(row, num_folds=num_folds) for row in rows]
    if style == "text":
        return f"{data}\n{show.columns(head, cells)}"
    return f"**{data}**\n\n{show.markdown_table(head, cells)}"


def _cells(row: _Row, *, num_folds: int) -> list[str]:
    runs = len({run for run, *_ in row.scores})
    shown = show.value_cell(mean_interval(list(row.scores.values()), num_folds=num_folds))
    cells = [row.name, row.kind, str(runs), shown]
    if not row.untrained:
        return [*cells, "", ""]
    below = show.value_cell(mean_interval(list(row.untrained.values()), num_folds=num_folds))
    gains = [row.scores[key] - row.untrained[key] for key in row.scores if key in row.untrained]
    gain = mean_interval(gains, num_folds=num_folds) if gains else None
    return [*cells, below, show.difference_cell(gain)]


def _scores(results, encoder, kind, fraction, metric) -> dict[tuple, float]:
    """{(run, seed, fold): score}; a baseline that knows no run counts once."""
    shared = encoder in ("mfcc", "scratch")
    return {
        ("" if shared else result.run, record.seed, record.fold): record.values[metric]
        for result in results
        for record in result.records
        if (record.encoder, record.kind, record.fraction) == (encoder, kind, fraction)
    }


def _the_same_dealing(data: str, results: Sequence[ProbeResult]) -> int:
    dealings = {
        (r.num_folds, tuple(sorted({(rec.seed, rec.fold) for rec in r.records}))) for r in results
    }
    if len(dealings) > 1:
        raise ValueError(
            f"the results on {data} are of other seeds or folds than each other, so their scores "
            "are of other songs; probe all runs with the same seeds and num_folds"
        )
    names = [result.run for result in results]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(
            f"two results on {data} are of runs named {', '.join(twice)}; give the run directories "
            "names of their own"
        )
    return results[0].num_folds
