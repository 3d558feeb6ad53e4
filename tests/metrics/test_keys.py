"""The weighted score of keys, against the rules and the implementation of mir_eval."""

import itertools

import numpy as np
import pytest

from mclf_jax import metrics
from mclf_jax.evaluation.evaluate import check_metric
from mclf_jax.metrics import keys

# truth, answer, worth: as the documentation of mir_eval has them.
RULES = [
    ("C major", "C major", 1.0),
    ("C major", "G major", 0.5),
    ("G major", "C major", 0.0),  # a fifth below counts nothing
    ("F minor", "C minor", 0.5),
    ("C major", "G minor", 0.0),
    ("C major", "A minor", 0.3),
    ("A minor", "C major", 0.3),
    ("C minor", "A major", 0.0),
    ("C major", "C minor", 0.2),
    ("Gb minor", "Gb major", 0.2),
    ("C major", "D major", 0.0),
]


@pytest.mark.parametrize(("truth", "answer", "worth"), RULES)
def test_rules(truth, answer, worth):
    assert keys.credit()[keys.LABELS.index(truth), keys.LABELS.index(answer)] == worth


def test_every_pair_is_worth_what_mir_eval_says():
    theirs = pytest.importorskip("mir_eval").key
    found = keys.credit()
    for (i, truth), (j, answer) in itertools.product(enumerate(keys.LABELS), repeat=2):
        assert found[i, j] == theirs.weighted_score(truth, answer), (truth, answer)


def test_it_is_computed_of_keys_alone_with_its_interval():
    rng = np.random.default_rng(0)
    targets, answers = rng.integers(0, 24, (2, 40))
    scores = np.full((40, 24), 0.01)
    scores[np.arange(40), answers] = 0.77
    found = metrics.compute("single_label", scores, targets, labels=keys.LABELS)
    expected = np.mean([keys.credit()[t, a] for t, a in zip(targets, answers, strict=True)])
    assert found.values["key_score"] == pytest.approx(expected)
    assert metrics.direction("key_score") == "max"
    how = {"labels": keys.LABELS, "metric": "key_score", "num_resamples": 50}
    ends = metrics.confidence_interval("single_label", scores, targets, **how)
    assert ends["low"] < expected < ends["high"]
    check_metric("key_score", task="single_label", parents={}, labels=keys.LABELS)
    others = keys.LABELS[::-1]
    with pytest.raises(ValueError, match="eval.metric is 'key_score'; for task single_label"):
        check_metric("key_score", task="single_label", parents={}, labels=others)
    assert "key_score" not in metrics.compute("single_label", scores, targets, labels=others).values
    with pytest.raises(ValueError, match="metric of single_label is 'key_score'"):
        metrics.confidence_interval("single_label", scores, targets, **how | {"labels": others})
