"""Calibration against numbers made by hand."""

import numpy as np
import pytest

from mclf_jax.metrics.calibration import expected_error, reliability


def test_single_label_goes_by_the_highest_score():
    scores = [[0.95, 0.05], [0.91, 0.09], [0.45, 0.55], [0.0, 1.0]]
    bins = reliability("single_label", scores, np.array([0, 1, 1, 1]))
    assert [(b["low"], b["count"], b["true"]) for b in bins] == [(0.5, 1, 1.0), (0.9, 3, 2 / 3)]
    assert bins[1]["said"] == pytest.approx(2.86 / 3)
    by_hand = (abs(0.55 - 1) + abs(2.86 - 2)) / 4
    assert expected_error(bins) == pytest.approx(by_hand)


def test_labels_that_were_not_observed_do_not_count():
    targets = np.array([[1.0, np.nan], [0.0, 0.0]])
    bins = reliability("multi_label", [[0.8, 0.3], [0.8, 0.1]], targets, num_bins=5)
    assert [(b["count"], b["said"], b["true"]) for b in bins] == [(1, 0.1, 0.0), (2, 0.8, 0.5)]
    assert np.isnan(expected_error(reliability("multi_label", [[0.5]], [[np.nan]])))


def test_numbers_have_no_calibration():
    with pytest.raises(ValueError, match="task is 'regression'; allowed"):
        reliability("regression", [[0.5]], [[0.5]])
