"""What a step computes, counted, and the share of a chip that it is."""

import types

import jax
import jax.numpy as jnp
import pytest

from mclf_jax.train import setup
from mclf_jax.train.spending.flops import step_flops, utilisation
from tests.tiny import tiny_config


def test_products_are_counted_forwards_and_backwards_and_traced_once():
    calls = []

    def step(w, x):
        calls.append(1)
        return jax.grad(lambda w: (x @ w).sum())(w)

    jitted, w, x = jax.jit(step), jnp.ones((3, 5)), jnp.ones((2, 3))
    # x w, and the gradient x^T 1; none with respect to x.
    assert step_flops(jitted, w, x) == 2 * (2 * 2 * 3 * 5)
    jitted(w, x)
    assert calls == [1]


def test_what_is_computed_again_to_save_memory_is_no_work():
    counts = {}
    for remat in ("none", "blocks"):
        run = setup.build(tiny_config(model__remat=remat))
        batch = run.batches()[0]
        run.take_failed(batch)
        state = jax.eval_shape(run.initial_state)
        counts[remat] = [
            step_flops(jax.jit(one.steps()[0]), state, batch) for one in (run, run.without_remat())
        ]
    assert counts["none"][0] == counts["none"][1] == counts["blocks"][1] < counts["blocks"][0]


def test_utilisation_is_known_where_the_peak_is():
    def devices(kind):
        return [types.SimpleNamespace(device_kind=kind)] * 2

    assert utilisation(1e14, devices("TPU v5 lite"))["utilisation"] == pytest.approx(
        0.5e14 / 197e12
    )
    assert utilisation(1e14, devices("NVIDIA H200"))["utilisation"] == pytest.approx(
        0.5e14 / 989.4e12
    )
    assert utilisation(1e14, jax.devices()) == {}
