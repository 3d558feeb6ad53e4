"""Wrappings of a state_dict, of any name and depth, what is beside it, and what is none."""

import numpy as np
import pytest

from mclf_jax.convert.from_torch import from_torch
from mclf_jax.convert.locate import locate
from mclf_jax.convert.unwrap import expected_keys, unwrap
from tests.convert.networks import small_weights

WEIGHTS = small_weights("fcn")


def prefixed(prefix, arrays=WEIGHTS):
    return {f"{prefix}{key}": array for key, array in arrays.items()}


def as_modules(arrays):
    """{"layer1": {"conv": {"weight": ...}}}"""
    tree = {}
    for key, array in arrays.items():
        *modules, leaf = key.split(".")
        branch = tree
        for module in modules:
            branch = branch.setdefault(module, {})
        branch[leaf] = array
    return tree


OTHER = {key: array + 1 for key, array in WEIGHTS.items()}
MOMENTS = {"state": {0: {"step": 9, "exp_avg": np.ones((4, 1, 3, 3))}}, "param_groups": [{}]}
WRAPPED = {
    "net.": (prefixed("net."), ()),
    "module.model.net.": (prefixed("module.model.net."), ()),
    "any name.0.": (prefixed("any name.0."), ()),
    "a dot in front": (prefixed("."), ()),
    "most of the keys": (prefixed("net.") | {"epoch": 3, "net.step": np.array(3)}, None),
    "a dictionary": ({"net": WEIGHTS, "epoch": 3}, ("epoch",)),
    "dictionaries": ({"a": {"b": {"c": prefixed("d.")}, "lr": 0.1}}, ("a.lr",)),
    "modules": (as_modules(WEIGHTS), ()),
    "modules in one": ({"params": as_modules(WEIGHTS), "optimizer": MOMENTS}, ("optimizer",)),
    "beside the keys": (WEIGHTS | {"optimizer": MOMENTS, "epoch": 3}, ("optimizer", "epoch")),
    "an optimiser": ({"weights": WEIGHTS, "optimizer": MOMENTS}, ("optimizer",)),
    "a teacher": ({"student": WEIGHTS, "teacher": OTHER}, ("teacher",)),
    "a teacher of one name": (
        prefixed("student.") | prefixed("teacher.", OTHER),
        ("teacher.*",),
    ),
    "a mean": ({"model": WEIGHTS, "model_ema": OTHER}, ("model_ema",)),
    "momentum": (prefixed("m.encoder_q.") | prefixed("m.encoder_k.", OTHER), ("m.encoder_k.*",)),
    "the usual name": ({"best": OTHER, "state_dict": prefixed("encoder.0.")}, ("best",)),
    "twice the same": (
        prefixed("net.") | prefixed("module.net."),
        ("module.net.* (the same weights again)",),
    ),
}


@pytest.mark.parametrize("case", WRAPPED)
def test_any_wrapping_is_taken_off_and_what_is_beside_is_named(case):
    wrapped, left_out = WRAPPED[case]
    if left_out is None:
        with pytest.raises(ValueError, match="unknown: step"):
            from_torch("fcn", wrapped)
        return
    found = unwrap("fcn", wrapped)
    assert found.left_out == left_out
    assert found.arrays.keys() == WEIGHTS.keys()
    for key, array in WEIGHTS.items():
        np.testing.assert_array_equal(found.arrays[key], array)


def test_other_keys_are_named_with_those_that_were_expected():
    with pytest.raises(ValueError) as error:
        unwrap("fcn", {f"features.{i}.weight": np.ones(3) for i in range(20)})
    assert str(error.value) == (
        f"weights: none of the {len(expected_keys('fcn'))} keys of this network, such as "
        "dense.bias, dense.weight, layer1.bn.bias and 33 more, is among the 20 that were found, "
        "such as features.0.weight, features.1.weight, features.2.weight and 17 more"
    )


def test_two_networks_are_not_chosen_between():
    with pytest.raises(ValueError, match="such networks are there as a., b.: save one"):
        unwrap("fcn", {"a": WEIGHTS, "b": OTHER})
    with pytest.raises(ValueError, match="unknown: b.dense.bias"):
        from_torch("fcn", prefixed("a.") | prefixed("b.", OTHER))
    both = prefixed("net.") | {"dense.bias": np.ones(3)}
    with pytest.raises(ValueError, match=r"unknown: dense.bias \(outside of net.\)"):
        from_torch("fcn", both)


def test_dictionaries_that_hold_themselves_or_too_much():
    loop = {"weights": dict(WEIGHTS)}
    loop["again"] = loop["weights"]["again"] = loop
    assert unwrap("fcn", loop).arrays.keys() == WEIGHTS.keys()
    many = {}
    for _ in range(40):  # of which there are 2^40 ways down
        many = {"a": many, "b": many}
    assert unwrap("fcn", {"x": many, "w": WEIGHTS}).left_out == ("x",)
    with pytest.raises(ValueError, match="x: more than 100000 names"):
        locate({str(i): np.ones(()) for i in range(100_001)}, (), origin="x")
    with pytest.raises(ValueError, match="x: a.b is there twice"):
        locate({"a": {"b": np.ones(1)}, "a.b": np.ones(2)}, (), origin="x")
