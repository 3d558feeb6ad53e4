"""Metrics against hand computation and published predictions."""

import numpy as np
import pytest

from mclf_jax import metrics
from tests import SHARED

JAMENDO = SHARED / "metrics"
ABC = ("a", "b", "c")


def random_songs(task, *, num_songs=60, num_labels=4, seed=0):
    rng = np.random.default_rng(seed)
    if task == "single_label":
        targets = rng.integers(0, num_labels, num_songs)
        logits = rng.normal(size=(num_songs, num_labels)) + np.eye(num_labels)[targets]
        scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    elif task == "multi_label":
        targets = rng.integers(0, 2, (num_songs, num_labels))
        # Rounded, so that scores tie within and across the classes.
        scores = np.round(np.clip(targets * 0.3 + rng.random(targets.shape) * 0.7, 0, 1), 1)
    else:
        targets = rng.normal(size=(num_songs, num_labels)) * 2 + 100
        scores = targets + rng.normal(size=targets.shape)
    return scores, targets, tuple(f"l{k}" for k in range(num_labels))


@pytest.mark.skipif(not JAMENDO.exists(), reason="../shared/metrics is not there")
def test_multi_label_equals_the_published_values_of_the_jamendo_mood_baseline():
    targets = np.load(JAMENDO / "jamendo_moodtheme_groundtruth.npy", allow_pickle=False)
    scores = np.load(JAMENDO / "jamendo_moodtheme_vggish_predictions.npy", allow_pickle=False)
    found = metrics.compute("multi_label", scores, targets, labels=[str(k) for k in range(56)])
    expected = {
        "roc_auc_macro": 0.725821,
        "pr_auc_macro": 0.107734,
        "roc_auc_micro": 0.775029,
        "pr_auc_micro": 0.140913,
    }
    assert {k: found.values[k] for k in expected} == pytest.approx(expected, abs=1e-6)
    assert found.undefined == ()


def test_single_label_by_hand():
    scores = [[0.7, 0.2, 0.1], [0.4, 0.5, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]]
    found = metrics.compute("single_label", scores, np.array([0, 0, 1, 2]), labels=ABC)
    assert found.values["accuracy"] == 0.75
    assert found.values["precision_macro"] == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert found.values["recall_macro"] == pytest.approx((1 / 2 + 1 + 1) / 3)
    assert found.values["f1_macro"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert found.values["roc_auc_macro"] == 1.0  # each class ranks its own songs first
    assert found.values["log_loss"] == pytest.approx(-np.log([0.7, 0.4, 0.8, 0.6]).mean())
    assert found.per_label["a"]["support"] == 2
    assert found.undefined == ()


def test_a_class_without_songs_is_named_and_left_out_of_the_means():
    scores = [[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.1, 0.3, 0.6]]
    found = metrics.compute("single_label", scores, np.array([0, 1, 1]), labels=ABC)
    assert found.undefined == ("c",)
    assert found.values["recall_macro"] == pytest.approx((1 + 1 / 2) / 2)
    assert np.isnan(found.per_label["c"]["recall"])
    one = metrics.compute("single_label", scores, np.array([1, 1, 1]), labels=ABC)
    assert one.undefined == ABC
    assert np.isnan(one.values["roc_auc_macro"])
    assert one.values["accuracy"] == pytest.approx(1 / 3)


def test_multi_label_by_hand():
    scores = [[0.9, 0.1], [0.8, 0.4], [0.3, 0.6], [0.2, 0.5]]
    targets = [[1, 0], [0, 0], [1, 0], [0, 1]]
    found = metrics.compute("multi_label", scores, targets, labels=("a", "b"))
    assert found.per_label["a"]["roc_auc"] == pytest.approx(3 / 4)
    assert found.per_label["b"]["roc_auc"] == pytest.approx(2 / 3)
    assert found.per_label["a"]["pr_auc"] == pytest.approx((1 + 2 / 3) / 2)
    assert found.per_label["b"]["pr_auc"] == pytest.approx(1 / 2)
    assert found.values["pr_auc_macro"] == pytest.approx((5 / 6 + 1 / 2) / 2)
    assert found.per_label["b"]["precision"] == 0.5  # 0.6 and 0.5 are taken, one rightly
    assert found.per_label["b"]["recall"] == 1.0


def test_a_tag_without_positives_or_negatives_is_named():
    scores = np.array([[0.9, 0.1, 0.5], [0.2, 0.4, 0.3]])
    targets = np.array([[1, 0, 1], [0, 0, 1]])
    found = metrics.compute("multi_label", scores, targets, labels=ABC)
    assert found.undefined == ("b", "c")
    assert found.values["roc_auc_macro"] == 1.0  # of "a" alone
    assert found.values["pr_auc_macro"] == 1.0  # of "a" and "c"
    assert np.isnan(found.per_label["b"]["pr_auc"])
    assert found.per_label["c"]["pr_auc"] == 1.0
    nothing = metrics.compute("multi_label", scores, np.zeros_like(targets), labels=ABC)
    assert np.isnan(nothing.values["pr_auc_macro"])
    assert np.isnan(nothing.values["pr_auc_micro"])


def test_regression_by_hand():
    found = metrics.compute(
        "regression",
        [[1.0, 5.0], [2.0, 5.0], [4.0, 8.0]],
        [[1, 5], [2, 5], [3, 5]],
        labels=("v", "c"),
    )
    assert found.per_label["v"]["r2"] == pytest.approx(0.5)
    assert found.per_label["v"]["mae"] == pytest.approx(1 / 3)
    assert found.per_label["c"]["rmse"] == pytest.approx(np.sqrt(3))
    assert found.undefined == ("c",)  # its targets are all equal
    assert found.values["r2"] == pytest.approx(0.5)
    single = metrics.compute("regression", [[1.0]], [[2.0]], labels=("v",))
    assert single.values["mae"] == 1.0
    assert np.isnan(single.values["r2"])


@pytest.mark.parametrize("task", metrics.NAMES)
def test_compute_gives_each_named_metric(task):
    scores, targets, labels = random_songs(task)
    found = metrics.compute(task, scores, targets, labels=labels)
    assert tuple(found.values) == metrics.NAMES[task]
    assert set(metrics.HEADLINES[task]) <= set(found.values)
    assert tuple(found.per_label) == labels
    assert all(metrics.direction(name) in ("max", "min") for name in found.values)


@pytest.mark.parametrize(
    ("task", "scores", "targets", "words"),
    [
        ("tagging", [[0.5, 0.5]], [0], "task is 'tagging'; allowed: single_label"),
        ("single_label", [[0.5, 0.5]], [0, 1], "targets of single_label must have shape"),
        ("single_label", [0.5, 0.5], [0, 1], "must be \\[songs, labels\\] with 2"),
        ("single_label", [[0.5, 0.5]], [0.0], "must be integers"),
        ("single_label", [[0.5, 0.5]], [2], "from 0 to 1, got 2"),
        ("single_label", [[0.5, 0.1]], [1], "must sum to 1"),
        ("single_label", np.zeros((0, 2)), np.zeros(0, int), "no song"),
        ("multi_label", [[0.5, np.nan]], [[0, 1]], "scores must be finite, but 1 of 2"),
        ("multi_label", [[0.5, 0.5]], [[0, np.inf]], "targets must be finite, or NaN where not"),
        ("regression", [[0.5, 0.5]], [[np.nan, -np.inf]], "targets must be finite, .* but 1 of 2"),
        ("multi_label", [[0.5, np.nan]], [[0, np.nan]], "scores must be finite"),
        ("single_label", [[0.5, 0.5]], [np.nan], "targets must be finite, but 1 of 1"),
        ("multi_label", [[0.5, 0.5]], [[0, 0.3]], "zeros and ones"),
        ("multi_label", [[2.5, -0.5]], [[0, 1]], "softmax or sigmoid"),
        ("regression", [[0.5, 0.5]], [[0.5]], "targets of regression must have shape"),
    ],
)
def test_bad_input_is_refused_in_words(task, scores, targets, words):
    with pytest.raises(ValueError, match=words):
        metrics.compute(task, scores, np.asarray(targets), labels=("a", "b"))


def test_equal_label_names_are_refused():
    with pytest.raises(ValueError, match="differ"):
        metrics.compute("multi_label", [[0.5, 0.5]], [[0, 1]], labels=("a", "a"))


def test_direction():
    assert metrics.direction("accuracy") == "max"
    assert [metrics.direction(n) for n in ("loss", "mae", "rmse", "log_loss")] == ["min"] * 4
    with pytest.raises(ValueError, match="'acuracy'; allowed: accuracy"):
        metrics.direction("acuracy")
