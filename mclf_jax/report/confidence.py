"""How far the scores of a split can be believed, and what its thresholds do, for a page."""

import dataclasses
from typing import Any

import numpy as np

from mclf_jax import metrics
from mclf_jax.evaluation.calibrate import NONE, Calibration, calibration_of, effect
from mclf_jax.evaluation.result import Report
from mclf_jax.figures import scores as figures
from mclf_jax.metrics.confidence.selective import coverage_at
from mclf_jax.report import page

RISK = 0.05
"""The error of which the page says how many decisions can be had at it."""
_MOST_DECISIONS = 5_000_000
"""Of more, every second song, or third, and so on is looked at: a page takes seconds."""
_NUMBERS = {
    "calibration_error": "expected calibration error",
    "log_loss": "log loss",
    "aurc": "area under risk over coverage",
}


def confidence(report: Report, calibration: Calibration | None) -> dict[str, Any] | None:
    """What `confidence.html` shows; None for numbers, and where nothing was observed.

    Args:
        report: of a split.
        calibration: of the run, if `mclf calibrate` has been asked for it.
    """
    if report.task == "regression" or not report.observed.any():
        return None
    own = calibration or calibration_of(report, scaling=NONE, thresholds=NONE)
    if limits := report.meta.get("thresholds"):  # of a model on other data
        own = dataclasses.replace(own, thresholds=limits)
    every = -(-int(report.observed.sum()) // _MOST_DECISIONS)
    some = report
    if report.task == "multi_label" and every > 1:
        parts = {"scores": report.scores[::every], "targets": report.targets[::every]}
        some = dataclasses.replace(report, **parts)
    told = effect(some, own)
    if own.scaling == NONE:
        told = {"after": told["after"]}
    return {
        "calibration": calibration,
        "every": every if some is not report else 1,
        "scaled": own.scaling != NONE,
        "head": ["", *told],
        "rows": [
            [name, *(page.number(each[key]) for each in told.values())]
            for key, name in _NUMBERS.items()
        ],
        "reliability": figures.reliability_diagram({k: v["bins"] for k, v in told.items()}),
        "risks": figures.risk_over_coverage({k: v["curve"] for k, v in told.items()}, risk=RISK),
        "risk": f"{RISK:.0%}",
        "coverage": coverage_at(told["after"]["curve"], risk=RISK),
        "thresholds": _thresholds(report, own, reached="known" if calibration else "unknown"),
        "threshold_title": f"chosen on valid for {own.target}" if calibration else "of the model",
    }


def _thresholds(report: Report, calibration: Calibration, *, reached: str) -> list[list[Any]]:
    """Each label with its threshold, what is said by it on this split, and how much of it is so."""
    if not calibration.thresholds:
        return []
    limits = np.array([calibration.thresholds.get(name, 0.5) for name in report.labels])
    scores = np.clip(calibration.apply(report.task, report.scores), 0, 1)
    counts = metrics.counts(scores, report.targets, thresholds=limits)
    found = (metrics.precision, metrics.recall, metrics.f_beta)
    how = {"thresholds": limits, "average": "none"}
    values = [np.asarray(function(scores, report.targets, **how)) for function in found]
    return [
        [
            label,
            page.number(calibration.thresholds.get(label, np.nan), "none: 0.5"),
            int(counts["tp"][k] + counts["fp"][k]),
            *(page.number(column[k], "\u2013") for column in values),
            *(["no" if label in calibration.unreached else "yes"] if reached == "known" else []),
        ]
        for k, label in enumerate(report.labels)
    ]
