"""The page of an evaluated run: what was found on each split, how it was trained, its settings."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mclf_jax.common import files
from mclf_jax.evaluation.calibrate import Calibration, read_calibration
from mclf_jax.evaluation.result import Report
from mclf_jax.figures import scores as figures
from mclf_jax.figures.training import learning_curves
from mclf_jax.metrics import HEADLINES, HIERARCHICAL, NAMES
from mclf_jax.report import groups, hierarchy, page
from mclf_jax.report.baseline import set_beside
from mclf_jax.report.confidence import confidence
from mclf_jax.report.songs import mistakes
from mclf_jax.report.songs.along import TaggramOf, along
from mclf_jax.report.svg import inline_svg
from mclf_jax.run import history

PictureOf = Callable[[str], Figure]
SoundOf = Callable[[str], str]  # a FLAC file in base64

NUM_MISTAKES = 10
BASELINE = "baseline.json"
"""The network beside MFCCs and an SVM: {split: as `baseline.set_beside` has it}."""
GROUPS = "groups.json"
"""Who fails, beside the page: {split: as `groups.score_groups` has it}."""
MAX_MATRIX = 60  # a larger confusion matrix cannot be read; the commonest errors can


def write_scores_page(
    run_dir: str | os.PathLike,
    *,
    reports: Sequence[Report],
    picture_of: PictureOf | None = None,
    sound_of: SoundOf | None = None,
    taggram_of: TaggramOf | None = None,
    folder: str = "report",
) -> Path:
    """Write `report/index.html` of a run, and what it shows as `groups.json` and, of a run that has
    one, `baseline.json`; returns the path of the page.

    Reads `metrics.jsonl` (learning curves) and `config.json` there, where they exist. A folder
    without the latter is no run but of a probe or of other data, and the page tells of neither.

    Args:
        run_dir: the run directory.
        reports: one for each evaluated split, the most important first.
        picture_of: from an item id to what is shown of the worst mistakes; what it raises is
            shown in place of the picture.
        sound_of: the same as FLAC in base64, which is there to be played.
        taggram_of: from an item id to its scores along time, see `songs.along`; of the first split,
            as it takes the network.
        folder: of the page, in the run directory.

    Raises:
        ValueError: there is no report.
    """
    if not reports:
        raise ValueError("a report page needs at least one evaluated split, got none")
    run_dir = Path(run_dir)
    where = run_dir / folder
    splits: list[dict[str, Any]] = [
        {
            **_split(each, f"r{i}", picture_of, sound_of),
            "confidence": confidence(each, _calibration(run_dir, each)),
            "along": along(each, taggram_of=None if i else taggram_of),
            "baseline": set_beside(run_dir, each),
        }
        for i, each in enumerate(reports)
    ]
    where.mkdir(exist_ok=True)
    files.write_json(where / GROUPS, {each["report"].split: each["groups"] for each in splits})
    beside = {each["report"].split: each["baseline"] for each in splits if each["baseline"]}
    if beside:
        files.write_json(where / BASELINE, beside)
    return page.write(
        where / "index.html",
        "scores",
        splits=splits,
        fewest_of_group=groups.FEWEST,
        training=_training(reports[0], history.read(run_dir / "metrics.jsonl")),
        settings=page.settings(run_dir),
        model_card=page.CARD if (where / page.CARD).exists() else "",
    )


def _calibration(run_dir: Path, report: Report) -> Calibration | None:
    step = int(report.meta.get("step") or 0)
    return read_calibration(run_dir, step=step, labels=report.labels)


def _training(report: Report, records: Mapping[str, Mapping]) -> dict[str, Any]:
    train, valid = records.get("train", {}), records.get("valid", {})
    facts = {
        "data set": report.dataset,
        "task": report.task.replace("_", "-"),
        "labels": len(report.labels),
    }
    other = report.meta["labels"] if _is_of_other_data(report) else {}
    left_out = ("labels", "task", *(("thresholds", "folder") if other else ()))
    facts |= {
        key: value for key, value in report.meta.items() if key not in left_out and value != ""
    }
    facts |= page.spending(train)
    step, curves = report.meta.get("step"), None
    if train.get("loss") or len(valid) > 1:
        lead = {
            name: of[0]
            for name, of in records.get("baseline", {}).items()
            if name in HEADLINES[report.task][:1]
        }
        curves = learning_curves(train, valid, best_step=step, baseline=lead)
    title = "Model and data" if other else "Training"
    told = other.get("told", ())
    return {"title": title, "facts": facts, "curves": curves, "step": step, "told": told}


def _is_of_other_data(report: Report) -> bool:
    """Whether it tells of a model on data that it never saw, see `trial`."""
    return isinstance(report.meta.get("labels"), Mapping)


def _split(
    report: Report, name: str, picture_of: PictureOf | None, sound_of: SoundOf | None
) -> dict[str, Any]:
    """What `split.html` shows; `name` is its anchor, and keeps its figures apart from others'."""
    lead = HEADLINES[report.task]
    known = (*lead, *NAMES[report.task])
    rest = [metric for metric in report.metrics if metric not in (*known, *HIERARCHICAL)]
    metrics = [metric for metric in dict.fromkeys((*known, *rest)) if metric in report.metrics]
    columns = list(next(iter(report.per_label.values()), {}))
    if whole := bool(report.observed.all()):
        columns = [column for column in columns if column != "observed"]
    return {
        "name": name,
        "report": report,
        "metrics": metrics,
        "lead": lead,
        "observed": None if whole else _share(report.observed),
        "columns": columns,
        "rows": [
            [label, *(_cell(column, values[column]) for column in columns)]
            for label, values in report.per_label.items()
        ],
        "levels": hierarchy.levels(report) if report.parents else [],
        "tree": hierarchy.tree(report) if report.parents else [],
        "groups": groups.score_groups(report),
        "mistakes": [
            _mistake(
                report, found, name=f"{name}-song{i}", picture_of=picture_of, sound_of=sound_of
            )
            for i, found in enumerate(mistakes.worst(report, count=NUM_MISTAKES))
        ],
        "with_pictures": picture_of is not None,
        **_drawn(report),
    }


def _share(observed: np.ndarray) -> str:
    percent = 100 * observed.mean()
    if 0 < percent < 1:
        return "< 1 %"
    return "> 99 %" if percent > 99 else f"{percent:.0f} %"


def _cell(column: str, value: float) -> str:
    if column in ("support", "observed") and math.isfinite(value):
        return str(int(value))
    return page.number(value, "–")


def _drawn(report: Report) -> dict[str, Any]:
    """Figures of the task, and what else is beside them."""
    labels, per_label = report.labels, report.per_label
    if report.task == "regression":
        r2 = {label: per_label[label]["r2"] for label in labels}
        scores, targets = report.scores, report.targets
        return {"scatter": figures.regression_scatter(scores, targets, labels=labels, r2=r2)}
    found: dict[str, Any] = {}
    targets = report.targets
    if report.task == "single_label":
        targets = np.eye(len(labels))[targets]
        found["pairs"] = [
            [each["true"], each["predicted"], each["songs"], f"{each['share']:.0%}"]
            for each in mistakes.confused_pairs(report, count=8 if len(labels) > 2 else 0)
        ]
        found["matrix"] = None
        if len(labels) <= MAX_MATRIX:
            found["matrix"] = figures.confusion_matrix(report.confusion, labels)
    else:
        found["bars"] = figures.per_label_bars(per_label, num_songs=len(report.items))
    for metric, draw in (("roc_auc", figures.roc_curves), ("pr_auc", figures.pr_curves)):
        areas = {label: per_label[label][metric] for label in labels}
        found[metric] = draw(report.scores, targets, labels=labels, areas=areas)
        found["few"] = sum(map(math.isfinite, areas.values())) <= figures.MAX_CURVES
    return found


def _mistake(
    report: Report,
    found: mistakes.Mistake,
    *,
    name: str,
    picture_of: PictureOf | None,
    sound_of: SoundOf | None,
) -> dict[str, Any]:
    item = report.items[found.index]
    shown = {"item": item, "found": found, "num_observed": report.observed[found.index].sum()}
    if picture_of is not None:
        try:
            drawn = picture_of(item)
            shown["picture"] = inline_svg(drawn, name=name, description=f"spectrogram of {item}")
            shown["sound"] = sound_of(item) if sound_of is not None else ""
        except Exception as error:  # one unreadable song must not cost the whole page
            shown["picture"] = f"no picture: {type(error).__name__}: {error}"
    return shown
