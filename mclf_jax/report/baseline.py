"""A network beside MFCC statistics and an SVM, on the same songs of a split."""

from pathlib import Path
from typing import Any

from mclf_jax import metrics
from mclf_jax.evaluation.result import Report, load_report
from mclf_jax.metrics import bootstrap, paired
from mclf_jax.metrics.inputs import validate
from mclf_jax.shallow.baseline import FOLDER, NAME

NETWORK = "network"


def set_beside(run: Path, report: Report) -> dict[str, Any] | None:
    """What `shallow.baseline` said of the songs of a report, and how far the network is over it.

    Returns:
        {"name", "train_songs", "setting", "songs" that both scored, "metrics": {name: value},
        "network": the same of the network, "difference": {"metric", "value" (network - baseline),
        "low", "high" (95 %, of the same resamples of both), "better": NETWORK, NAME or ""}}. None
        where the run has no baseline of the split, or other songs were scored.
    """
    try:
        other = load_report(run / FOLDER, report.split)
    except (FileNotFoundError, ValueError):
        return None
    same = report.meta.get("same_data_as_trained_on", True)
    place = {item: n for n, item in enumerate(other.items)}
    rows = [n for n, item in enumerate(report.items) if item in place]
    if not same or not rows or (other.task, other.labels) != (report.task, report.labels):
        return None
    theirs = other.scores[[place[report.items[n]] for n in rows]]
    task, targets = report.task, report.targets[rows]
    own, targets = validate(task, report.scores[rows], targets, report.labels)
    theirs, _ = validate(task, theirs, targets, report.labels)
    groups = bootstrap.numbered([report.groups[n] for n in rows] if report.groups else ())
    metric = metrics.HEADLINES[task][0]
    drawn = bootstrap.resampled(task, [own, theirs], targets, metric=metric, groups=groups)
    network, baseline = (
        metrics.compute(task, scores, targets, labels=report.labels).values
        for scores in (own, theirs)
    )
    value, interval = network[metric] - baseline[metric], paired.difference(*drawn)
    real = interval["low"] > 0 or interval["high"] < 0
    ahead = (value > 0) == (metrics.direction(metric) == "max")
    return {
        "name": NAME,
        "train_songs": other.meta["train_songs"],
        "setting": other.meta["setting"],
        "songs": len(rows),
        "metrics": baseline,
        "network": network,
        "difference": {
            "metric": metric,
            "value": value,
            "low": interval["low"],
            "high": interval["high"],
            "better": (NETWORK if ahead else NAME) if real else "",
        },
    }


def tell(beside: dict[str, Any]) -> str:
    """What `set_beside` found, in a sentence."""
    of = beside["difference"]
    verdict = {
        NETWORK: "the network is better",
        NAME: "the network is worse",
        "": "these songs cannot tell them apart",
    }[of["better"]]
    return (
        f"{beside['name']}, fitted on {beside['train_songs']} songs: {of['metric']} "
        f"{beside['metrics'][of['metric']]:.4f}, network {beside['network'][of['metric']]:.4f}; "
        f"difference {of['value']:+.4f} (95 %: {of['low']:+.4f} to {of['high']:+.4f}): {verdict}"
    )
