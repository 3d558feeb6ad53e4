"""Where a Linen variable lies in a PyTorch state_dict: the rule of both directions.

Submodules are named as in the published checkpoints and kernels have their axes laid out in
reverse, so one rule serves every layer: join the path with dots, rename the leaf, transpose.
"""

from collections.abc import Sequence
from typing import Any

_LEAVES = {
    ("params", "kernel"): "weight",
    ("params", "scale"): "weight",
    ("batch_stats", "mean"): "running_mean",
    ("batch_stats", "var"): "running_var",
}


def torch_key(path: Sequence[str]) -> str:
    """ "layer1.conv.weight" of ("params", "layer1", "conv", "kernel").

    Other leaves than kernels and those of normalisation keep their name: "bias", and what
    PyTorch itself keeps outside of layers, such as "weight_ih_l0" or "cls_token".
    """
    collection, *modules, leaf = path
    return ".".join([*modules, _LEAVES.get((collection, leaf), leaf)])


def turn(path: Sequence[str], array: Any) -> Any:
    """The array of a variable in the layout of the other library.

    (out, in, frequency, time) <-> (time, frequency, in, out) for kernels, and likewise for
    dense layers; everything else is the same in both.
    """
    return array.transpose() if path[-1] == "kernel" else array


def torch_shape(path: Sequence[str], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that PyTorch has for a variable of this shape."""
    return shape[::-1] if path[-1] == "kernel" else shape
