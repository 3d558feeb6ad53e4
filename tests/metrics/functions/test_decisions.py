"""Counts and ratios against scikit-learn, whatever ties, empty labels and masks are drawn."""

import numpy as np
import pytest
from hypothesis import given
from sklearn import metrics as sk

from mclf_jax import metrics
from tests.metrics.functions.drawn import classes, few, tags

THRESHOLD = 0.4


def ratios(true, said):
    """Of one label, by scikit-learn; recall of absence is specificity."""
    if not len(true):
        nothing = dict.fromkeys(("precision", "recall", "f_beta", "specificity"), np.nan)
        return dict.fromkeys(("tp", "fp", "fn", "tn"), 0) | nothing | {"balanced_accuracy": np.nan}
    counted = sk.confusion_matrix(true, said, labels=[0, 1])
    (tn, fp), (fn, tp) = counted
    found = {"tp": tp, "fp": fp, "fn": fn, "tn": tn}
    score = {"zero_division": 0}
    found["precision"] = sk.precision_score(true, said, **score) if tp + fn else np.nan
    found["recall"] = sk.recall_score(true, said, **score) if tp + fn else np.nan
    found["f_beta"] = sk.fbeta_score(true, said, beta=0.5, **score) if tp + fn else np.nan
    found["specificity"] = sk.recall_score(true, said, pos_label=0, **score) if tn + fp else np.nan
    found["balanced_accuracy"] = (found["recall"] + found["specificity"]) / 2
    return found


def functions():
    beta = {"f_beta": {"beta": 0.5}}
    for name in ("precision", "recall", "f_beta", "specificity", "balanced_accuracy"):
        yield name, lambda *a, n=name, **k: getattr(metrics, n)(*a, **k, **beta.get(n, {}))


@few
@given(tags())
def test_tags(drawn):
    scores, targets = drawn
    said, seen = scores >= THRESHOLD, ~np.isnan(targets)
    rows = [ratios(targets[s, k], said[s, k]) for k, s in enumerate(seen.T)]
    found = metrics.counts(scores, targets, thresholds=THRESHOLD)
    for name in ("tp", "fp", "fn", "tn"):
        assert found[name].tolist() == [row[name] for row in rows]
    support = np.array([row["tp"] + row["fn"] for row in rows], float)
    of_all = ratios(targets[seen], said[seen])
    for name, function in functions():
        values = np.array([row[name] for row in rows])
        defined = np.isfinite(values)
        wanted = {"none": values, "micro": of_all[name], "macro": np.nan, "weighted": np.nan}
        if defined.any():
            wanted["macro"] = values[defined].mean()
        if support[defined].any():
            wanted["weighted"] = np.average(values[defined], weights=support[defined])
        for average, value in wanted.items():
            got = function(scores, targets, thresholds=THRESHOLD, average=average)
            np.testing.assert_allclose(got, value, err_msg=f"{name} {average}")
    right = (targets == said)[seen]
    np.testing.assert_allclose(
        metrics.accuracy(scores, targets, thresholds=THRESHOLD),
        right.mean() if len(right) else np.nan,
    )


@few
@given(classes())
def test_single_labels(drawn):
    scores, targets = drawn
    guess, present = scores.argmax(1), np.unique(targets)
    assert metrics.accuracy(scores, targets) == sk.accuracy_score(targets, guess)
    assert metrics.exact_match(scores, targets) == sk.accuracy_score(targets, guess)
    how = {"labels": present, "zero_division": 0}
    for average in ("macro", "weighted"):
        for name, of_sklearn in (("precision", sk.precision_score), ("recall", sk.recall_score)):
            got = getattr(metrics, name)(scores, targets, average=average)
            assert got == pytest.approx(of_sklearn(targets, guess, average=average, **how))
    assert metrics.precision(scores, targets, average="micro") == pytest.approx(
        sk.accuracy_score(targets, guess)
    )
    recalls = sk.recall_score(targets, guess, average=None, **how)
    assert metrics.balanced_accuracy(scores, targets) == pytest.approx(recalls.mean())
    names, tied = np.arange(scores.shape[1]), -1e-9 * np.arange(scores.shape[1])
    for k in range(1, scores.shape[1]):
        if scores.shape[1] > 2:
            # Scikit-learn puts the later of equal scores first.
            wanted = sk.top_k_accuracy_score(targets, scores + tied, k=k, labels=names)
            assert metrics.top_k_accuracy(scores, targets, k=k) == pytest.approx(wanted)
    assert metrics.top_k_accuracy(scores, targets, k=99) == 1


def test_a_threshold_for_each_label():
    scores, targets = [[0.3, 0.8], [0.6, 0.7]], [[1, 0], [0, 1]]
    found = metrics.counts(scores, targets, thresholds=[0.2, np.nan])
    assert (found["tp"].tolist(), found["fp"].tolist()) == ([1, 0], [1, 0])
    with pytest.raises(ValueError, match=r"thresholds have shape \(3,\)"):
        metrics.recall(scores, targets, thresholds=[0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="average is 'mean'; allowed: macro"):
        metrics.recall(scores, targets, average="mean")
