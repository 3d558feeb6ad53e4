"""Differences of models on the same songs, and many of them at once."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mclf_jax.metrics import bootstrap, paired
from mclf_jax.metrics.interval import mean_interval, share_interval

SIMULATIONS = 200


def scores_of(right):
    """[N, 2] of class 0, which is the true one, where a song is right."""
    return np.where(right[:, None], [[0.9, 0.1]], [[0.1, 0.9]])


def resampled(right, **how):
    """[M, R] of M models [M, N]; all simulations share the draws, and no songs."""
    targets = np.zeros(right.shape[1], int)
    how = {"metric": "accuracy", "num_resamples": 400} | how
    return bootstrap.resampled("single_label", list(map(scores_of, right)), targets, **how)


def covered(intervals, truth):
    return np.mean([each["low"] <= truth <= each["high"] for each in intervals])


def test_intervals_of_a_difference_cover_it():
    rng = np.random.default_rng(0)
    hard = rng.random((SIMULATIONS, 150))  # the same songs are hard for both
    right = np.concatenate([hard + rng.normal(0, 0.2, hard.shape) < p for p in (0.8, 0.6)])
    many = rng.random(10**6) + rng.normal(0, 0.2, 10**6)  # of all songs there could be
    truth = np.mean(many < 0.8) - np.mean(many < 0.6)
    values = resampled(right)
    found = [paired.difference(values[i], values[SIMULATIONS + i]) for i in range(SIMULATIONS)]
    assert 0.91 < covered(found, truth) < 0.99
    alone = np.diff([[b["low"], b["high"]] for b in map(bootstrap.percentiles, values)]).mean()
    assert np.diff([[each["low"], each["high"]] for each in found]).mean() < 1.2 * alone
    equal = resampled(np.concatenate([rng.random((SIMULATIONS, 150)) < 0.7 for _ in range(2)]))
    p = [paired.difference(equal[i], equal[SIMULATIONS + i])["p"] for i in range(SIMULATIONS)]
    assert np.mean(np.array(p) < 0.05) < 0.09


def test_songs_of_one_artist_are_drawn_together():
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(40), 5)
    easy = np.repeat(rng.beta(0.5, 0.5, (SIMULATIONS, 40)), 5, axis=1)
    right = rng.random(easy.shape) < easy
    by_group = [bootstrap.percentiles(each) for each in resampled(right, groups=groups)]
    by_song = [bootstrap.percentiles(each) for each in resampled(right)]
    assert covered(by_group, 0.5) > 0.9 > 0.85 > covered(by_song, 0.5)


def test_seeds_widen_an_interval_until_it_covers_the_method():
    rng = np.random.default_rng(2)
    skill = 0.7 + 0.08 * rng.standard_normal((SIMULATIONS, 3, 1))
    right = rng.random((SIMULATIONS, 3, 150)) < skill
    values = resampled(right.reshape(-1, 150)).reshape(SIMULATIONS, 3, -1)
    points = right.mean(axis=2)
    found = [
        bootstrap.percentiles(paired.with_seeds({"a": v}, {"a": p}, seed=i)["a"])
        for i, (v, p) in enumerate(zip(values, points, strict=True))
    ]
    songs_alone = [bootstrap.percentiles(each.mean(axis=0)) for each in values]
    assert covered(found, 0.7) > 0.92 > 0.8 > covered(songs_alone, 0.7)
    pairs = [
        paired.with_seeds(
            {"a": values[i], "b": values[i + 1]}, {"a": points[i], "b": points[i + 1]}
        )
        for i in range(0, SIMULATIONS, 2)
    ]
    assert covered([paired.difference(each["a"], each["b"]) for each in pairs], 0.0) > 0.92
    alone = paired.with_seeds({"a": values[0, :1]}, {"a": points[0, :1]})
    np.testing.assert_array_equal(alone["a"], values[0, 0])


def test_intervals_of_groups_cover_the_truth():
    rng = np.random.default_rng(3)
    for share in (0.05, 0.5):
        counts = rng.binomial(20, share, 2000)
        bounds = {hits: share_interval(int(hits), 20) for hits in range(21)}
        assert covered([bounds[hits] for hits in counts], share) > 0.92
    found = [mean_interval(values, num_folds=0) for values in rng.gamma(2, 1, (400, 25))]
    assert np.mean([abs(each["mean"] - 2) < each["half_width"] for each in found]) > 0.91


def test_metrics_of_several_models_are_drawn_alike():
    rng = np.random.default_rng(4)
    targets = (rng.random((60, 2)) < 0.4).astype(float)
    scores = [rng.random((60, 2)), rng.random((60, 2))]
    how = {"metric": "roc_auc_macro", "num_resamples": 30}
    values = bootstrap.resampled("multi_label", scores, targets, **how)
    np.testing.assert_array_equal(
        values[1], bootstrap.resampled("multi_label", scores[1:], targets, **how)[0]
    )
    assert values[0].mean() == pytest.approx(roc_auc_score(targets, scores[0]), abs=0.05)
    same = paired.difference(values[0], values[0])
    assert same == {"low": 0.0, "high": 0.0, "p": 1.0}
    nothing = paired.difference(np.full(9, np.nan), values[0][:9])
    assert all(np.isnan(value) for value in nothing.values())


def test_holm_is_the_published_correction():
    # Steps down: 4 x .005, then 3 x .01, and no later one is smaller than an earlier.
    found = paired.holm([0.01, 0.04, np.nan, 0.03, 0.005])
    np.testing.assert_allclose(found, [0.03, 0.06, np.nan, 0.06, 0.02])
    assert paired.holm([]) == [] and paired.holm([0.9, 0.8]) == [1.0, 1.0]
