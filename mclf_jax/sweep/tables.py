"""The tables of a sweep: a row for the seeds of each setting, and a line for each run as CSV."""

import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mclf_jax import metrics, objectives
from mclf_jax.common.files import write_text
from mclf_jax.common.text import tables
from mclf_jax.data.views.hidden import HIDDEN
from mclf_jax.figures.comparison import scores_and_costs
from mclf_jax.sweep.benchmark import table as benchmark
from mclf_jax.sweep.probes import compare_all
from mclf_jax.sweep.settings import ENCODER, RunOf, grid, without_seed


def write_tables(results: Sequence[dict], *, workdir: Path) -> str:
    """Write `sweep.md` and `sweep.csv`, and `cost.png` where settings differ in what they cost.

    Of encoders that were only probed there is `benchmark.csv`, `.json` and `.png`, too.

    The first has scores of test songs, or other splits, mean and sample standard deviation over
    the seeds of each setting, and of the difference from the first setting with the same seeds, so
    that what all settings owe to a fold of the data or to a choice of labels drops out; what each
    costs, where that differs; the comparison of probes; and why what is not finished is not. The
    second has a line for each run, for people's own statistics.

    Args:
        results: of `run.run`.
        workdir: of the sweep.

    Returns:
        The Markdown text.
    """
    trained = [result for result in results if ENCODER not in result["changes"]]
    scored = [r for r in trained if objectives.traits(r["objective"]).predicts_labels]
    splits = dict.fromkeys(split for result in scored for split in result.get("metrics", ()))
    tables = [_score_table(scored, split) for split in splits or ("test",)] if scored else []
    costs = _costs(scored)
    encoders = [result for result in results if ENCODER in result["changes"]]
    of_encoders = benchmark.write(benchmark.tabulate(encoders), workdir) if encoders else ""
    parts = [*tables, _cost_table(costs), compare_all(trained), of_encoders]
    unfinished = [result for result in results if result["status"] != "finished"]
    parts.append("".join(f"- {result['name']}: {result['status']}\n" for result in unfinished))
    markdown = "\n".join(filter(None, parts))
    write_text(workdir / "sweep.md", markdown)
    write_text(workdir / "sweep.csv", _csv(results))
    drawn = [row for row in costs if row["scores"]]
    if len(drawn) > 1:
        scores_and_costs(drawn).savefig(workdir / "cost.png", dpi=150)
    return markdown


def rows_of(results: Sequence[dict]) -> list[list[dict]]:
    """Results that differ in seeds alone together, in order of the first.

    Seeds are the fields of which the name ends in "seed", and the fold of the data. A `RunOf` is
    the same as one of another seed. Names count too, without their parts such as "seed=0":
    whatever differs there keeps settings apart, unless a name does not tell its seed at all.
    """
    rows: dict[tuple, list[dict]] = {}
    for result in results:
        changes, name = result["changes"], result["name"]
        key = frozenset(
            (field, _shown(value)) for field, value in changes.items() if not _is_seed(field)
        )
        tells = without_seed(name) != name or not any(map(_is_seed, changes))
        rows.setdefault((key, without_seed(name) if tells else None), []).append(result)
    return list(rows.values())


def _label(row: Sequence[dict]) -> str:
    """The name that a config gave its settings; of a `grid` or without a common one, the fields."""
    changes, names = row[0]["changes"], {without_seed(result["name"]) for result in row}
    ((made, _),) = grid({field: (value,) for field, value in changes.items()})
    builds = any(isinstance(value, RunOf) for value in changes.values())
    if len(names) == 1 and (made != row[0]["name"] or builds):
        return names.pop() or "as configured"
    fields = [f"{field}={_shown(value)}" for field, value in changes.items() if not _is_seed(field)]
    return ", ".join(fields) or "as configured"


def _score_table(results: Sequence[dict], split: str) -> str:
    tasks = dict.fromkeys(result["task"] for result in results if "task" in result)
    columns = list(dict.fromkeys(name for task in tasks for name in metrics.HEADLINES[task]))
    rows = rows_of(results)
    gains = _over_first(rows, columns[0], split) if columns else []
    more = [f"{columns[0]} over the first"] if any(gains) else []
    lines = [["setting", "runs", *columns, *more]]
    lines.append(["---"] * len(lines[0]))
    for number, row in enumerate(rows):
        good = [scores for result in row if (scores := _scores(result, split))]
        counts = [str(len(good))]
        counts += [f"({n} {word})" for word in ("failed", "not run") if (n := _count(row, word))]
        scores = [_mean_and_spread([m[name] for m in good if name in m]) for name in columns]
        target = f" (predicts {row[0]['target']})" if row[0]["target"] else ""
        scores += [gains[number]] if more else []
        lines.append([_label(row) + target, " ".join(counts), *scores])
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    songs = "training songs whose labels were hidden" if split == HIDDEN else f"{split} songs"
    return f"Scores of {songs}; ±: sample standard deviation over runs.\n\n{table}"


def _costs(results: Sequence[dict]) -> list[dict[str, Any]]:
    """Of every setting what a run costs, and its headline; nothing where all cost the same."""
    found = []
    for row in rows_of(results):
        known = [result for result in row if "cost" in result]
        if not known:
            continue
        split = next(iter(known[0].get("metrics", {})), "test")
        metric = metrics.HEADLINES[known[0]["task"]][0]
        times = [r["cost"]["trained_s"] for r in known if "trained_s" in r["cost"]]
        found.append(
            {
                "name": _label(row),
                "parameters": known[0]["cost"]["parameters"],
                "gflop_per_minute": known[0]["cost"]["gflop_per_minute"],
                "trained_s": float(np.mean(times)) if times else None,
                "metric": metric,
                "scores": [s[metric] for r in known if metric in (s := _scores(r, split))],
            }
        )
    differs = len({(row["parameters"], row["gflop_per_minute"]) for row in found}) > 1
    return found if differs else []


def _cost_table(costs: Sequence[dict[str, Any]]) -> str:
    if not costs:
        return ""
    lines = [["setting", "parameters", "GFLOP for a minute of music", "training"]]
    lines.append(["---"] * len(lines[0]))
    for row in costs:
        trained = "-" if row["trained_s"] is None else f"{row['trained_s'] / 60:.1f} min"
        lines.append(
            [row["name"], f"{row['parameters']:,}", f"{row['gflop_per_minute']:.3g}", trained]
        )
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return (
        "What a run costs; operations are those of matrix products and convolutions, without "
        f"features; training is the mean over runs.\n\n{table}"
    )


def _scores(result: dict, split: str) -> dict[str, float]:
    return result.get("metrics", {}).get(split, {})


def _over_first(rows: Sequence[Sequence[dict]], name: str, split: str) -> list[str]:
    """By how much each row is better than the first, of runs with the same seeds; "" of none."""
    first = _by_seeds(rows[0], name, split)
    shown = [""]
    for row in rows[1:]:
        same_task = row[0]["target"] == rows[0][0]["target"]
        scores = _by_seeds(row, name, split) if same_task else {}
        gains = [scores[seeds] - first[seeds] for seeds in scores if seeds in first]
        shown.append(_mean_and_spread(gains, sign="+") if gains else "")
    return shown


def _by_seeds(row: Sequence[dict], name: str, split: str) -> dict[frozenset, float]:
    return {
        frozenset(item for item in result["changes"].items() if _is_seed(item[0])): scores[name]
        for result in row
        if name in (scores := _scores(result, split))
    }


def _count(row: Sequence[dict], word: str) -> int:
    return sum(result["status"].startswith(word) for result in row)


def _csv(results: Sequence[dict]) -> str:
    """A line for each run: what it changes, then its scores, those of test under plain names."""
    told = [
        {"name": r["name"], "status": r["status"], **r["changes"], **r.get("cost", {})}
        for r in results
    ]
    scored = [
        {
            name if split == "test" else f"{split} {name}": value
            for split, scores in result.get("metrics", {}).items()
            for name, value in scores.items()
        }
        for result in results
    ]
    buffer = io.StringIO()
    names = list(dict.fromkeys(itertools.chain(*told, *scored)))
    rows = [run | scores for run, scores in zip(told, scored, strict=True)]
    cells = [[row.get(name, "") for name in names] for row in rows]
    tables.write_rows(buffer, [names, *cells], line_end="\r\n")
    return buffer.getvalue()


def _is_seed(field: str) -> bool:
    return field.endswith("seed") or field == "data.fold"


def _shown(value: Any) -> str:
    return f"run of {without_seed(value.name)}" if isinstance(value, RunOf) else repr(value)


def _mean_and_spread(values: Sequence[float], *, sign: str = "") -> str:
    if not values:
        return "-"
    if len(values) == 1:
        return f"{values[0]:{sign}.3f}"
    return f"{np.mean(values):{sign}.3f} ± {np.std(values, ddof=1):.3f}"
