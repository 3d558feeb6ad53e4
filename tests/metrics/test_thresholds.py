"""Thresholds with the highest F1, against trying all of them."""

import numpy as np
from sklearn.metrics import f1_score

from mclf_jax.metrics.thresholds import best_f1_thresholds


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
