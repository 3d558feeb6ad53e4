"""Scores put right: what was made wrong on purpose is found again."""

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression

from mclf_jax.metrics.calibration import expected_error, reliability
from mclf_jax.metrics.confidence.scaling import Scaling, fit

NAN = np.nan


def test_a_temperature_is_found_again():
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(4000, 5)) * 2
    targets = np.array([draw.choice(5, p=p) for p in softmax(logits, axis=1)])
    wrong = softmax(3 * logits, axis=1)
    found = fit("single_label", wrong, targets, kind="temperature")
    assert 1 / found.scale[0] == pytest.approx(3, rel=0.06)
    right = found.apply("single_label", wrong)
    before, after = (
        expected_error(reliability("single_label", scores, targets)) for scores in (wrong, right)
    )
    assert before > 0.1 > 0.03 > after
    assert (right.argmax(1) == wrong.argmax(1)).all()
    assert fit("single_label", wrong, targets, kind="temperature") == found


def test_each_tag_has_its_own_numbers():
    draw = np.random.default_rng(1)
    logits = draw.normal(size=(3000, 3)) * 2
    targets = (draw.random((3000, 3)) < expit(logits)).astype(float)
    wrong = expit(np.array([0.5, 2.0, 1.0]) * logits + np.array([1.0, -2.0, 0.0]))
    targets[:, 2] = NAN
    targets[:3, 2] = 0
    targets[draw.random((3000, 3)) < 0.2] = NAN
    found = fit("multi_label", wrong, targets, kind="platt")
    assert found.scale == pytest.approx([2.0, 0.5, 1.0], rel=0.15)
    assert found.bias == pytest.approx([-2.0, 1.0, 0.0], abs=0.2)
    # A logistic regression, but for the counts that Platt's targets hold in.
    seen = ~np.isnan(targets[:, 0])
    x = np.log(wrong[seen, :1] / (1 - wrong[seen, :1]))
    theirs = LogisticRegression(C=np.inf, tol=1e-8).fit(x, targets[seen, 0])
    assert found.scale[0] == pytest.approx(theirs.coef_[0, 0], abs=0.02)
    right = found.apply("multi_label", wrong)
    assert (np.diff(right[np.argsort(wrong[:, 1]), 1]) >= 0).all()


def test_scores_at_the_ends_stay_finite():
    scores = np.float32([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]])
    for task, targets in (("single_label", np.array([1, 0, 0])), ("multi_label", scores.round())):
        found = fit(task, scores, targets, kind="temperature")
        right = found.apply(task, scores)
        assert right.dtype == np.float32 and np.isfinite(right).all()
    with pytest.raises(ValueError, match="scaling of single_label is 'platt'; allowed: temper"):
        fit("single_label", scores, np.array([1, 0, 0]), kind="platt")
    with pytest.raises(ValueError, match="no label was observed"):
        fit("multi_label", scores, np.full((3, 2), NAN), kind="temperature")
    with pytest.raises(ValueError, match="scale must be positive"):
        Scaling((0.0,), (0.0,))
