"""Tall kernels: the values and the gradients of the usual convolution."""

import jax
import numpy as np
import pytest
from jax import lax

from mclf_jax.models.layers.convolutions.tall import tall_conv

PADDING = ((1, 1), (0, 0))


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("height", (1, 9, 12))
def test_gradients_are_those_of_the_usual_convolution(height):
    rng = np.random.default_rng(height)
    x, kernel = rng.normal(size=(2, 7, 12, 1)), rng.normal(size=(3, height, 1, 5))

    def energy(convolve):
        layout = ("NHWC", "HWIO", "NHWC")
        return lambda *given: (
            convolve(*given, (1, 1), PADDING, dimension_numbers=layout) ** 2
        ).sum()

    with jax.enable_x64(True):
        ours, usual = (
            jax.value_and_grad(energy(convolve), argnums=(0, 1))(x, kernel)
            for convolve in (tall_conv, lax.conv_general_dilated)
        )
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10), ours, usual)


def test_what_it_does_not_take():
    with pytest.raises(ValueError, match="got 2 channels"):
        tall_conv(np.ones((1, 7, 12, 2)), np.ones((3, 9, 2, 5)), (1, 1), PADDING)
