"""Several runs beside each other: a row for each method, its runs being its seeds."""

from collections.abc import Iterable, Mapping, Sequence

from mclf_jax import metrics
from mclf_jax.metrics.interval import mean_interval
from mclf_jax.probe.result import END_TO_END, ProbeResult, amount_of
from mclf_jax.probe.show import interval_cell, markdown_table


def compare(
    results: Mapping[str, Sequence[ProbeResult]],
    *,
    kinds: Sequence[str] = ("linear",),
    fraction: float = 1.0,
    songs_per_label: int = 0,
    metric: str | None = None,
) -> str:
    """One Markdown table of many runs, a section for each data set.

    Scores of a method are averaged over its runs, seeds and folds; the gain over its own untrained
    network is taken run by run, seed by seed and fold by fold, on the same songs. Baselines that
    do not depend on pretraining (MFCC, from scratch) follow, from whichever results have them.

    Args:
        results: method, as it is to be called, to the results of its runs, on any data sets.
        kinds: of probes to show.
        fraction, songs_per_label: of labels.
        metric: the headline of the task when not given.

    Raises:
        ValueError: results of one data set are not on the same folds and seeds, or there is
            nothing to show.
    """
    data = dict.fromkeys((r.data, r.fingerprint) for rs in results.values() for r in rs)
    if not data:
        raise ValueError("results is empty: give at least one result of `probe`")
    sections = []
    for name, fingerprint in data:
        chosen = {
            method: of_data
            for method, found in results.items()
            if (of_data := [r for r in found if (r.data, r.fingerprint) == (name, fingerprint)])
        }
        rows = _rows(name, chosen, kinds=kinds, amount=(songs_per_label, fraction), metric=metric)
        sections.append(f"**{name}**\n\n{markdown_table(rows[0], rows[1:])}")
    return "\n\n".join(sections) + "\n"


def _rows(
    data: str,
    results: Mapping[str, Sequence[ProbeResult]],
    *,
    kinds: Sequence[str],
    amount: tuple[int, float],
    metric: str | None,
) -> list[list[str]]:
    """Cells of a section, the head first."""
    every = [result for found in results.values() for result in found]
    num_folds = _check_dealing(data, every)
    metric = metric or metrics.HEADLINES[every[0].task][0]
    wanted = [(name, "trained", kind, found) for name, found in results.items() for kind in kinds]
    wanted.append(("MFCC statistics", "mfcc", "svm", every))
    wanted += [
        (f"from scratch, network of {name}", "scratch", END_TO_END, found)
        for name, found in results.items()
    ]
    rows = [["method", "probe", "runs", metric, "untrained", "over untrained"]]
    for name, encoder, kind, found in wanted:
        scores = _scores(found, encoder, kind, amount, metric)
        if not scores:
            continue
        below = {}
        if encoder == "trained":
            below = _scores(found, "untrained", kind, amount, metric)
        gains = [scores[key] - below[key] for key in scores if key in below]
        means = [
            _mean(scores.values(), num_folds=num_folds),
            _mean(below.values(), num_folds=num_folds),
            _mean(gains, num_folds=num_folds, sign="+"),
        ]
        rows.append([name, kind, str(len({run for run, *_ in scores})), *means])
    if len(rows) == 1:
        raise ValueError(
            f"the results on {data} have no probe of {', '.join(kinds)} with {amount_of(*amount)}"
        )
    return rows


def _mean(values: Iterable[float], *, num_folds: int, sign: str = "") -> str:
    values = list(values)
    return interval_cell(mean_interval(values, num_folds=num_folds), sign=sign) if values else ""


def _scores(results, encoder, kind, amount, metric) -> dict[tuple, float]:
    """{(run, seed, fold): score}; a baseline that knows no run counts once."""
    shared = encoder in ("mfcc", "scratch")
    return {
        ("" if shared else result.run, record.seed, record.fold): record.values[metric]
        for result in results
        for record in result.records
        if (record.encoder, record.kind, record.amount) == (encoder, kind, amount)
    }


def _check_dealing(data: str, results: Sequence[ProbeResult]) -> int:
    """The number of folds, if all results are of the same songs."""
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
