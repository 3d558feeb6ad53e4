"""The published chains: order, probability and range of each step, as the reference has them."""

import jax
import numpy as np
import pytest

from mclf_jax import augment
from mclf_jax.augment import PRESETS

RATE_HZ = 16000
# torchaudio-augmentations 0.2.4: order and probability of each chain after the random crop.
PUBLISHED = {
    "clmr": [
        ("PolarityInversion", 0.8),
        ("Noise", 0.01),
        ("Gain", 0.3),
        ("HighLowPass", 0.8),
        ("Delay", 0.3),
        ("PitchShift", 0.6),
        ("SoxReverb", 0.6),
    ],
    "tutorial": [
        ("PolarityInversion", 0.8),
        ("Noise", 0.3),
        ("Gain", 0.2),
        ("HighLowPass", 0.8),
        ("Delay", 0.5),
        ("PitchShift", 0.4),
        ("SoxReverb", 0.3),
    ],
}
PUBLISHED["musicnn_noisy_student"] = PUBLISHED["tutorial"]
# Ratio of the amplitudes of noise and signal, as its arguments min_snr and max_snr say.
NOISE = {"clmr": (1e-4, 1e-2), "tutorial": (0.3, 0.5), "musicnn_noisy_student": (0.3, 0.5)}


def steps(name):
    return {
        type(step.augmentations[0]).__name__: step.augmentations[0]
        for step in PRESETS[name](RATE_HZ).augmentations
    }


def test_all_are_here():
    # That of PASE+ is not of this family; tests/augment/test_distortions.py has it.
    assert set(PRESETS) == {*PUBLISHED, "pase_plus"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_order_and_probabilities(name):
    chain = PRESETS[name](RATE_HZ)
    found = [(type(s.augmentations[0]).__name__, s.p) for s in chain.augmentations]
    assert found == PUBLISHED[name]
    assert all(isinstance(s, augment.RandomApply) for s in chain.augmentations)
    assert eval(repr(chain), vars(augment)) == chain


@pytest.mark.parametrize("name", PUBLISHED)
def test_ranges(name):
    chain = steps(name)
    assert (chain["Gain"].min_db, chain["Gain"].max_db) == (-20, -1)
    assert chain["HighLowPass"].high_pass_hz == (200, 1200)
    assert chain["HighLowPass"].low_pass_hz == (2200, 4000)
    assert chain["Delay"].delays_s == (0.2, 0.25, 0.3, 0.35, 0.4, 0.45)
    assert chain["Delay"].volume == 0.5
    assert (chain["PitchShift"].min_semitones, chain["PitchShift"].max_semitones) == (-7, 7)
    room = chain["SoxReverb"]
    assert (room.max_reverberance, room.max_damping, room.max_room_scale) == (99, 99, 99)
    for step in ("HighLowPass", "Delay", "PitchShift", "SoxReverb"):
        assert chain[step].sample_rate_hz == RATE_HZ


@pytest.mark.parametrize("name", PUBLISHED)
def test_noise_has_the_published_ratio(name):
    x = np.random.default_rng(0).standard_normal((50, 4000)).astype(np.float32)
    noisy = steps(name)["Noise"](np.random.default_rng(1), x)
    ratio = (noisy - x).std(axis=1) / x.std(axis=1)
    low, high = NOISE[name]
    assert low * 0.97 <= ratio.min() < low * (high / low) ** 0.2
    assert high * 1.03 >= ratio.max() > high * (low / high) ** 0.2


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("module", ["numpy", "jax"])
@pytest.mark.slow_beyond(2)
def test_a_batch_goes_through(name, module):
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (6, RATE_HZ)).astype(np.float32)
    x[5] = 0
    chain = PRESETS[name](RATE_HZ)
    if module == "numpy":
        y = chain(np.random.default_rng(1), x)
    else:
        y = np.asarray(jax.jit(chain)(jax.random.key(1), x))
    assert y.shape == x.shape and y.dtype == x.dtype
    assert np.isfinite(y).all() and (y[5] == 0).all()
    assert (y[:5] != x[:5]).any(axis=1).all()


def test_too_low_a_rate_is_said():
    with pytest.raises(ValueError, match="low_pass_hz"):
        PRESETS["clmr"](4000)
