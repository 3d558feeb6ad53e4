"""Small bundles with weights that nobody trained, and songs for them."""

import functools

import jax
import numpy as np
import pytest
from jax._src import core

from mclf_jax.export.bundle import Bundle
from tests.small_run import LOG_MEL, small_model

# jax2onnx 0.17 reads what JAX 0.12 no longer has.
with_onnx = pytest.mark.skipif(
    not hasattr(core, "ClosedJaxpr"), reason=f"jax2onnx does not go with JAX {jax.__version__}"
)
RATE_HZ = LOG_MEL["sample_rate_hz"]


@functools.cache
def _drawn(num_labels, seed):
    model = small_model(num_labels=num_labels)
    return model, jax.jit(model.init)(jax.random.key(seed))


def small_bundle(*, seed=0, task="multi_label", labels=("low", "high"), **fields) -> Bundle:
    """Of `small_run.small_model`, with statistics of features so that scores are not all alike."""
    model, variables = _drawn(max(1, len(labels)), seed)
    variables = jax.tree.map(lambda leaf: leaf, variables)  # its own dictionaries
    variables["batch_stats"]["spec_bn"] = {"mean": np.full(1, -40.0), "var": np.full(1, 400.0)}
    fields = {"num_windows": 2, "hop_s": None, "short": "tile"} | fields
    return Bundle((model,), (variables,), task=task, labels=tuple(labels), **fields)


def song(*, num_samples=1200, seed=0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(num_samples)
    return (0.1 * noise).astype(np.float32)
