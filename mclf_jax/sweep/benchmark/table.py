"""One table of a benchmark: encoders against tasks, with what their differences are worth.

Scores of an encoder are of all test songs of a task, over folds each by the probe that did not
learn from it, and means over the seeds of the probe. All encoders are judged in the same resamples
of songs, or of groups of songs (`report.comparison.compute`).
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mclf_jax import metrics
from mclf_jax.common import files
from mclf_jax.common.text import tables
from mclf_jax.evaluation.result import Report, load_report
from mclf_jax.figures.probes import plot_benchmark
from mclf_jax.figures.style import title_of
from mclf_jax.report.comparison.compute import compare_reports
from mclf_jax.sweep.benchmark.tasks import MARBLE, PUBLISHED, SOURCE
from mclf_jax.sweep.settings import without_seed

MEASURED, OTHERS = "measured", "published by others"


def tabulate(results: Sequence[dict]) -> dict[str, Any]:
    """The table of encoders that were probed.

    Args:
        results: of `sweep.run.run`, those of encoders.

    Returns:
        "columns": dicts of "task", "metric", "songs" (that were tested) and "by" (what resamples
        draw); "rows": dicts of "encoder", "whose" (measured, or published by others), "parameters"
        or None, and "scores": for each column {"value", "low", "high" (95 %), "seeds", "place":
        "best", "not told apart" from the best, or "worse"} or None; published ones are values
        alone. "pairs": of all encoders in each column, see `Comparison.pairs`. "notes": sentences.
    """
    reports: dict[str, dict[str, list[Report]]] = {}
    notes: dict[str, None] = {}
    for result in results:
        for probe, found in result.get("probes", {}).items():
            report = load_report(found.directory / "report", "test")
            of_task = reports.setdefault(without_seed(probe) or probe, {})
            of_task.setdefault(result["name"], []).append(report)
            said = (n for n in found.notes if n.startswith("Pretraining"))
            notes |= dict.fromkeys(f"{result['name']} on {probe}: {note}" for note in said)
    columns, by_encoder, pairs = [], {}, []
    for task, of_task in reports.items():
        first = next(iter(of_task.values()))[0]
        for metric in _metrics_of(task, first):
            found = compare_reports(of_task, metric=metric)
            column = {"task": task, "metric": metric, "songs": len(found.items), "by": found.by}
            columns.append(column)
            pairs += [{"task": task, **pair} for pair in found.pairs]
            notes |= dict.fromkeys(f"{task}: {note}" for note in found.notes)
            for name, cell in _cells(found.table, found.pairs, metric=metric).items():
                by_encoder.setdefault(name, {})[task, metric] = cell
    keys = [(column["task"], column["metric"]) for column in columns]
    rows = [
        {
            "encoder": result["name"],
            "whose": MEASURED,
            "parameters": result["cost"]["parameters"],
            "scores": [by_encoder.get(result["name"], {}).get(key) for key in keys],
        }
        for result in results
        if "cost" in result
    ]
    for name, scores in PUBLISHED.items():
        if any(key in scores for key in keys):
            found = [{"value": scores[key]} if key in scores else None for key in keys]
            rows.append({"encoder": name, "whose": OTHERS, "parameters": None, "scores": found})
    return {"columns": columns, "rows": rows, "pairs": pairs, "notes": list(notes)}


def _metrics_of(task: str, report: Report) -> Sequence[str]:
    return MARBLE[task].metrics if task in MARBLE else metrics.HEADLINES[report.task][:1]


def _cells(
    table: Sequence[Mapping[str, Any]], pairs: Sequence[Mapping[str, Any]], *, metric: str
) -> dict[str, dict[str, Any]]:
    sign = 1 if metrics.direction(metric) == "max" else -1
    best = max(table, key=lambda row: sign * row[metric])["name"]
    worse = {
        name
        for pair in pairs
        for name in (pair["first"], pair["second"])
        if pair["better"] == best and name != best
    }
    cells = {}
    for row in table:
        name = row["name"]
        place = "best" if name == best else "worse" if name in worse else "not told apart"
        ends = {end: row[f"{metric}_{end}"] for end in ("low", "high")}
        cells[name] = {"value": row[metric], **ends, "seeds": row["seeds"], "place": place}
    return cells


def write(table: Mapping[str, Any], directory: Path) -> str:
    """Write `benchmark.csv`, `.json` and `.png`; the table as Markdown, "" without any score.

    Args:
        table: of `tabulate`.
        directory: of the sweep.
    """
    if not table["columns"]:
        return ""
    files.write_json(directory / "benchmark.json", dict(table))
    files.write_text(directory / "benchmark.csv", _csv(table))
    plot_benchmark(table["columns"], table["rows"]).savefig(directory / "benchmark.png", dpi=150)
    return markdown(table)


def markdown(table: Mapping[str, Any]) -> str:
    """The table for a page, and how to read it."""
    columns = table["columns"]
    heads = [f"{column['task']}: {title_of(column['metric'])}" for column in columns]
    lines = [["encoder", "parameters", *heads], ["---", *["---:"] * (1 + len(heads))]]
    for row in table["rows"]:
        size = "" if row["parameters"] is None else f"{row['parameters']:,}"
        name = row["encoder"] if row["whose"] == MEASURED else f"*{row['encoder']}, {OTHERS}*"
        lines.append([name, size, *map(_cell, row["scores"])])
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    tested = "; ".join(
        dict.fromkeys(f"{c['task']} {c['songs']} songs, drawn by {c['by']}" for c in columns)
    )
    notes = [
        "Frozen encoders, probed. In brackets 95 % over test songs by bootstrap; bold: the best of "
        "a column; ≈: chance may be all that it is behind the best (paired bootstrap, Holm over "
        f"all pairs of the column, 5 %). Tested: {tested}.",
        *table["notes"],
    ]
    if any(row["whose"] == OTHERS for row in table["rows"]):
        notes.append(f"In italics, not measured here: {SOURCE}.")
    return text + "".join(f"\n{note}  " for note in notes).rstrip() + "\n"


def _cell(score: Mapping[str, Any] | None) -> str:
    if score is None:
        return ""
    if "low" not in score:
        return f"*{score['value']:.3f}*"
    value = f"{score['value']:.3f}"
    marks = {"best": f"**{value}**", "not told apart": f"≈ {value}", "worse": value}
    return f"{marks[score['place']]} ({score['low']:.2f} to {score['high']:.2f})"


def _csv(table: Mapping[str, Any]) -> str:
    """A line for each encoder and column, those of others without an interval."""
    buffer = io.StringIO()
    more = ("value", "low", "high", "seeds", "place")
    lines = [["encoder", "whose", "parameters", "task", "metric", *more]]
    for row in table["rows"]:
        size = "" if row["parameters"] is None else row["parameters"]
        for column, score in zip(table["columns"], row["scores"], strict=True):
            if score is not None:
                cells = [score.get(name, "") for name in more]
                lines.append(
                    [row["encoder"], row["whose"], size, column["task"], column["metric"], *cells]
                )
    tables.write_rows(buffer, lines)
    return buffer.getvalue()
