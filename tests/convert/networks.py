"""Every architecture in a small size, as the weights of a PyTorch checkpoint."""

import functools
from typing import Any

import jax
import numpy as np

from mclf_jax import models
from mclf_jax.convert.to_torch import to_torch
from tests.models.reference import state_dict

SMALL: dict[str, dict[str, Any]] = {name: {"n_channels": 4} for name in models.ARCHITECTURES} | {
    "mobilenet": {"hidden_size": 128},
    "musicfm": {"conv_channels": 4, "attention_dim": 64, "num_layers": 2},
    "musicnn": {"n_channels": 3, "backend_channels": 5, "dense_units": 6},
    "music_tagging_transformer": {"conv_channels": 4, "attention_dim": 16, "num_layers": 2},
    "rvq": {"num_stages": 2, "num_codes": 16},
    "vit": {"attention_dim": 64, "num_layers": 2, "patch": (16, 16)},
}


def small_model(name: str, **arguments: Any) -> models.Model:
    return models.build(name, num_labels=3, **SMALL[name] | arguments)


def small_weights(name: str, **arguments: Any) -> dict[str, np.ndarray]:
    """Deterministic float64 values under the published keys, without what is not learnt."""
    return {key: array.copy() for key, array in _weights(small_model(name, **arguments)).items()}


@functools.cache
def _weights(model):
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    arrays = to_torch(model, jax.tree.map(lambda leaf: np.zeros(leaf.shape), shapes))
    return state_dict({key: array.shape for key, array in arrays.items() if is_learnt(key)})


def is_learnt(key: str) -> bool:
    return not key.endswith((".window", ".fb", ".num_batches_tracked"))
