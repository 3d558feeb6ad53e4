"""Transforms as products are the transforms, and only where they are asked for."""

import jax
import numpy as np
import pytest

from mclf_jax.audio import fourier
from mclf_jax.audio.features import CQT, Mfcc


@pytest.mark.parametrize("n", [1, 50, 127, 131, 512, 1000, 2049])
def test_products_are_the_transform(n):
    x = np.random.default_rng(n).standard_normal((2, 3, n)).astype(np.float32)
    with fourier.as_products():
        found = fourier.rfft(jax.numpy.asarray(x))
        programs = str(jax.make_jaxpr(fourier.rfft)(x))
    wanted = np.fft.rfft(x.astype(np.float64))
    np.testing.assert_allclose(found, wanted, atol=2e-6 * n)
    assert "fft" not in programs and "fft" in str(jax.make_jaxpr(fourier.rfft)(x))


@pytest.mark.parametrize("features", [CQT(num_bins=24, sample_rate_hz=4000), Mfcc(n_fft=600)])
def test_features_are_the_same_by_products(features):
    x = np.random.default_rng(0).standard_normal((2, 8000)).astype(np.float32)
    with fourier.as_products():
        found = jax.jit(features.__call__)(x)
        assert " fft[" not in str(jax.make_jaxpr(features.__call__)(x))
    np.testing.assert_allclose(found, features(x), atol=2e-3)
