"""Made-up reports of every task."""

import dataclasses

import numpy as np

from mclf_jax import metrics
from mclf_jax.evaluation.result import Report
from tests.report.parsed import HOSTILE

NAN = np.nan
PARENTS = {f"label {k}": f"label {k // 3}" for k in range(3, 10)}  # 0 to 2 are at the top


def report_of(task, *, num_labels=10, num_songs=60, labels=None, split="test", seed=0):
    rng = np.random.default_rng(seed)
    labels = tuple(labels or (f"label {k}" for k in range(num_labels)))
    shape = (num_songs, len(labels))
    if task == "single_label":
        targets = rng.integers(0, len(labels), num_songs)
        scores = np.exp(rng.normal(size=shape) + 2 * np.eye(len(labels))[targets])
        scores /= scores.sum(1, keepdims=True)
    elif task == "multi_label":
        targets = (rng.random(shape) < 0.3).astype(np.float32)
        targets[:, 1] = 0  # undefined
        scores = np.clip(targets * 0.3 + 0.7 * rng.random(shape), 0, 1)
    else:
        targets = rng.normal(size=shape)
        scores = targets + 0.4 * rng.normal(size=shape)
    found = metrics.compute(task, scores, targets, labels=labels)
    intervals = {
        name: metrics.confidence_interval(
            task, scores, targets, labels=labels, metric=name, num_resamples=20
        )
        for name in metrics.HEADLINES[task]
    }
    return Report(
        run_name="a run",
        dataset="synthetic",
        split=split,
        task=task,
        labels=labels,
        items=(HOSTILE, *(f"song {n}.wav" for n in range(1, num_songs))),
        scores=scores.astype(np.float32),
        targets=targets,
        metrics=found.values,
        per_label=found.per_label,
        undefined=found.undefined,
        intervals=intervals,
        num_windows=8 * num_songs,
        skipped=(("bad <b>.wav", "empty file"),),
        meta={"step": 120, "window_s": 3.69, "num_parameters": 412338, "features": {"n_mels": 96}},
    )


def partial(task, *, share=0.4, **arguments):
    whole = report_of(task, **arguments)
    rng = np.random.default_rng(3)
    targets = np.where(rng.random(whole.targets.shape) < share, NAN, whole.targets)
    targets[:, -1] = NAN
    targets[5] = NAN
    found = metrics.compute(task, whole.scores, targets, labels=whole.labels)
    return dataclasses.replace(
        whole,
        targets=targets,
        metrics=found.values,
        per_label=found.per_label,
        undefined=found.undefined,
    )


def in_a_tree():
    report = partial("multi_label")
    tree = {"labels": report.labels, "parents": PARENTS}
    added = metrics.hierarchical(report.scores, report.targets, **tree)
    interval = {"f1_hierarchical": {"low": 0.123, "high": 0.456}}
    return dataclasses.replace(
        report,
        metrics=report.metrics | added,
        intervals=report.intervals | interval,
        parents=PARENTS,
    )
