"""Labels in a tree: ancestors, closing, and metrics against sets written out by hand."""

import numpy as np
import pytest

from mclf_jax import metrics
from mclf_jax.evaluation.evaluate import check_metric
from mclf_jax.metrics import bootstrap, counted, hierarchy

# rock: (metal: (doom), indie), jazz
LABELS = ("doom", "indie", "jazz", "metal", "rock")
PARENTS = {"doom": "metal", "metal": "rock", "indie": "rock"}
NAN = np.nan


def sets(rows):
    """Songs as sets of names -> [N, K] of zeros and ones."""
    return np.array([[float(label in row) for label in LABELS] for row in rows])


def close(row):
    row = set(row)
    while more := {PARENTS[label] for label in row if label in PARENTS} - row:
        row |= more
    return row


def test_ancestors():
    above = hierarchy.ancestry(LABELS, PARENTS)
    names = {
        label: {LABELS[k] for k in np.flatnonzero(row)}
        for label, row in zip(LABELS, above, strict=True)
    }
    assert names == {label: close({label}) for label in LABELS}
    assert names["doom"] == {"doom", "metal", "rock"}
    assert hierarchy.depths(LABELS, PARENTS).tolist() == [2, 1, 0, 1, 0]


def test_labels_of_the_tree_that_are_not_there_are_stepped_over():
    above = hierarchy.ancestry(("rock", "doom"), PARENTS | {"rock": "music"})
    assert above.tolist() == [[True, False], [True, True]]


def test_a_circle_is_refused():
    with pytest.raises(ValueError, match="circle: a -> b -> c -> b"):
        hierarchy.ancestry(("a", "b"), {"a": "b", "b": "c", "c": "b"})


def test_scores_and_targets_agree_with_the_tree():
    scores = np.array([[0.9, 0.2, 0.4, 0.1, 0.3], [0.1, 0.2, 0.3, 0.4, 0.5]])
    targets = np.array([[1, 0, 0, NAN, 0], [NAN, 0, NAN, 0, NAN]])
    found, closed = hierarchy.close(scores, targets, labels=LABELS, parents=PARENTS)
    np.testing.assert_array_equal(found, [[0.9, 0.2, 0.4, 0.9, 0.9], [0.1, 0.2, 0.3, 0.4, 0.5]])
    np.testing.assert_array_equal(closed, [[1, 0, 0, 1, 1], [NAN, 0, NAN, 0, NAN]])


def test_metrics_of_sets_written_out_by_hand():
    true = [{"doom"}, {"indie"}, {"jazz"}]
    predicted = [{"metal"}, {"metal", "jazz"}, {"jazz"}]
    found = metrics.hierarchical(sets(predicted), sets(true), labels=LABELS, parents=PARENTS)
    # Shared: {metal, rock}, {rock}, {jazz}; predicted 2 + 3 + 1, true 3 + 2 + 1.
    assert found == {
        "precision_hierarchical": pytest.approx(4 / 6),
        "recall_hierarchical": pytest.approx(4 / 6),
        "f1_hierarchical": pytest.approx(4 / 6),
    }
    unsure = metrics.hierarchical(0.4 * sets(predicted), sets(true), labels=LABELS, parents=PARENTS)
    assert unsure == dict.fromkeys(metrics.HIERARCHICAL, 0.0)


def test_metrics_of_random_sets():
    rng = np.random.default_rng(0)
    true = [set(rng.choice(LABELS, rng.integers(0, 3), replace=False)) for _ in range(50)]
    predicted = [set(rng.choice(LABELS, rng.integers(0, 3), replace=False)) for _ in range(50)]
    found = metrics.hierarchical(sets(predicted), sets(true), labels=LABELS, parents=PARENTS)
    both = sum(len(close(t) & close(p)) for t, p in zip(true, predicted, strict=True))
    precision = both / sum(map(len, map(close, predicted)))
    recall = both / sum(map(len, map(close, true)))
    assert found["precision_hierarchical"] == pytest.approx(precision)
    assert found["recall_hierarchical"] == pytest.approx(recall)
    f1 = 2 * precision * recall / (precision + recall)
    assert found["f1_hierarchical"] == pytest.approx(f1)


def test_without_a_tree_they_are_micro_averages():
    rng = np.random.default_rng(0)
    scores, targets = rng.random((40, 5)), rng.integers(0, 2, (40, 5)).astype(float)
    found = metrics.hierarchical(scores, targets, labels=LABELS, parents={})
    hits = ((scores >= 0.5) & (targets == 1)).sum()
    assert found["precision_hierarchical"] == pytest.approx(hits / (scores >= 0.5).sum())
    assert found["recall_hierarchical"] == pytest.approx(hits / targets.sum())


def test_only_observed_pairs_count_and_nothing_true_is_undefined():
    targets = np.array([[1, NAN, 0, NAN, NAN], [NAN, NAN, NAN, NAN, NAN]])
    scores = np.array([[0.9, 0.9, 0.1, 0.0, 0.0], [0.9, 0.9, 0.9, 0.9, 0.9]])
    found = metrics.hierarchical(scores, targets, labels=LABELS, parents=PARENTS)
    assert set(found.values()) == {1.0}  # "indie" and the second song: nobody knows
    for empty in (np.zeros((1, 5)), np.full((1, 5), NAN)):
        found = metrics.hierarchical(scores[:1], empty, labels=LABELS, parents=PARENTS)
        assert np.isnan(list(found.values())).all()


@pytest.mark.parametrize("metric", metrics.HIERARCHICAL)
def test_resamples_are_those_of_the_drawn_songs(metric):
    rng = np.random.default_rng(0)
    targets = (rng.random((30, 5)) < 0.3).astype(float)
    targets[rng.random(targets.shape) < 0.3] = NAN
    scores = rng.random(targets.shape)
    tree = {"labels": LABELS, "parents": PARENTS}
    closed = hierarchy.close(scores, targets, **tree)
    counts = bootstrap.draw_counts(rng, 30, 4)
    found = counted.value(metric, "multi_label", *closed, counts=counts)
    for r in range(4):
        drawn = np.repeat(np.arange(30), counts[:, r].astype(int))
        expected = metrics.hierarchical(scores[drawn], targets[drawn], **tree)
        assert found[r] == pytest.approx(expected[metric])
    interval = metrics.confidence_interval("multi_label", scores, targets, **tree, metric=metric)
    value = metrics.hierarchical(scores, targets, **tree)[metric]
    assert interval["low"] < value < interval["high"]


def test_names():
    for name in metrics.HIERARCHICAL:
        assert metrics.direction(name) == "max"
        check_metric(name, task="multi_label", parents=PARENTS)
        with pytest.raises(ValueError, match=f"'{name}', but the labels are in no hierarchy; for"):
            check_metric(name, task="multi_label", parents={})
    with pytest.raises(ValueError, match="metric of multi_label is 'f1_hierarchical'"):
        metrics.confidence_interval(
            "multi_label", [[0.5]], [[1]], labels=("a",), metric="f1_hierarchical"
        )
    check_metric("loss", task="regression", parents={})
    with pytest.raises(ValueError, match="'acc'; for task single_label allowed: loss, accuracy"):
        check_metric("acc", task="single_label", parents={})
