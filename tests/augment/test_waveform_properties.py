"""Whatever goes in, something finite of the same shape and type comes out, for every one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mclf_jax.augment.delivery.codecs import Mp3, Ogg
from mclf_jax.augment.delivery.compressor import Compressor
from mclf_jax.augment.distortions import BandDrop, Chop, Downsample
from mclf_jax.augment.filters import HighLowPass, HighPass, LowPass
from mclf_jax.augment.pitch import PitchShift, TimeStretch
from mclf_jax.augment.reverb import ImpulseResponse, Reverb, SoxReverb
from mclf_jax.augment.waveform import (
    BackgroundMix,
    Clipping,
    Delay,
    Gain,
    Noise,
    PolarityInversion,
    Reverse,
    Shift,
)

RATE_HZ = 8000
RECORDINGS = [np.sin(np.arange(50.0)), np.ones(7)]
AUGMENTATIONS = [
    Gain(),
    PolarityInversion(),
    Noise(),
    Noise(color="brown"),
    Noise(color=(-6.0, 6.0)),
    BackgroundMix(RECORDINGS),
    Clipping(),
    Delay(RATE_HZ, delays_s=(0.0, 0.002, 0.2)),
    Reverse(),
    Shift(),
    Shift(edges="zeros"),
    LowPass(RATE_HZ),
    HighPass(RATE_HZ),
    HighLowPass(RATE_HZ),
    PitchShift(RATE_HZ),
    TimeStretch(n_fft=256),
    Reverb(RATE_HZ, max_decay_s=0.3),
    SoxReverb(RATE_HZ),
    ImpulseResponse(RECORDINGS),
    Chop(RATE_HZ, durations_s=((0.002, 0.001),)),
    Downsample(RATE_HZ, rates_hz=(2000.0, 3000.0)),
    Downsample(RATE_HZ, rates_hz=(3000.0, 5000.0), interpolation="hold"),
    BandDrop(RATE_HZ),
    Compressor(RATE_HZ),
]
ENCODERS = [Mp3(RATE_HZ), Ogg(RATE_HZ)]  # by libsndfile, so in numpy alone
KINDS = {
    "silence": lambda shape, rng: np.zeros(shape),
    "full scale": lambda shape, rng: np.sign(rng.standard_normal(shape)),
    "constant": lambda shape, rng: np.full(shape, -0.7),
    "click": lambda shape, rng: np.eye(1, int(np.prod(shape))).reshape(shape),
    "faint": lambda shape, rng: 1e-20 * rng.standard_normal(shape),
    "noise": lambda shape, rng: 0.1 * rng.standard_normal(shape),
}
kinds, seeds = st.sampled_from(sorted(KINDS)), st.integers(0, 2**32 - 1)


def check(x, y):
    assert y.shape == x.shape and y.dtype == x.dtype
    assert np.isfinite(np.asarray(y, np.float64)).all()
    assert np.abs(np.asarray(y, np.float64)).max() < 100


@pytest.mark.parametrize("augmentation", AUGMENTATIONS + ENCODERS, ids=repr)
@settings(max_examples=12)
@given(
    kind=kinds,
    shape=st.lists(st.integers(1, 3), max_size=2).flatmap(
        lambda batch: st.sampled_from([1, 2, 3, 100, 1009]).map(lambda t: (*batch, t))
    ),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    seed=seeds,
)
def test_numpy(augmentation, kind, shape, dtype, seed):
    x = KINDS[kind](shape, np.random.default_rng(seed)).astype(dtype)
    before = x.copy()
    y = augmentation(np.random.default_rng(seed), x)
    check(x, y)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(augmentation(np.random.default_rng(seed), x), y)


COMPILED = {repr(a): jax.jit(a) for a in AUGMENTATIONS}


@pytest.mark.parametrize("augmentation", AUGMENTATIONS, ids=repr)
@pytest.mark.parametrize(("shape", "dtype"), [((2, 3, 300), jnp.bfloat16), ((1,), jnp.float32)])
@settings(max_examples=6)
@given(kind=kinds, seed=seeds)
@pytest.mark.slow_beyond(6)
def test_jitted(augmentation, shape, dtype, kind, seed):
    x = jnp.asarray(KINDS[kind](shape, np.random.default_rng(seed)), dtype)
    check(x, COMPILED[repr(augmentation)](jax.random.key(seed), x))


@pytest.mark.parametrize(
    "augmentation",
    [a for a in AUGMENTATIONS + ENCODERS if not isinstance(a, (PolarityInversion, Reverse))],
    ids=repr,
)
def test_each_example_has_its_own_draw(augmentation):
    x = np.tile(KINDS["noise"]((2000,), np.random.default_rng(0)), (16, 1)).astype(np.float32)
    y = augmentation(np.random.default_rng(0), x)
    assert len(np.unique(np.round(y, 4), axis=0)) > 1
