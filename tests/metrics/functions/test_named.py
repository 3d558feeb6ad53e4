"""The names that `eval.metrics` takes."""

import numpy as np
import pytest

from mclf_jax import metrics
from mclf_jax.metrics import outside
from mclf_jax.metrics.functions import named
from tests.metrics.test_compute import random_songs


def test_values_by_name():
    scores, targets, labels = random_songs("multi_label")
    names = ("lwlrap", "map_at_3", "f0.5_macro", "f1_micro", "pr_auc_minimum_macro", "exact_match")
    found = outside.values(names, scores, targets, labels=labels)
    assert list(found) == list(names)
    assert found["map_at_3"] == metrics.map_at_k(scores, targets, k=3)
    assert found["f0.5_macro"] == metrics.f_beta(scores, targets, beta=0.5)
    # Those that `compute` gives, too, are the same to the last bit.
    of_task = metrics.compute("multi_label", scores, targets, labels=labels).values
    assert outside.values(tuple(of_task), scores, targets, labels=labels) == of_task
    scores, targets, labels = random_songs("single_label")
    found = outside.values(("top_2_accuracy", "balanced_accuracy"), scores, targets, labels=labels)
    assert 0 < found["balanced_accuracy"] < found["top_2_accuracy"] < 1


def test_every_name_of_the_list_is_one():
    example = {"K": "5", "AVERAGE": "weighted", "BETA": "2"}
    for name in named.NAMES:
        for word, value in example.items():
            name = name.replace(word, value)
        assert named.find(name) is not None, name
    directions = outside.directions(("mae", "ccc", "top_5_accuracy"))
    assert directions == {"mae": "min", "ccc": "max", "top_5_accuracy": "max"}


@pytest.mark.parametrize("name", ["top_0_accuracy", "f0_macro", "recall_none", "lrap"])
def test_others_are_refused_with_those_that_there_are(name):
    with pytest.raises(ValueError, match=f"eval.metrics is '{name}'.*top_K_accuracy"):
        outside.values([name], np.ones((1, 1)), np.ones((1, 1)), labels=["a"])
