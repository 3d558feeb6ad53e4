"""One kernel a channel: the values and the gradients of the usual convolution."""

import jax
import numpy as np
import pytest
from jax import lax

from mclf_jax.models.layers.convolutions.depthwise import depthwise_conv

CASES = [
    ((2, 9, 5), (4,), (1,), ((1, 2),)),
    ((2, 9, 8, 5), (5, 3), (2, 2), ((2, 2), (1, 1))),
    ((2, 10, 9, 5), (3, 3), (2, 1), ((0, 1), (0, 0))),
]


@pytest.mark.parametrize(("shape", "size", "strides", "padding"), CASES)
def test_is_the_usual_convolution(shape, size, strides, padding):
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal(shape), rng.standard_normal((*size, 1, shape[-1]))
    layout = ("NHC", "HIO", "NHC") if len(size) == 1 else ("NHWC", "HWIO", "NHWC")
    settings = {"dimension_numbers": layout, "feature_group_count": shape[-1]}

    def energy(convolve):
        return jax.jit(
            jax.value_and_grad(
                lambda *given: (convolve(*given, strides, padding, **settings) ** 3).sum(),
                argnums=(0, 1),
            )
        )

    with jax.enable_x64(True):
        ours, usual = (energy(f)(x, kernel) for f in (depthwise_conv, lax.conv_general_dilated))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9), ours, usual)


def test_what_it_does_not_take():
    with pytest.raises(ValueError, match="got 2 channels and kernels of \\(3, 1, 4\\)"):
        depthwise_conv(np.ones((1, 7, 2)), np.ones((3, 1, 4)), (1,), ((1, 1),))
