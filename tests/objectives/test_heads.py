"""Heads have the published layers, by name and by number of parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax.objectives import heads
from mclf_jax.objectives.heads import MLP

KEY = jax.random.key(0)


def count(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def fresh(head, num_inputs=512):
    """Shapes of (params, state), without computing them."""
    return jax.eval_shape(lambda key: heads.init(head, key, num_inputs=num_inputs), KEY)


def test_projector_of_clmr():
    params, state = fresh(MLP((512, 64), use_bias=False))
    assert list(params) == ["0", "2"]
    assert (count(params), state) == (294_912, {})
    assert count(fresh(MLP((512, 128), use_bias=False))[0]) == 327_680


@pytest.mark.slow
def test_projector_of_byol():
    params, state = fresh(MLP((4096, 256), norm="batch_norm"))
    assert list(params) == ["0", "1", "3"]
    assert count(params) == 512 * 4096 + 3 * 4096 + 4096 * 256 + 256
    assert state["batch_stats"]["1"]["mean"].shape == (4096,)


@pytest.mark.slow
def test_layers_do_what_they_say():
    x = np.random.default_rng(1).standard_normal((8, 3, 5)).astype("f4")
    head = MLP((6, 4), norm="batch_norm", final_norm="layer_norm", final_activation="tanh")

    @jax.jit
    def run(x):
        params, state = heads.init(head, KEY, num_inputs=5)
        return params, state, *heads.apply(head, params, state, x, mode="train")

    params, state, y, new_state = jax.device_get(run(x))

    hidden = np.asarray(x, "f8") @ params["0"]["kernel"] + params["0"]["bias"]
    mean, variance = hidden.mean((0, 1)), hidden.var((0, 1))
    hidden = np.maximum((hidden - mean) / np.sqrt(variance + 1e-5), 0)
    out = hidden @ params["3"]["kernel"] + params["3"]["bias"]
    out -= out.mean(-1, keepdims=True)
    expected = np.tanh(out / np.sqrt((out**2).mean(-1, keepdims=True) + 1e-3))
    np.testing.assert_allclose(y, expected, atol=1e-5)
    np.testing.assert_allclose(new_state["batch_stats"]["1"]["mean"], 0.1 * mean, atol=1e-6)

    def evaluated(x):
        y, unchanged = heads.apply(head, params, state, x, mode="evaluate")
        assert unchanged is state
        return y

    jax.eval_shape(evaluated, x)


def test_no_layers_at_all():
    params, state = fresh(MLP(()))
    x = jnp.ones((2, 512))
    assert (params, state) == ({}, {})
    np.testing.assert_array_equal(heads.apply(MLP(()), {}, {}, x, mode="train")[0], x)
