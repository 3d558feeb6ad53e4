"""Which songs to annotate next: what each way chooses first, and what is refused."""

import numpy as np
import pytest

from mclf_jax.data.annotators.suggest import WAYS, suggest, uncertainty

LABELS = ("calm", "wild")
SCORES = np.array([[0.95, 0.05], [0.5, 0.5], [0.1, 0.9], [0.6, 0.4], [0.9, 0.1]])
# Three alike, one of its own, and one between.
VECTORS = np.array([[1, 0], [1, 0.01], [1, -0.01], [-1, 0.1], [0, 1.0]])


def chosen(count=3, task="single_label", **how):
    found = suggest(SCORES, VECTORS, task=task, labels=LABELS, count=count, **how)
    return [each["index"] for each in found], found


def test_what_each_way_chooses():
    indices, found = chosen(by=["uncertain"])
    assert indices[:2] == [1, 3]
    assert found[0]["why"] == "entropy 1.00 of 1: calm 0.50, wild 0.50"
    indices, found = chosen(by=["diverse"])
    assert found[0]["why"] == "the most usual song" and indices[1:] == [3, 4]
    # Of songs that are known none is like the fourth, nor then the fifth.
    assert chosen(by=["diverse"], known=VECTORS[:1], count=2)[0] == [3, 4]
    indices, found = chosen(by=["extremes"])
    assert (
        indices == [0, 2, 4] and found[1]["why"] == "number 1 of the highest scores of wild: 0.90"
    )
    assert chosen(by=["extremes"], task="regression", count=4)[0] == [0, 2, 4, 1]
    indices, found = chosen(count=99)
    assert sorted(indices) == [0, 1, 2, 3, 4] and [each["by"] for each in found][:3] == list(WAYS)


def test_entropy_is_a_share_of_the_largest():
    sure = uncertainty(np.array([[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]]), task="single_label")
    np.testing.assert_allclose(sure, [0, 1], atol=1e-9)
    tags = uncertainty(np.array([[1.0, 0.0], [0.5, 0.5], [0.5, 1.0]]), task="multi_label")
    np.testing.assert_allclose(tags, [0, 1, 0.5], atol=1e-9)


def test_what_is_refused():
    def refused(match, **how):
        with pytest.raises(ValueError, match=match):
            chosen(**how)

    refused("by is 'certain'; allowed: uncertain, diverse, extremes", by=["certain"])
    refused("it is not known how sure they are", by=["uncertain"], task="regression")
    refused("by is empty", by=[])
    with pytest.raises(ValueError, match="has learnt no labels; take 'diverse'"):
        suggest(None, VECTORS, task="multi_label", labels=(), count=1, by=["uncertain"])


def test_without_a_choice_all_that_the_network_can_is_taken():
    ways = [each["by"] for each in chosen(count=4, task="regression")[1]]
    assert ways == ["diverse", "extremes"] * 2
    (found,) = suggest(None, VECTORS, task="multi_label", labels=(), count=1)
    assert found["by"] == "diverse"
