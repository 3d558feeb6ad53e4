"""Intervals over songs."""

import numpy as np
import pytest
from sklearn import metrics as sk

from mclf_jax import metrics
from mclf_jax.metrics import bootstrap
from tests.metrics.test_compute import random_songs


def test_confidence_interval_covers_and_is_seeded():
    rng = np.random.default_rng(0)
    right = rng.random(400) < 0.8
    scores = np.where(right[:, None], [[0.9, 0.1]], [[0.1, 0.9]])
    targets = np.zeros(400, int)
    arguments = {"labels": ("a", "b"), "metric": "accuracy"}
    found = metrics.confidence_interval("single_label", scores, targets, **arguments)
    spread = 1.96 * np.sqrt(right.mean() * (1 - right.mean()) / 400)  # normal approximation
    assert found["low"] == pytest.approx(right.mean() - spread, abs=0.01)
    assert found["high"] == pytest.approx(right.mean() + spread, abs=0.01)
    assert found == metrics.confidence_interval("single_label", scores, targets, **arguments)
    assert found != metrics.confidence_interval(
        "single_label", scores, targets, **arguments, seed=1
    )


def test_confidence_interval_of_something_undefined_is_nan():
    found = metrics.confidence_interval(
        "multi_label", [[0.5, 0.2]], [[0, 0]], labels=("a", "b"), metric="pr_auc_macro"
    )
    assert np.isnan(found["low"])
    assert np.isnan(found["high"])


def test_confidence_interval_refuses_a_metric_of_another_task():
    with pytest.raises(ValueError, match="metric of regression is 'accuracy'; allowed: r2"):
        metrics.confidence_interval(
            "regression", [[0.5]], [[0.5]], labels=("a",), metric="accuracy"
        )


def test_chunks_of_resamples_are_joined(monkeypatch):
    scores, targets, labels = random_songs("multi_label")
    sizes = []

    def noting(rng, num_songs, num_resamples):
        sizes.append(num_resamples)
        return draw_counts(rng, num_songs, num_resamples)

    draw_counts = bootstrap.draw_counts
    monkeypatch.setattr(bootstrap, "draw_counts", noting)
    monkeypatch.setattr(bootstrap, "_CHUNK_ELEMENTS", 1)
    found = metrics.confidence_interval(
        "multi_label", scores, targets, labels=labels, metric="pr_auc_micro", num_resamples=35
    )
    assert sizes == [16, 16, 3]
    point = sk.average_precision_score(targets.ravel(), scores.ravel())
    assert point - 0.2 < found["low"] < point < found["high"] < point + 0.2


def test_groups_are_drawn_where_there_are_some():
    assert bootstrap.numbered(()) is None and bootstrap.numbered(["a", "b", "c"]) is None
    assert bootstrap.numbered(["a", "a"]) is None  # of one group nothing can be told
    assert bootstrap.numbered(["b", "a", "b"]).tolist() == [1, 0, 1]
    rng = np.random.default_rng(0)
    right = np.repeat(rng.random(20) < 0.5, 10)  # of an artist all songs are right, or none
    targets = rng.integers(0, 2, 200)
    scores = np.eye(2)[np.where(right, targets, 1 - targets)]
    artists = [f"artist {n // 10}" for n in range(200)]
    how = {"labels": ("a", "b"), "num_resamples": 200}
    widths = {
        (metric, bool(groups)): np.ptp(list(found.values()))
        for groups in (artists, ())
        for metric, found in (
            (
                "accuracy",
                metrics.confidence_interval(
                    "single_label", scores, targets, metric="accuracy", groups=groups, **how
                ),
            ),
            (
                "f1",
                bootstrap.label_intervals(
                    "single_label", scores, targets, metric="f1", groups=groups, **how
                )["a"],
            ),
        )
    }
    for metric in ("accuracy", "f1"):
        assert widths[metric, True] > 2 * widths[metric, False]
