"""Every metric, of songs that count any number of times, against scikit-learn on those songs."""

import numpy as np
import pytest
from sklearn import metrics as sk

from mclf_jax import metrics
from mclf_jax.metrics import bootstrap, counted
from tests.metrics.test_compute import random_songs
from tests.metrics.test_unobserved import hidden

NAN = np.nan


def of_label(score, true, predicted):
    """What scikit-learn says of one label, of the songs that it was observed for."""
    if not true.any():
        return dict.fromkeys(("precision", "recall", "f1", "roc_auc", "pr_auc"), NAN)
    counts = sk.precision_recall_fscore_support(true, predicted, average="binary", zero_division=0)
    found = dict(zip(("precision", "recall", "f1"), counts[:3], strict=True))
    found["roc_auc"] = sk.roc_auc_score(true, score) if not true.all() else NAN
    return found | {"pr_auc": sk.average_precision_score(true, score)}


def of_numbers(guess, true):
    if not len(true):
        return {"r2": NAN, "mae": NAN, "rmse": NAN}
    return {
        "r2": sk.r2_score(true, guess) if np.ptp(true) > 0 else NAN,
        "mae": sk.mean_absolute_error(true, guess),
        "rmse": sk.root_mean_squared_error(true, guess),
    }


def scikit_learn(task, scores, targets):
    """Values of all metrics of a task, and [K] of each label."""
    if task == "regression":
        pairs = [(s[~np.isnan(t)], t[~np.isnan(t)]) for s, t in zip(scores.T, targets.T)]  # noqa: B905
        rows = [of_numbers(guess, true) for guess, true in pairs]
    else:
        classes = np.arange(scores.shape[1])
        positive, predicted = targets, scores >= 0.5
        if task == "single_label":
            positive = (targets[:, None] == classes).astype(float)
            predicted = scores.argmax(1)[:, None] == classes
        seen = ~np.isnan(positive)
        rows = [
            of_label(scores[s, k], positive[s, k] == 1, predicted[s, k])
            for k, s in enumerate(seen.T)
        ]
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    end = "" if task == "regression" else "_macro"
    values = {
        name + end: column[np.isfinite(column)].mean() if np.isfinite(column).any() else NAN
        for name, column in columns.items()
    }
    if task == "single_label":
        values["accuracy"] = sk.accuracy_score(targets, scores.argmax(1))
        normalised = scores / scores.sum(1, keepdims=True)
        values["log_loss"] = sk.log_loss(targets, normalised, labels=classes)
    if task == "multi_label":
        micro = of_label(scores[seen], positive[seen] == 1, predicted[seen])
        values |= {f"{name}_micro": micro[name] for name in ("roc_auc", "pr_auc")}
    return values, columns


def cases():
    rng = np.random.default_rng(3)
    for task in metrics.NAMES:
        yield f"{task}", task, *random_songs(task)[:2]
        yield f"{task}, few songs", task, *random_songs(task, num_songs=7, num_labels=5, seed=4)[:2]
        yield f"{task}, one song", task, *random_songs(task, num_songs=1)[:2]
        if task != "single_label":
            yield f"{task}, not all observed", task, *hidden(task, num_songs=25)[:2]
            scores, targets, _ = random_songs(task)
            yield f"{task}, nothing observed", task, scores, np.full(targets.shape, NAN)
            yield f"{task}, all equal", task, scores, np.ones(targets.shape)
    scores, targets, _ = random_songs("single_label")
    yield "one class", "single_label", scores, np.zeros_like(targets)
    yield "all scores tie", "single_label", np.full(scores.shape, 0.25), targets
    yield "certain", "single_label", np.eye(4)[targets], targets
    yield "certain and wrong", "single_label", np.eye(4)[(targets + 1) % 4], targets
    yield "nearly sum to 1", "single_label", scores * rng.uniform(0.9995, 1, (60, 1)), targets
    scores, targets, _ = random_songs("multi_label")
    yield "all scores of tags tie", "multi_label", np.full(scores.shape, 0.5), targets
    yield "no tag", "multi_label", scores, np.zeros(targets.shape)
    yield "one tag", "multi_label", scores[:, :1], targets[:, :1]
    scores, targets, _ = random_songs("regression")
    yield "large and close together", "regression", 1e6 + scores / 100, 1e6 + targets / 100
    yield "exact", "regression", targets, targets


CASES = {name: case for name, *case in cases()}


@pytest.mark.parametrize("name", CASES)
def test_songs_that_count_once(name):
    task, scores, targets = CASES[name]
    labels = tuple(f"l{k}" for k in range(scores.shape[1]))
    found = metrics.compute(task, scores, targets, labels=labels)
    values, columns = scikit_learn(task, scores, targets)
    # R2 is a ratio of sums of squares, and large numbers close together leave fewer digits of it.
    tolerance = {"abs": 1e-12 if "large" not in name else 1e-9, "rel": 1e-12, "nan_ok": True}
    assert found.values == pytest.approx(values, **tolerance)
    for metric, column in columns.items():
        mine = [found.per_label[label][metric] for label in labels]
        assert mine == pytest.approx(list(column), **tolerance), metric
    undefined = np.isnan(np.stack(list(columns.values()))).any(axis=0)
    assert found.undefined == tuple(np.array(labels)[undefined])
    observed = ~np.isnan(targets)
    for k, label in enumerate(labels):
        if task != "single_label":
            assert found.per_label[label]["observed"] == observed[:, k].sum()
        if task != "regression":
            has = targets == k if task == "single_label" else targets[:, k] == 1
            assert found.per_label[label]["support"] == has.sum()


@pytest.mark.parametrize("name", CASES)
def test_songs_that_count_many_times_or_never(name):
    task, scores, targets = CASES[name]
    counts = bootstrap.draw_counts(np.random.default_rng(1), len(scores), 5)
    # And a song of which nothing is known, which the last resample has alone.
    if task != "single_label":
        scores, targets = (
            np.vstack([scores, scores[:1]]),
            np.vstack([targets, 0 * targets[:1] + NAN]),
        )
        counts = np.vstack([counts, np.zeros(5)])
        counts[:, -1] = np.arange(len(scores)) == len(scores) - 1
    for r in range(5):
        drawn = np.repeat(np.arange(len(scores)), counts[:, r].astype(int))
        values, _ = scikit_learn(task, scores[drawn], targets[drawn])
        for metric in metrics.NAMES[task]:
            found = counted.value(metric, task, scores, targets, counts=counts[:, r : r + 1])
            assert found == pytest.approx(values[metric], abs=1e-9, nan_ok=True), metric
            both = counted.value(metric, task, scores, targets, counts=counts)
            assert both[r] == pytest.approx(found[0], nan_ok=True)


def test_resamples_leave_out_the_labels_they_do_not_define():
    scores = np.array([[0.9, 0.3], [0.2, 0.8], [0.4, 0.1]])
    targets = np.array([[1, 0], [0, 1], [0, 0]])
    counts = np.array([[2, 1, 0], [0, 1, 2], [0, 0, 3]], np.float64).T
    for metric in ("pr_auc_macro", "roc_auc_macro", "recall_macro"):
        found = counted.value(metric, "multi_label", scores, targets, counts=counts)
        np.testing.assert_array_equal(found, [1.0, 1.0, np.nan])
