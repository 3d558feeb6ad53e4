"""Thresholds for each target, against trying all of them."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, fbeta_score, precision_score, recall_score

from mclf_jax.metrics.thresholds import best_f1_thresholds, choose_thresholds


def test_no_other_threshold_is_better():
    draw = np.random.default_rng(0)
    for _ in range(30):
        # Few different scores, so that many are equal.
        scores = draw.integers(0, 6, (20, 3)) / 5
        targets = draw.integers(0, 2, (20, 3)).astype(float)
        targets[draw.random((20, 3)) < 0.2] = np.nan
        found = best_f1_thresholds(scores, targets)
        for k, threshold in enumerate(found):
            seen = ~np.isnan(targets[:, k])
            truth, of_label = targets[seen, k], scores[seen, k]
            if not 0 < truth.sum() < len(truth):
                assert np.isnan(threshold)
                continue
            each = [f1_score(truth, of_label >= t) for t in np.linspace(-0.05, 1.0, 22)]
            assert np.isclose(f1_score(truth, of_label >= threshold), max(each))


def test_labels_that_tell_nothing_have_none():
    found = best_f1_thresholds(np.full((2, 2), 0.5), np.array([[1.0, 0.0], [1.0, np.nan]]))
    assert np.isnan(found).all()


@pytest.mark.parametrize("target", ["f_beta:0.5", "precision:0.75", "recall:0.7"])
def test_other_targets(target):
    draw = np.random.default_rng(1)
    tried = np.linspace(-0.05, 1.0, 22)
    for _ in range(6):
        scores = draw.integers(0, 6, (20, 2)) / 5
        targets = draw.integers(0, 2, (20, 2)).astype(float)
        targets[draw.random((20, 2)) < 0.2] = np.nan
        found = choose_thresholds(scores, targets, target=target)
        for k in range(2):
            seen = ~np.isnan(targets[:, k])
            truth, of_label, threshold = targets[seen, k], scores[seen, k], found.thresholds[k]

            def measured(score, t, truth=truth, of_label=of_label, **how):
                return score(truth, of_label >= t, zero_division=0, **how)

            if target.startswith("f_beta"):
                best = max(measured(fbeta_score, t, beta=0.5) for t in tried)
                assert measured(fbeta_score, threshold, beta=0.5) == pytest.approx(best)
                continue
            name, other = (precision_score, recall_score)[:: 1 if "precision" in target else -1]
            wanted = float(target.partition(":")[2])
            good = [t for t in tried if measured(name, t) >= wanted]
            assert found.reached[k] == bool(good)
            if good:
                assert measured(name, threshold) >= wanted
            if good and name is precision_score:
                assert measured(other, threshold) == max(measured(other, t) for t in good)
            if good and name is recall_score:  # as few songs as that takes
                assert (of_label >= threshold).sum() == min((of_label >= t).sum() for t in good)
            if not good:
                assert not (of_label >= threshold).any() and 0 < threshold < 1.1


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("f2", "thresholds is 'f2'; allowed: f1, f_beta:B, precision:P, recall:R"),
        ("precision", "thresholds is 'precision'; allowed"),
        ("recall:x", "'x' is no number"),
        ("recall:1.5", r"recall of thresholds 'recall:1.5' is 1.5; it must be in \(0, 1\]"),
        ("f_beta:0", "must be positive"),
    ],
)
def test_no_such_target(target, why):
    with pytest.raises(ValueError, match=why):
        choose_thresholds(np.ones((2, 1)), np.ones((2, 1)), target=target)
