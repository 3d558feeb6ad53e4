"""Decibels and PCEN against librosa, normalisations against their definition."""

import functools

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from mclf_jax.audio.compress import amplitude_to_db, min_max, pcen, power_to_db, standardize

ENERGY = np.random.default_rng(0).gamma(0.3, size=(2, 300, 12)).astype(np.float32)
LOUD = ENERGY * 2.0**31


@pytest.mark.parametrize("top_db", [None, 80.0, 20.0])
@pytest.mark.parametrize("ref", [1.0, 0.05, "max"])
def test_decibels_equal_librosa(ref, top_db):
    power = ENERGY[0] * 10.0 ** np.linspace(-12, 3, 300, dtype=np.float32)[:, None]
    settings = {"ref": np.max if ref == "max" else ref, "top_db": top_db}
    expected = librosa.power_to_db(power, amin=1e-8, **settings)
    for array in (power, jnp.asarray(power)):
        found = power_to_db(array, ref=ref, amin=1e-8, top_db=top_db)
        np.testing.assert_allclose(found, expected, atol=1e-4)
    magnitude = np.sqrt(power)
    expected = librosa.amplitude_to_db(magnitude, amin=1e-4, **settings)
    found = amplitude_to_db(magnitude, ref=ref, amin=1e-4, top_db=top_db)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_loudest_point_is_that_of_each_example():
    both = np.stack([ENERGY[0], 1e-4 * ENERGY[0]])
    found = power_to_db(both, ref="max", top_db=30.0)
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)
    assert found.max() == 0 and found.min() == -30


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"sample_rate_hz": 16000, "hop_length": 256, "time_constant_s": 0.06},
        {"gain": 0.5, "bias": 10.0, "power": 0.25, "eps": 1e-3, "time_constant_s": 2.0},
    ],
)
def test_pcen_equals_librosa(settings):
    settings = {"sample_rate_hz": 22050, "hop_length": 512, **settings}
    names = {"sample_rate_hz": "sr", "time_constant_s": "time_constant"}
    expected = librosa.pcen(
        LOUD.astype(np.float64), axis=1, **{names.get(k, k): v for k, v in settings.items()}
    )
    for array in (LOUD, jnp.asarray(LOUD), LOUD.astype(np.float64)):
        found = pcen(array, **settings)
        assert found.dtype == array.dtype
        np.testing.assert_allclose(found, expected, atol=1e-4 * expected.max())


def test_pcen_forgets_and_takes_any_number_of_frames():
    settings = {"sample_rate_hz": 16000, "hop_length": 256, "time_constant_s": 0.05}
    long = np.tile(LOUD[0], (40, 1))
    np.testing.assert_allclose(
        pcen(long[6000:], **settings)[300:], pcen(long, **settings)[6300:], rtol=1e-4
    )
    for count in (1, 2, 3):
        np.testing.assert_allclose(
            pcen(long[:count], **settings), pcen(long, **settings)[:count], rtol=1e-5
        )


@pytest.mark.slow
def test_pcen_has_finite_gradients_at_silence():
    def total(x):
        return pcen(x, sample_rate_hz=16000, hop_length=256).sum()

    assert np.isfinite(jax.jit(jax.grad(total))(np.zeros((50, 4), "f4"))).all()


def test_normalisations():
    x = 40 * ENERGY - 80
    standard, ranged = standardize(x), min_max(x)
    np.testing.assert_allclose(standard.mean(axis=(1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(standard.std(axis=(1, 2)), 1, atol=1e-5)
    np.testing.assert_array_equal(ranged.min(axis=(1, 2)), 0)
    np.testing.assert_array_equal(ranged.max(axis=(1, 2)), 1)
    # Each example for itself, and neither level nor unit matter.
    np.testing.assert_allclose(standardize(x[:1] * 1e-6)[0], standard[0], atol=1e-4)
    np.testing.assert_allclose(min_max(x[1:] + 3)[0], ranged[1], atol=1e-5)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("normalize", [standardize, min_max])
@pytest.mark.parametrize("level", [0.0, -100.0, 1e-9, 3e4])
def test_a_constant_becomes_zero(normalize, level):
    x = np.full((2, 231, 128), level, np.float32)
    np.testing.assert_allclose(normalize(x), 0, atol=0.05)
    value, gradient = _value_and_gradient(normalize)(x)
    np.testing.assert_allclose(value, 0, atol=0.05)
    assert np.isfinite(gradient).all()


@functools.cache
def _value_and_gradient(normalize):
    return jax.jit(lambda x: (normalize(x), jax.grad(lambda x: normalize(x).sum())(x)))
