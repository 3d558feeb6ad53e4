"""Labels that nobody looked for: the same numbers as if those pairs were not there at all."""

import dataclasses

import numpy as np
import pytest

from mclf_jax import metrics
from tests.metrics.test_compute import random_songs

NAN = np.nan
TASKS = ("multi_label", "regression")


def hidden(task, *, share=0.5, **sizes):
    """Scores, targets with a share of NaN, labels; the last label was never observed."""
    scores, targets, labels = random_songs(task, **sizes)
    rng = np.random.default_rng(2)
    targets = np.where(rng.random(targets.shape) < share, NAN, targets)
    targets[:, -1] = NAN
    return scores, targets, labels


@pytest.mark.parametrize("task", TASKS)
def test_each_label_is_judged_by_the_songs_it_was_observed_for(task):
    scores, targets, labels = hidden(task)
    found = metrics.compute(task, scores, targets, labels=labels)
    means = {}
    for k, label in enumerate(labels[:-1]):
        seen = ~np.isnan(targets[:, k])
        alone = metrics.compute(task, scores[seen, k : k + 1], targets[seen, k : k + 1], labels="x")
        assert found.per_label[label] == pytest.approx(alone.per_label["x"])
        assert found.per_label[label]["observed"] == seen.sum() < len(seen)
        for name, value in alone.per_label["x"].items():
            means.setdefault(name, []).append(value)
    for name in ("pr_auc", "roc_auc", "f1") if task == "multi_label" else ("r2", "mae", "rmse"):
        whole = name if task == "regression" else f"{name}_macro"
        assert found.values[whole] == pytest.approx(np.mean(means[name]))
    assert found.undefined == labels[-1:]
    never = found.per_label[labels[-1]]
    assert never["observed"] == 0 and never.get("support", 0) == 0
    assert all(np.isnan(v) for k, v in never.items() if k not in ("observed", "support"))


def test_micro_averages_are_over_the_observed_pairs():
    scores, targets, labels = hidden("multi_label")
    found = metrics.compute("multi_label", scores, targets, labels=labels)
    seen = ~np.isnan(targets)
    flat = metrics.compute("multi_label", scores[seen][:, None], targets[seen][:, None], labels="x")
    for name in ("pr_auc", "roc_auc"):
        assert found.values[f"{name}_micro"] == pytest.approx(flat.per_label["x"][name])


@pytest.mark.parametrize("task", TASKS)
def test_what_is_predicted_for_unobserved_pairs_changes_nothing(task):
    scores, targets, labels = hidden(task)
    other = np.where(np.isnan(targets), 1 - scores, scores)
    for metric in metrics.NAMES[task]:
        arguments = {"labels": labels, "metric": metric, "num_resamples": 20}
        one = metrics.confidence_interval(task, scores, targets, **arguments)
        assert one == metrics.confidence_interval(task, other, targets, **arguments)
    one, two = (metrics.compute(task, s, targets, labels=labels) for s in (scores, other))
    np.testing.assert_equal(dataclasses.asdict(two), dataclasses.asdict(one))


@pytest.mark.parametrize("task", TASKS)
def test_nothing_observed_is_undefined_and_no_error(task):
    scores, targets, labels = random_songs(task, num_songs=5)
    targets = np.full(targets.shape, NAN)
    found = metrics.compute(task, scores, targets, labels=labels)
    assert np.isnan(list(found.values.values())).all()
    assert found.undefined == labels
    for metric in metrics.NAMES[task]:
        interval = metrics.confidence_interval(
            task, scores, targets, labels=labels, metric=metric, num_resamples=3
        )
        assert np.isnan(list(interval.values())).all()


def test_numbers_that_are_equal_where_observed_have_no_r2():
    targets = np.array([[0.1, 1], [0.1, NAN], [NAN, 2], [0.1, 3]])
    found = metrics.compute(
        "regression", np.full(targets.shape, 0.5), targets, labels=("same", "varied")
    )
    assert found.undefined == ("same",)
    assert found.per_label["same"]["mae"] == pytest.approx(0.4)
    assert found.per_label["varied"]["r2"] == pytest.approx(1 - (0.25 + 2.25 + 6.25) / 2)
