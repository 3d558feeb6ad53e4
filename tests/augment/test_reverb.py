"""Reverberation: decay times by backward integration, levels, delays, given responses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from mclf_jax.augment import reverb
from mclf_jax.augment.filters import low_pass
from mclf_jax.augment.reverb import ImpulseResponse, Reverb, SoxReverb

RATE_HZ = 16000


def impulse(length):
    x = np.zeros(length, np.float32)
    x[0] = 1.0
    return x


def decay_s(response):
    """RT60 by Schroeder's backward integration, from the fall between -5 and -35 dB."""
    left = np.cumsum(response[::-1].astype(np.float64) ** 2)[::-1]
    level_db = 10 * np.log10(left / left[0] + 1e-30)
    used = np.flatnonzero((level_db < -5) & (level_db > -35))
    return -60 / np.polyfit(used / RATE_HZ, level_db[used], 1)[0]


def compiled(augmentation, key):
    return augmentation if isinstance(key, np.random.Generator) else jax.jit(augmentation)


@pytest.mark.parametrize("asked_s", [0.15, 0.3, 1.0, 2.5])
@pytest.mark.parametrize("room_scale", [0.1, 0.5, 1.0])
def test_decay_time_is_the_asked_one(asked_s, room_scale):
    x = impulse(int(1.5 * asked_s * RATE_HZ))
    y = reverb.reverb(
        x, asked_s, sample_rate_hz=RATE_HZ, room_scale=room_scale, max_decay_s=1.5 * asked_s
    )
    assert decay_s(y - x) == pytest.approx(asked_s, rel=0.1)


def test_damping_shortens_what_is_high_and_not_what_is_low():
    x = impulse(2 * RATE_HZ)
    wet = reverb.reverb(x, 1.0, sample_rate_hz=RATE_HZ, damping=0.6, max_decay_s=2.0) - x
    low = low_pass(wet, 2000, sample_rate_hz=RATE_HZ)
    high = wet - low_pass(wet, 5000, sample_rate_hz=RATE_HZ)
    assert decay_s(low) == pytest.approx(1.0, rel=0.1)
    assert decay_s(high) == pytest.approx(0.4, rel=0.1)


def test_level_and_pre_delay():
    x = impulse(RATE_HZ)
    wet = reverb.reverb(x, 0.3, sample_rate_hz=RATE_HZ, wet_db=-10.0) - x
    assert 10 * np.log10((wet**2).sum()) == pytest.approx(-10, abs=0.1)
    later = reverb.reverb(x, 0.3, sample_rate_hz=RATE_HZ, wet_db=-10.0, pre_delay_s=0.05) - x
    np.testing.assert_allclose(later[800:4000], wet[:3200], atol=1e-5)
    assert np.abs(later[:800]).max() < 1e-6


def test_the_response_is_dense_and_has_no_tone_at_0_hz():
    x = impulse(RATE_HZ)
    wet = reverb.reverb(x, 1.0, sample_rate_hz=RATE_HZ) - x
    gain_db = 20 * np.log10(np.abs(np.fft.rfft(wet)))
    assert gain_db[:5].max() < gain_db.mean() + 6
    tail = np.abs(wet[RATE_HZ // 4 : RATE_HZ // 2])
    assert (tail > 0.1 * tail.std()).mean() > 0.3


@pytest.mark.parametrize("key", [np.random.default_rng(0), jax.random.key(0)])
def test_draws_fill_their_ranges(key):
    x = np.tile(impulse(RATE_HZ), (24, 1))
    drawn = Reverb(RATE_HZ, 0.15, 0.6, max_damping=0.0, min_wet_db=-12, max_wet_db=-2)
    wet = np.asarray(compiled(drawn, key)(key, x)) - x
    wet_db = 10 * np.log10((wet**2).sum(-1))
    assert -12.3 < wet_db.min() < -9 and -5 < wet_db.max() < -1.7
    decays_s = [decay_s(w) for w in wet]
    assert 0.13 < min(decays_s) < 0.25 and 0.4 < max(decays_s) < 0.66


@pytest.mark.slow
def test_numpy_and_jax_agree():
    x = np.random.default_rng(0).standard_normal((2, 6000)).astype(np.float32)
    settings = {
        "damping": np.array([0.0, 0.7], np.float32),
        "room_scale": np.array([0.2, 0.9], np.float32),
        "pre_delay_s": np.array([0.01, 0.0], np.float32),
    }
    seconds = np.array([0.2, 1.3], np.float32)
    expected = reverb.reverb(x, seconds, sample_rate_hz=RATE_HZ, max_decay_s=2.0, **settings)
    jitted = jax.jit(
        lambda x, s, kw: reverb.reverb(x, s, sample_rate_hz=RATE_HZ, max_decay_s=2.0, **kw)
    )
    np.testing.assert_allclose(jitted(x, seconds, settings), expected, atol=1e-4)


@pytest.mark.parametrize("seconds", [0.05, 3.0])
def test_either_way_of_convolving_is_right(seconds):
    """A loud end rings on behind the example; 60 dB below, it may come in at the start."""
    x = np.random.default_rng(0).standard_normal((1, 8000)).astype(np.float32)
    length = min(8000, int(seconds * RATE_HZ))
    response = reverb.reverb_response(
        x, seconds, sample_rate_hz=RATE_HZ, damping=0.0, room_scale=0.5, length=length
    )
    expected = x[0] + np.convolve(x[0], response[0])[:8000]
    y = reverb.reverb(x, seconds, sample_rate_hz=RATE_HZ, room_scale=0.5, wet_db=0.0)
    assert 20 * np.log10(np.std(y[0] - expected) / np.std(expected)) < -55


def sox(reverberance, damping, room_scale):
    return reverb.sox_settings(
        np.array([reverberance]),
        damping=np.array([damping]),
        room_scale=np.array([room_scale]),
        sample_rate_hz=44100,
    )


def test_sox_settings_are_those_of_its_network():
    """A comb of sox written out: the time in which its echoes have fallen by 60 dB."""
    for reverberance, feedback in [(0, 0.3), (50, 0.8816), (100, 0.98)]:
        settings = sox(reverberance, 0, 100)
        per_second_db = 20 * np.log10(feedback) / (1378 / 44100)
        assert settings["decay_s"][0] == pytest.approx(-60 / per_second_db, rel=0.01)
    assert sox(50, 0, 0)["decay_s"] == pytest.approx(0.1 * sox(50, 0, 100)["decay_s"])
    assert 0 < sox(50, 0, 50)["damping"][0] < sox(50, 99, 50)["damping"][0] < 1
    assert sox(0, 50, 50)["wet_db"] < sox(99, 50, 50)["wet_db"]


@pytest.mark.parametrize("key", [np.random.default_rng(0), jax.random.key(0)])
def test_sox_reverb_adds_a_quiet_reverberation(key):
    x = np.tile(impulse(RATE_HZ), (8, 1))
    wet = np.asarray(compiled(SoxReverb(RATE_HZ), key)(key, x)) - x
    wet_db = 10 * np.log10((wet**2).sum(-1))
    assert wet_db.min() > -28 and wet_db.max() < -13
    assert len(set(wet_db)) == 8


@pytest.mark.parametrize("key", [np.random.default_rng(0), jax.random.key(0)])
def test_given_responses_are_drawn_and_have_energy_1(key):
    rng = np.random.default_rng(1)
    responses = [3 * rng.standard_normal(200), rng.standard_normal(5)]
    x = rng.standard_normal((16, 1000)).astype(np.float32)
    y = np.asarray(compiled(ImpulseResponse(responses), key)(key, x))
    expected = [[np.convolve(row, r / np.linalg.norm(r))[:1000] for r in responses] for row in x]
    errors = np.abs(np.array(expected) - y[:, None]).max(-1)
    assert (errors.min(1) < 1e-4).all()
    assert set(errors.argmin(1)) == {0, 1}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_spectra_of_responses_are_kept_from_clip_to_clip(dtype):
    rng = np.random.default_rng(1)
    responses = [rng.standard_normal(2200), rng.standard_normal(900)]
    augmentation, drawn = ImpulseResponse(responses), set()
    for length in (1000, 6000, 6000, 6000, 6000, 6000):
        x = rng.standard_normal(length).astype(dtype)
        y = augmentation(rng, x)
        assert y.dtype == dtype and y.shape == x.shape
        expected = [scipy.signal.fftconvolve(x, r / np.linalg.norm(r))[:length] for r in responses]
        errors = np.abs(np.array(expected) - y).max(-1)
        assert errors.min() < 1e-4
        drawn.add(int(errors.argmin()))
    assert drawn == {0, 1}


def test_a_response_longer_than_the_example():
    x = np.random.default_rng(0).standard_normal((1, 10)).astype(np.float32)
    response = np.eye(1, 500, 3)
    y = ImpulseResponse(response)(np.random.default_rng(0), x)
    np.testing.assert_allclose(y[:, 3:], x[:, :-3], atol=1e-6)


@pytest.mark.slow
def test_gradients():
    x = jnp.asarray(np.random.default_rng(0).standard_normal(2000), jnp.float32)

    def last(x, seconds, wet_db):
        y = reverb.reverb(x, seconds, sample_rate_hz=RATE_HZ, wet_db=wet_db, max_decay_s=0.5)
        return (y**2).sum()

    last = jax.jit(last)
    by_x, by_seconds, by_db = jax.jit(jax.grad(last, (0, 1, 2)))(x, 0.2, -3.0)
    assert np.isfinite(by_x).all() and np.abs(by_x).max() > 0
    assert np.isfinite(by_seconds) and by_seconds != 0
    step = (last(x, 0.2, -2.9) - last(x, 0.2, -3.1)) / 0.2
    assert by_db == pytest.approx(float(step), rel=0.02)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Reverb(RATE_HZ, 2.0, 1.0), "min_decay_s is 2.0 and .*max_decay_s is 1.0"),
        (lambda: Reverb(RATE_HZ, 0.0), r"min_decay_s is 0.0; it must be in \[0.01, inf\)"),
        (lambda: Reverb(RATE_HZ, max_damping=1.0), "max_damping is 1.0"),
        (lambda: Reverb(RATE_HZ, max_pre_delay_s=-1), "max_pre_delay_s is -1"),
        (lambda: SoxReverb(RATE_HZ, max_damping=120), "max_damping is 120"),
        (lambda: ImpulseResponse([np.zeros(3)]), "none of them silent"),
    ],
)
def test_what_is_wrong_is_said(make, message):
    with pytest.raises(ValueError, match=message):
        make()
