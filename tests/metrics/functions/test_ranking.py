"""Areas and rankings against scikit-learn, and the three PR-AUCs of a published baseline."""

import numpy as np
import pytest
from hypothesis import given
from sklearn import metrics as sk

from mclf_jax import metrics
from tests.metrics.functions.drawn import classes, few, tags
from tests.metrics.test_compute import JAMENDO


def areas(score, true):
    if not true.any():
        return dict.fromkeys(("roc", "average_precision", "trapezoid", "interpolated"), np.nan)
    precision, recall, _ = sk.precision_recall_curve(true, score)
    best = np.maximum.accumulate(precision)  # recall falls along it
    return {
        "roc": sk.roc_auc_score(true, score) if not true.all() else np.nan,
        "average_precision": sk.average_precision_score(true, score),
        "trapezoid": sk.auc(recall, precision),
        "interpolated": -np.diff(recall) @ best[:-1],
    }


@few
@given(tags())
def test_areas_of_tags(drawn):
    scores, targets = drawn
    seen = ~np.isnan(targets)
    rows = [areas(scores[s, k], targets[s, k] == 1) for k, s in enumerate(seen.T)]
    of_all = areas(scores[seen], targets[seen] == 1)
    support = np.nansum(targets, axis=0)
    for name in of_all:
        values = np.array([row[name] for row in rows])
        defined = np.isfinite(values)
        wanted = {"none": values, "micro": of_all[name], "macro": np.nan, "weighted": np.nan}
        if defined.any():
            wanted["macro"] = values[defined].mean()
            wanted["weighted"] = np.average(values[defined], weights=support[defined])
        for average, value in wanted.items():
            if name == "roc":
                got = metrics.roc_auc(scores, targets, average=average)
            else:
                got = metrics.pr_auc(scores, targets, kind=name, average=average)
            np.testing.assert_allclose(got, value, err_msg=f"{name} {average}", atol=1e-12)


@few
@given(classes())
def test_single_labels_are_ranked_one_against_the_rest(drawn):
    scores, targets = drawn
    rows = [areas(scores[:, k], targets == k) for k in range(scores.shape[1])]
    for kind in ("average_precision", "trapezoid", "interpolated"):
        wanted = np.nanmean([row[kind] for row in rows])
        assert metrics.pr_auc(scores, targets, kind=kind) == pytest.approx(wanted)


@few
@given(tags())
def test_no_order_of_songs_is_below_the_bound(drawn):
    scores, targets = drawn
    worst = np.where(targets == 1, 0.2, 0.8) - np.arange(len(targets))[:, None] / 100
    lowest = metrics.pr_auc_bound(scores, targets, kind="minimum", average="none")
    np.testing.assert_allclose(metrics.pr_auc(worst, targets, average="none"), lowest)
    assert not (metrics.pr_auc(scores, targets, average="none") < lowest - 1e-12).any()
    # All songs alike are as good as any order.
    same = metrics.pr_auc(np.full(scores.shape, 0.5), targets, average="none")
    np.testing.assert_allclose(metrics.pr_auc_bound(scores, targets, average="none"), same)


@few
@given(tags(masked=False))
def test_lwlrap_is_that_of_scikit_learn_weighted_by_labels(drawn):
    scores, targets = drawn
    if not targets.any():
        assert np.isnan(metrics.lwlrap(scores, targets))
        assert np.isnan(metrics.map_at_k(scores, targets, k=2))
        return
    some = targets.any(axis=1)
    of_some = targets[some], scores[some]
    wanted = sk.label_ranking_average_precision_score(*of_some, sample_weight=targets[some].sum(1))
    assert metrics.lwlrap(scores, targets) == pytest.approx(wanted)
    everything = metrics.map_at_k(scores, targets, k=targets.shape[1])
    assert everything == pytest.approx(sk.label_ranking_average_precision_score(*of_some))


@few
@given(tags())
def test_labels_that_were_not_observed_are_not_ranked(drawn):
    scores, targets = drawn
    found = []
    for score, true in zip(scores, targets, strict=True):
        seen = ~np.isnan(true)
        if (true == 1).any():
            found += [metrics.lwlrap(score[None, seen], true[None, seen])] * int(np.nansum(true))
    np.testing.assert_allclose(metrics.lwlrap(scores, targets), np.mean(found or [np.nan]))


def test_map_at_k_by_hand():
    scores = [[0.9, 0.8, 0.7, 0.1], [0.1, 0.2, 0.3, 0.4], [0.5, 0.4, 0.3, 0.2]]
    targets = [[0, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    of_first = (1 / 2 + 2 / 3) / 2
    assert metrics.map_at_k(scores, targets, k=3) == pytest.approx(of_first / 2)
    classes = np.array([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3]])
    assert metrics.map_at_k(classes, np.array([1, 1]), k=3) == pytest.approx((1 / 2 + 1) / 2)


@pytest.mark.skipif(not JAMENDO.exists(), reason="../shared/metrics is not there")
def test_the_areas_of_docs_evaluation():
    targets = np.load(JAMENDO / "jamendo_moodtheme_groundtruth.npy", allow_pickle=False)
    scores = np.load(JAMENDO / "jamendo_moodtheme_vggish_predictions.npy", allow_pickle=False)
    found = {kind: metrics.pr_auc(scores, targets, kind=kind) for kind in metrics.PR_KINDS}
    found |= {kind: metrics.pr_auc_bound(scores, targets, kind=kind) for kind in metrics.BOUNDS}
    wanted = {"average_precision": 0.107734, "trapezoid": 0.105073, "interpolated": 0.111408}
    wanted |= {"random": 0.031924, "minimum": 0.016368}
    assert found == pytest.approx(wanted, abs=1e-6)
