"""Numbers against scipy and scikit-learn, with some that nobody gave."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from mclf_jax import metrics
from tests.metrics.test_compute import random_songs


def test_of_songs():
    guess, true, _ = random_songs("regression")
    true[3:20, 1] = np.nan
    true[:, 3] = np.nan
    columns = [(g[~np.isnan(t)], t[~np.isnan(t)]) for g, t in zip(guess.T, true.T, strict=True)][:3]
    wanted = {
        "pearson": [stats.pearsonr(*pair).statistic for pair in columns],
        "r2": [sk.r2_score(t, g) for g, t in columns],
        "mae": [sk.mean_absolute_error(t, g) for g, t in columns],
        "rmse": [sk.root_mean_squared_error(t, g) for g, t in columns],
        "ccc": [
            2 * np.cov(g, t, ddof=0)[0, 1] / (g.var() + t.var() + (g.mean() - t.mean()) ** 2)
            for g, t in columns
        ],
    }
    for name, values in wanted.items():
        got = getattr(metrics, name)(guess, true, average="none")
        np.testing.assert_allclose(got, [*values, np.nan], err_msg=name)
        assert getattr(metrics, name)(guess, true) == pytest.approx(np.mean(values))


def test_concordance_sees_scale_and_offset_and_correlation_does_not():
    true = np.linspace(0, 1, 20)[:, None]
    for changed in (true / 2, true + 0.5):
        assert metrics.pearson(changed, true) == pytest.approx(1)
        assert metrics.ccc(changed, true) < 0.85
    assert metrics.ccc(true, true) == pytest.approx(1)
    assert metrics.ccc(np.zeros_like(true), true) == 0
    assert np.isnan(metrics.pearson(np.zeros_like(true), true))


def test_along_songs():
    """Songs that are right in themselves but for an offset are concordant together."""
    draw = np.random.default_rng(0)
    true = [draw.normal(size=(length, 2)) / 10 + place for place, length in enumerate((5, 9, 4))]
    guess = [each + draw.normal(size=each.shape) / 10 for each in true]
    together = metrics.over_time(metrics.ccc, guess, true)
    assert together == metrics.ccc(np.concatenate(guess), np.concatenate(true))
    apart = metrics.over_time(metrics.ccc, guess, true, how="per_song")
    assert apart == pytest.approx(np.mean([metrics.ccc(g, t) for g, t in zip(guess, true)]))  # noqa: B905
    assert together > 0.9 > apart
    with pytest.raises(ValueError, match="predictions of 2 songs and targets of 3"):
        metrics.over_time(metrics.ccc, guess[:2], true)
