"""The report of a run as one HTML file: no server, no script, no link to anywhere else."""

import json
import math
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mclf_jax.evaluation.result import Report
from mclf_jax.figures import plots
from mclf_jax.report.markup import escape, facts, figure, write_document
from mclf_jax.report.sections import results
from mclf_jax.run import history

SpectrogramOf = Callable[[str], Mapping | None]


def write_page(
    run_dir: str | os.PathLike,
    *,
    reports: Sequence[Report],
    spectrogram_of: SpectrogramOf | None = None,
) -> Path:
    """Write `report/index.html` under a run directory and return its path.

    Reads `metrics.jsonl` (learning curves) and `config.json` there, where they exist.

    Args:
        run_dir: the run directory.
        reports: one for each evaluated split, the most important first.
        spectrogram_of: from an item id to {"spectrogram": float [F, M] dB, "duration_s": float,
            "mel_centre_hz": float [M], "title": str}, all but the first optional, or None. It is
            called for the worst mistakes only; what it raises is shown in place of the picture.

    Raises:
        ValueError: there is no report.
    """
    if not reports:
        raise ValueError("a report page needs at least one evaluated split, got none")
    run_dir = Path(run_dir)
    first = reports[0]
    records = history.read(run_dir / "metrics.jsonl")
    body = [_header(reports)]
    sections = [
        results(report, prefix=f"r{i}", spectrogram_of=spectrogram_of)
        for i, report in enumerate(reports)
    ]
    body += [sections[0], _training(first, records), *sections[1:]]
    body.append(config_section(run_dir / "config.json"))
    return write_document(
        run_dir / "report" / "index.html",
        title=f"{first.run_name}: report",
        body=body,
        footer="Intervals are 95 % bootstrap intervals over songs: they tell how much a value "
        "depends on the songs that happened to be in the split, not on the training seed.",
    )


def _header(reports: Sequence[Report]) -> str:
    first = reports[0]
    task = {
        "single_label": "one label of {}",
        "multi_label": "{} tags",
        "regression": "{} regression targets",
    }[first.task].format(len(first.labels))
    links = [f'<a href="#r{i}">{escape(r.split)} split</a>' for i, r in enumerate(reports)]
    links.insert(1, '<a href="#training">training</a>')
    links.append('<a href="#config">settings</a>')
    return (
        f"<header><h1>{escape(first.run_name)}</h1>"
        f"<p>{escape(task)} on {escape(first.dataset)}</p><nav>{''.join(links)}</nav></header>"
    )


def _training(report: Report, records: dict) -> str:
    known = {
        "data set": report.dataset,
        "task": report.task.replace("_", " "),
        "labels": len(report.labels),
    }
    shown = {key: value for key, value in report.meta.items() if key not in ("labels", "task")}
    train, valid = records.get("train", {}), records.get("valid", {})
    speed = list(filter(math.isfinite, train.get("songs_per_s", ())))
    wait = list(filter(math.isfinite, train.get("data_wait", ())))
    if speed:
        shown["training speed"] = f"{statistics.median(speed):.3g} songs/s (median)"
    if wait:
        shown["waiting for data"] = f"{100 * statistics.median(wait):.0f} % of time (median)"
    parts = ['<h2 id="training">Training</h2>', facts(known | shown)]
    if train.get("loss") or len(valid) > 1:
        step = report.meta.get("step")
        drawn = plots.learning_curves(train, valid, best_step=step)
        caption = "Loss and validation metrics against the optimiser step."
        if step is not None:
            caption += f" The dashed line is the checkpoint of this report, step {step}."
        parts.append(figure(drawn, name="curves", caption=caption, wide=True))
    else:
        parts.append('<p class="note">The run directory has no training history.</p>')
    return "\n".join(parts)


def config_section(path: Path) -> str:
    """The settings of a run, folded."""
    heading = '<h2 id="config">Settings</h2>'
    if not path.exists():
        return heading + '<p class="note">The run directory has no config.json.</p>'
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        text = json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False)
    except json.JSONDecodeError:
        text += "\n(not valid JSON: shown as it is)"
    return f"{heading}<details><summary>config.json</summary><pre>{escape(text)}</pre></details>"
