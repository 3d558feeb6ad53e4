"""LEAF begins as a mel spectrogram, and all of it learns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from mclf_jax.models.layers import leaf
from mclf_jax.models.layers.leaf import Leaf


def test_begins_as_a_mel_spectrogram():
    """The loudest band of a tone is that of its pitch; and where it is louder is more."""
    bands = Leaf(sample_rate_hz=4000, num_filters=20)
    t = np.arange(2000) / 4000
    tones = np.stack([np.sin(2 * np.pi * hz * t) for hz in (220, 440, 1200)]).astype("f4")
    tones[:, 1000:] *= 0.1
    variables = bands.init(jax.random.key(0), tones[:1, :200])
    found = np.asarray(jax.jit(bands.apply)(variables, tones))
    assert found.shape == (3, 50, 20)
    centres_hz = leaf.mel_gabor(20, sample_rate_hz=4000)["centre"] * 4000 / (2 * np.pi)
    loudest = centres_hz[found[:, 5:20].mean(axis=1).argmax(axis=1)]
    np.testing.assert_allclose(loudest, (220, 440, 1200), rtol=0.12)
    assert (np.diff(centres_hz) > 0).all()

    def energy(variables):
        return jnp.square(bands.apply(variables, tones)).sum()

    slopes = jax.jit(jax.grad(energy))(variables)["params"]
    assert len(slopes) == 7 and all(np.abs(slope).max() > 0 for slope in slopes.values())


@pytest.mark.parametrize(("total", "size", "hop"), [(20, 7, 3), (21, 3, 5), (9, 9, 2)])
def test_averages_are_a_convolution_whose_stride_is_the_hop(total, size, hop):
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((2, total, 4)), rng.standard_normal((size, 4))
    expected = lax.conv_general_dilated(
        x.astype("f4"),
        kernel[:, None].astype("f4"),
        (hop,),
        [(size // 2, size // 2)],
        dimension_numbers=("NHC", "HIO", "NHC"),
        feature_group_count=4,
    )
    np.testing.assert_allclose(leaf._averaged(x, kernel, hop=hop), expected, rtol=1e-5, atol=1e-5)


def test_the_running_mean_is_that_of_its_definition():
    x, smooth = np.random.default_rng(0).random((2, 9, 3)), np.array([0.1, 0.5, 1.0])
    mean = x[:, 0]
    found = leaf._moving_average(jnp.asarray(x, "float32"), jnp.asarray(smooth, "float32"))
    for t in range(9):
        mean = (1 - smooth) * mean + smooth * x[:, t]
        np.testing.assert_allclose(found[:, t], mean, rtol=1e-5)
