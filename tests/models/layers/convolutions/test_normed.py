"""A convolution and its batch norm as one: the values, averages and gradients of the two."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax.models.layers import blocks
from mclf_jax.models.layers.convolutions import normed

# Input; size, strides and padding of the kernel.
CASES = {
    "spectrogram": ((3, 9, 8, 1), (3, 3), (2, 1), None),
    "waveform": ((3, 31, 1), (3,), (3,), (0,)),
    "two channels": ((3, 9, 8, 2), (1, 4), (1, 1), (0, 2)),
}


class Layer(nn.Module):
    case: str

    @nn.compact
    def __call__(self, x, *, train):
        _, size, strides, padding = CASES[self.case]
        shape = {"kernel_size": size, "strides": strides, "padding": padding}
        return blocks.conv_norm(x, 40, **shape, names=("conv", "bn"), train=train)


@pytest.mark.parametrize("case", CASES)
def test_equal_to_one_behind_the_other(case, monkeypatch):
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        x = jnp.asarray(2 + rng.normal(size=CASES[case][0]))
        layer = Layer(case)

        def both(train):
            variables = layer.init(jax.random.key(0), x, train=train)
            variables["params"]["bn"] = {"scale": jnp.full(40, 1.5), "bias": jnp.full(40, -0.5)}
            variables = jax.tree.map(lambda value: value.astype(jnp.float64), variables)

            def energy(params, x):
                y, updates = layer.apply(
                    variables | {"params": params}, x, train=train, mutable=["batch_stats"]
                )
                return jnp.sin(y).sum(), (y, updates)

            gradient = jax.value_and_grad(energy, (0, 1), has_aux=True)
            return variables, gradient(variables["params"], x)

        at_once = both(True)
        assert at_once[0].keys() == both(False)[0].keys()
        monkeypatch.setattr(normed, "_NUMBERS", 0)
        separate = both(True)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-9), at_once, separate)
    moved = separate[1][0][1][1]["batch_stats"]["bn"]["mean"]
    assert np.abs(moved).max() > 0.1


def test_evaluation_is_what_it_was():
    layer, x = Layer("waveform"), jnp.ones(CASES["waveform"][0])
    variables = layer.init(jax.random.key(0), x, train=False)
    plain = nn.Conv(40, (3,), strides=(3,), padding="VALID").apply(
        {"params": variables["params"]["conv"]}, x
    )
    y = layer.apply(variables, x, train=False)
    np.testing.assert_array_equal(y, plain / jnp.sqrt(1 + 1e-5))
