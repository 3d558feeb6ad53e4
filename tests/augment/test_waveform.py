"""Gain, noise, delay and the like: right to the decibel and the sample, each example its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax.augment import waveform
from mclf_jax.augment.reverb import Reverb
from mclf_jax.augment.waveform import (
    BackgroundMix,
    Clipping,
    Delay,
    Gain,
    Noise,
    PolarityInversion,
    RandomCrop,
    Reverse,
    Shift,
)

RATE_HZ = 16000


def compiled(augmentation, key):
    return augmentation if isinstance(key, np.random.Generator) else jax.jit(augmentation)


def keys():
    return [np.random.default_rng(0), jax.random.key(0)]


def music(*shape, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def db(ratio):
    return 10 * np.log10(ratio)


@pytest.mark.parametrize("key", keys())
def test_gain_is_drawn_within_its_range_for_each_example(key):
    x = music(64, 100)
    change = np.asarray(compiled(Gain(-18, 6), key)(key, x)) / x
    np.testing.assert_allclose(change, np.broadcast_to(change[:, :1], x.shape), rtol=1e-4)
    change_db = 20 * np.log10(change[:, 0])
    assert -18 <= change_db.min() < -14 and 2 < change_db.max() <= 6


def test_gain_core_is_decibels():
    np.testing.assert_allclose(waveform.gain(np.ones(3), -20.0), 0.1)


@pytest.mark.parametrize("key", keys())
def test_polarity_and_reverse(key):
    x = music(2, 50)
    np.testing.assert_array_equal(PolarityInversion()(key, x), -x)
    np.testing.assert_array_equal(Reverse()(key, x), x[:, ::-1])


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("key", keys())
@pytest.mark.parametrize("color", ["white", "brown", (-3.0, 4.0)])
def test_noise_is_at_the_drawn_ratio_and_differs_between_examples(key, color):
    x = music(3, 2, 8000) * np.array([1.0, 0.01])[:, None]
    for snr_db in (-3.0, 20.0):
        noise = np.asarray(compiled(Noise(snr_db, snr_db, color), key)(key, x)) - x
        measured = db((x**2).mean(-1) / (noise**2).mean(-1))
        np.testing.assert_allclose(measured, snr_db, atol=0.1)
        assert np.abs(np.corrcoef(noise.reshape(6, -1)) - np.eye(6)).max() < 0.9


@pytest.mark.parametrize("key", keys())
def test_noise_ratios_fill_their_range(key):
    x = music(64, 500)
    noise = np.asarray(compiled(Noise(5, 40), key)(key, x)) - x
    snr_db = db((x**2).mean(-1) / (noise**2).mean(-1))
    assert 4.9 < snr_db.min() < 9 and 36 < snr_db.max() < 40.1


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("key", keys())
@pytest.mark.parametrize("color", ["white", "pink", "brown", "blue", "violet"])
def test_colored_noise_has_its_slope(key, color):
    x = np.ones((8, 1 << 15), np.float32)
    noise = np.asarray(compiled(Noise(0, 0, color), key)(key, x)) - x
    power = (np.abs(np.fft.rfft(noise)) ** 2).mean(0)
    octaves_db = [db(power[2**k : 2 ** (k + 1)].mean()) for k in range(5, 14)]
    slope = np.polyfit(range(9), octaves_db, 1)[0]
    assert slope == pytest.approx(waveform.COLORS_DB_PER_OCTAVE[color], abs=0.3)


@pytest.mark.slow
@pytest.mark.parametrize("key", keys())
def test_noise_leaves_silence_silent(key):
    x = np.zeros((2, 100), np.float32)
    np.testing.assert_array_equal(compiled(Noise(), key)(key, x), x)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("key", keys())
def test_background_is_a_part_of_one_recording_at_the_ratio(key):
    recordings = [music(700, seed=1), music(300, seed=2)]
    x = music(8, 500, seed=3)
    added = np.asarray(compiled(BackgroundMix(recordings, 6.0, 6.0), key)(key, x), np.float64) - x
    np.testing.assert_allclose(db((x**2).mean(-1) / (added**2).mean(-1)), 6.0, atol=0.1)
    found = set()
    for part in added:
        places = [
            (float(np.corrcoef(np.resize(np.roll(r, -s), 500), part)[0, 1]), number)
            for number, r in enumerate([recordings[0], np.resize(recordings[1], 700)])
            for s in range(700)
        ]
        correlation, number = max(places)
        assert correlation > 0.999
        found.add(number)
    assert found == {0, 1}


@pytest.mark.slow
def test_background_that_is_silent_adds_nothing():
    x = music(2, 100)
    mixed = jax.jit(BackgroundMix(np.zeros((1, 50)), 0, 0))(jax.random.key(0), x)
    np.testing.assert_array_equal(mixed, x)


@pytest.mark.parametrize("key", keys())
def test_clipping_is_relative_to_the_peak(key):
    x = music(4, 1000) * np.array([[1], [10], [0.1], [1]], np.float32)
    y = np.asarray(compiled(Clipping(-6.0, -6.0), key)(key, x))
    level = np.abs(x).max(-1, keepdims=True) * 10 ** (-6 / 20)
    np.testing.assert_allclose(y, np.clip(x, -level, level), rtol=1e-5)


@pytest.mark.parametrize("key", keys())
def test_delay_is_exact_in_samples_and_one_of_the_choices(key):
    x = np.zeros((64, RATE_HZ // 2), np.float32)
    x[:, 10] = 1.0
    y = np.array(compiled(Delay(RATE_HZ), key)(key, x))
    assert (y[:, 10] == 0.5).all()
    y[:, 10] = 0
    assert (y.max(-1) == 0.25).all() and ((y != 0).sum(-1) == 1).all()
    delays_ms = (y.argmax(-1) - 10) / RATE_HZ * 1000
    assert set(delays_ms) == {200, 250, 300, 350, 400, 450}


def test_a_short_delay_is_a_comb_filter():
    x = music(1 << 14)
    response = np.fft.rfft(waveform.delay(x, 16, volume=1.0)) / np.fft.rfft(x)
    gain = np.abs(response)[5:].reshape(-1)
    frequency = np.arange(5, 5 + len(gain)) / len(x)
    expected = np.abs(1 + np.exp(-2j * np.pi * frequency * 16)) / 2
    assert np.median(np.abs(gain - expected)) < 0.02


def test_a_delay_longer_than_the_example_is_silence():
    x = music(100)
    np.testing.assert_array_equal(waveform.delay(x, 1000), x / 2)


@pytest.mark.parametrize("key", keys())
def test_crops_are_runs_of_the_example(key):
    x = np.arange(2 * 60 * 40, dtype=np.float32).reshape(2, 60, 40)
    crops = np.asarray(compiled(RandomCrop(30), key)(key, x))
    assert crops.shape == (2, 60, 30)
    np.testing.assert_array_equal(np.diff(crops), 1)
    start = crops[..., 0] - x[..., 0]
    assert set(start.ravel()) == set(range(11))
    assert (start[0] != start[1]).any()


def test_a_crop_of_something_shorter_is_refused():
    with pytest.raises(ValueError, match="RandomCrop.num_samples is 30"):
        RandomCrop(30)(jax.random.key(0), music(20))


@pytest.mark.parametrize("key", keys())
@pytest.mark.parametrize("edges", ["wrap", "zeros"])
def test_shift_moves_by_up_to_its_fraction(key, edges):
    x = np.arange(1, 21, dtype=np.float32)
    seen = set()
    for y in np.asarray(compiled(Shift(0.2, edges), key)(key, np.tile(x, (80, 1)))):
        steps = [s for s in range(-4, 5) if (y == shifted(x, s, edges)).all()]
        assert len(steps) == 1
        seen.update(steps)
    assert seen == set(range(-4, 5))


def shifted(x, steps, edges):
    y = np.roll(x, steps)
    if edges == "zeros" and steps > 0:
        y[:steps] = 0
    if edges == "zeros" and steps < 0:
        y[steps:] = 0
    return y


def test_noise_before_reverb_is_not_reverb_before_noise():
    x = music(4, RATE_HZ)
    x[:, RATE_HZ // 4 :] = 0

    def noise(x):
        return Noise(0, 0)(np.random.default_rng(1), x)

    def room(x):
        return Reverb(RATE_HZ, min_decay_s=0.2, max_decay_s=0.2)(np.random.default_rng(2), x)

    added = noise(x) - x
    # In the first order the noise is wet: itself and its reverberation.
    wet = room(noise(x)) - room(x)
    np.testing.assert_allclose(wet, room(added), atol=1e-4)
    assert np.linalg.norm(wet - added) > 0.1 * np.linalg.norm(added)
    # In the second it is dry: the very same noise, at another level.
    dry = noise(room(x)) - room(x)
    scale = np.linalg.norm(dry, axis=-1) / np.linalg.norm(added, axis=-1)
    np.testing.assert_allclose(dry, added * scale[:, None], atol=1e-4)


@pytest.mark.slow
def test_gradients():
    x = jnp.asarray(music(2, 50))
    slope = jax.jit(jax.grad(lambda x: Gain(-6, -6)(jax.random.key(0), x).sum()))(x)
    np.testing.assert_allclose(slope, 10 ** (-6 / 20), rtol=1e-5)
    slope_of_noise = jax.jit(jax.grad(lambda x: (Noise()(jax.random.key(0), x) ** 2).sum()))
    for each in (x, jnp.zeros_like(x)):
        loud = slope_of_noise(each)
        assert np.isfinite(loud).all()
    by_db = jax.grad(lambda change_db: waveform.gain(x, change_db).sum())(-3.0)
    assert by_db == pytest.approx(float(waveform.gain(x, -3.0).sum()) * np.log(10) / 20, rel=1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gain(3, 1), "min_db is 3 and .*max_db is 1"),
        (lambda: Gain(float("nan"), 1), "min_db is nan"),
        (lambda: Clipping(-3, 1), r"max_db is 1; it must be in \(-inf, 0\]"),
        (lambda: Noise(color="green"), "color is 'green'; allowed: white, pink"),
        (lambda: Noise(color=(3, -3)), r"color\[0\] is 3"),
        (lambda: Delay(0), "sample_rate_hz is 0"),
        (lambda: Delay(RATE_HZ, delays_s=(-1,)), "delays_s is"),
        (lambda: Shift(2.0), "max_fraction is 2.0"),
        (lambda: Shift(edges="mirror"), "edges is 'mirror'; allowed: wrap, zeros"),
        (lambda: RandomCrop(0), "num_samples is 0"),
        (lambda: BackgroundMix([]), "background has shapes"),
        (lambda: Gain()(7, music(3)), "key is 7"),
        (lambda: Gain()(np.random.default_rng(0), jnp.ones(3)), "numpy generator"),
        (lambda: Gain()(jax.random.key(0), np.ones(3, np.int16)), "x is int16"),
    ],
)
def test_what_is_wrong_is_said(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_repr_prints_the_settings():
    assert repr(Gain(-3, 3)) == "Gain(min_db=-3, max_db=3)"
