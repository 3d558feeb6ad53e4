"""PyTorch weights in: a state_dict of arrays becomes Linen variables.

Submodules are named as in the published checkpoints and axes are laid out in reverse, so
one rule serves every layer: split the key at its dots, transpose, rename the leaf.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mclf_jax import models

# A network's own constants, which this project computes from its settings instead.
_CONSTANTS = ("spec.", "melspec.", "amplitude_to_db.")


def from_torch(name: str, state_dict: Mapping[str, Any], **arguments: Any) -> dict[str, Any]:
    """Variables of the model `name` from a PyTorch state_dict under its public keys.

    Args:
        name: one of `models.ARCHITECTURES`.
        state_dict: key -> array; anything that `numpy.asarray` takes.
        **arguments: of `models.build`; `num_labels` is read off the last layer.

    Returns:
        {"params": ..., "batch_stats": ...} for `Model.apply`, in the precision of the arrays.

    Raises:
        ValueError: keys are unknown or missing, or have another shape; all are listed.
    """
    arrays = {
        key: np.asarray(value)
        for key, value in state_dict.items()
        if not key.startswith(_CONSTANTS) and not key.endswith("num_batches_tracked")
    }
    heads = [value for key, value in arrays.items() if key.endswith("weight") and value.ndim == 2]
    if not heads:
        raise ValueError(f"no dense layer among the {len(arrays)} arrays given for {name!r}")
    model = models.build(name, num_labels=heads[-1].shape[0], **arguments)
    expected = jax.eval_shape(model.init, jax.random.key(0))
    leaves, tree = jax.tree_util.tree_flatten_with_path(expected)

    found, problems = [], []
    for path, leaf in leaves:
        key = _torch_key(tuple(str(part.key) for part in path))
        array = arrays.pop(key, None)
        if array is None:
            problems.append(f"missing: {key}")
            continue
        array = _reverse(array)
        if array.shape != leaf.shape:
            problems.append(f"{key}: got {array.shape[::-1]}, need {leaf.shape[::-1]}")
        found.append(jnp.asarray(array))
    problems += [f"unknown: {key}" for key in arrays]
    if problems:
        raise ValueError(f"these weights do not fit {name!r}:\n  " + "\n  ".join(problems))
    return jax.tree_util.tree_unflatten(tree, found)


def _reverse(array: np.ndarray) -> np.ndarray:
    """(out, in, frequency, time) -> (time, frequency, in, out), and likewise for dense layers."""
    return array.transpose(*range(array.ndim)[::-1])


def _torch_key(path: tuple[str, ...]) -> str:
    collection, *modules, leaf = path
    if collection == "batch_stats":
        leaf = {"mean": "running_mean", "var": "running_var"}[leaf]
    else:
        leaf = {"kernel": "weight", "scale": "weight", "bias": "bias"}[leaf]
    return ".".join([*modules, leaf])
