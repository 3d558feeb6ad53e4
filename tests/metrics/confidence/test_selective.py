"""Risk over coverage, by hand."""

import numpy as np
import pytest

from mclf_jax.metrics.confidence.selective import area, coverage_at, risk_coverage


def test_single_labels():
    scores = [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.3, 0.7]]
    curve = risk_coverage("single_label", scores, np.array([0, 1, 1, 1]))
    assert curve["coverage"].tolist() == [0.25, 0.5, 1.0]  # the last two are equally sure
    assert curve["risk"].tolist() == [0, 0, 0.25] and curve["score"].tolist() == [0.9, 0.8, 0.7]
    assert area(curve) == pytest.approx(0.125)
    assert coverage_at(curve, risk=0.1) == {"coverage": 0.5, "score": 0.8}
    assert coverage_at(curve, risk=0.25)["coverage"] == 1


def test_tags_that_were_observed():
    curve = risk_coverage("multi_label", [[0.9, 0.4]] * 2, [[0, np.nan], [1, 0]])
    assert curve["coverage"].tolist() == pytest.approx([2 / 3, 1])
    assert curve["risk"].tolist() == pytest.approx([1 / 2, 1 / 3])
    assert coverage_at(curve, risk=0.4)["coverage"] == 1
    nothing = coverage_at(curve, risk=0.1)
    assert nothing["coverage"] == 0 and np.isnan(nothing["score"])
    with pytest.raises(ValueError, match="no label was observed"):
        risk_coverage("multi_label", [[0.5]], [[np.nan]])
