"""What PASE's workers must tell, against librosa and scipy where they know it; the moments."""

import functools

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import scipy.signal

from mclf_jax.audio.features import Stft
from mclf_jax.audio.gammatone import gammatone, gammatone_centres_hz
from mclf_jax.objectives import running_moments
from mclf_jax.objectives.pase.prosody import energy, pitch, prosody, zero_crossing_rate
from mclf_jax.objectives.pase.targets import TARGETS, Settings, deltas, target

RATE_HZ = 16000
F0_HZ = {"min_hz": 60.0, "max_hz": 600.0}


@functools.cache
def sound(num_samples=8000):
    """A falling tone with overtones and noise, fading in."""
    time_s = np.arange(num_samples) / RATE_HZ
    phase = 2 * np.pi * (300 * time_s - 100 * time_s**2)
    tone = sum(np.sin(k * phase) / k for k in range(1, 6))
    noise = np.random.default_rng(0).standard_normal(num_samples)
    return (0.2 * time_s * (tone + 0.05 * noise)).astype(np.float32)


def of(name, num_frames=50, **settings):
    function = functools.partial(
        target, name=name, settings=Settings(**settings), num_frames=num_frames
    )
    return np.asarray(jax.jit(function)(sound()[None]))[0].T


@pytest.mark.parametrize(("name", "win_length"), [("lps", 400), ("lps_long", 512)])
def test_lps(name, win_length):
    spectrum = librosa.stft(
        sound(),
        n_fft=2048,
        hop_length=160,
        win_length=win_length,
        window="hamming",
        pad_mode="reflect",
    )
    expected = librosa.power_to_db(np.abs(spectrum) ** 2, amin=1e-10, top_db=None)
    found = of(name)
    assert found.shape == (1025, 50)
    np.testing.assert_allclose(found, expected[:, :50], atol=0.05)


@pytest.mark.parametrize(
    ("name", "n_fft", "win_length"), [("fbank", 512, 400), ("fbank_long", 1024, 1024)]
)
def test_fbank(name, n_fft, win_length):
    bands = librosa.feature.melspectrogram(
        y=sound(),
        sr=RATE_HZ,
        n_fft=n_fft,
        win_length=win_length,
        window="hamming",
        hop_length=160,
        n_mels=40,
        pad_mode="reflect",
        htk=True,
        norm=None,
    )
    expected = librosa.power_to_db(bands, amin=1e-10, top_db=None)
    np.testing.assert_allclose(of(name), expected[:, :50], atol=0.01)


@pytest.mark.parametrize(
    ("name", "n_fft", "n_mfcc"), [("mfcc", 400, 20), ("mfcc", 400, 13), ("mfcc_long", 2048, 20)]
)
def test_mfcc(name, n_fft, n_mfcc):
    expected = librosa.feature.mfcc(
        y=sound(),
        sr=RATE_HZ,
        n_mfcc=n_mfcc,
        n_fft=n_fft,
        hop_length=160,
        n_mels=40,
        pad_mode="reflect",
    )
    found = of(name, n_mfcc=20 if name == "mfcc_long" else n_mfcc)
    np.testing.assert_allclose(found, expected[:, :50], atol=0.02)


@pytest.mark.parametrize("order", [1, 2])
def test_deltas(order):
    values = np.random.default_rng(0).standard_normal((2, 20, 3)).astype(np.float32)
    expected = librosa.feature.delta(values, order=order, axis=1)
    np.testing.assert_allclose(deltas(jnp.asarray(values), order=order), expected, atol=1e-5)


def test_derivatives_stand_beside_the_values():
    found = of("mfcc", num_deltas=2)
    assert found.shape == (60, 50)
    np.testing.assert_array_equal(found[:20], of("mfcc"))
    np.testing.assert_allclose(found[40:], librosa.feature.delta(found[:20], order=2), atol=1e-3)
    with pytest.raises(ValueError, match="num_deltas is 1, which takes 9 frames"):
        of("mfcc", num_deltas=1, num_frames=8)


@pytest.mark.slow
def test_zero_crossings_and_energy():
    sizes = {"hop_length": 160, "win_length": 400}
    expected = librosa.feature.zero_crossing_rate(sound(), frame_length=400, hop_length=160)[0]
    crossings, loudness = jax.jit(lambda x: (zero_crossing_rate(x, **sizes), energy(x, **sizes)))(
        sound()
    )
    np.testing.assert_allclose(crossings, expected, atol=1e-6)
    expected = librosa.feature.rms(y=sound(), frame_length=400, hop_length=160)[0]
    np.testing.assert_allclose(loudness, expected, atol=1e-6)


@jax.jit
def heard(waveform):
    return pitch(waveform, sample_rate_hz=RATE_HZ, hop_length=160, **F0_HZ)


def test_pitch_of_tones_and_of_their_overtones():
    hertz = np.array([80, 97, 131, 185, 220, 262, 330, 415, 440, 500])
    phase = 2 * np.pi * hertz[:, None] * np.arange(8000) / RATE_HZ
    pure = np.sin(phase)
    rich = sum(np.sin(k * phase + k) / k for k in range(1, 8))
    without_first = np.sin(2 * phase) + np.sin(3 * phase)
    for waveform in (pure, 0.01 * rich, without_first):
        found = heard(waveform.astype(np.float32))
        assert found["f0_hz"].shape == (10, 51)
        inside = np.asarray(found["f0_hz"])[:, 3:-3]
        np.testing.assert_allclose(inside, np.broadcast_to(hertz[:, None], inside.shape), rtol=0.01)
        assert np.asarray(found["voicing"])[:, 3:-3].min() > 0.9


def test_noise_and_silence_have_no_voice():
    waveform = np.random.default_rng(0).standard_normal((2, 8000)).astype(np.float32)
    waveform[1] = 0
    found = heard(waveform)
    assert found["voicing"][0].mean() < 0.25
    np.testing.assert_array_equal(found["voicing"][1], 0)
    np.testing.assert_array_equal(found["f0_hz"][1], 60)


def test_prosody_is_interpolated_where_there_is_no_voice():
    time_s = np.arange(16000) / RATE_HZ
    waveform = np.zeros((2, 16000), np.float32)
    waveform[0] = np.where(
        time_s < 0.4, np.sin(2 * np.pi * 100 * time_s), np.sin(2 * np.pi * 400 * time_s)
    )
    waveform[0, 6400:9600] = 0
    found = np.asarray(
        jax.jit(
            functools.partial(
                prosody,
                sample_rate_hz=RATE_HZ,
                hop_length=160,
                win_length=400,
                f0_hz=(60.0, 600.0),
            )
        )(waveform)
    )
    assert found.shape == (2, 101, 4) and np.isfinite(found).all()
    log_f0, voicing, loudness, crossings = found[0].T
    np.testing.assert_allclose(np.exp(log_f0[5:35]), 100, rtol=0.01)
    np.testing.assert_allclose(np.exp(log_f0[65:95]), 400, rtol=0.01)
    between = log_f0[43:57]
    np.testing.assert_allclose(np.diff(between), np.diff(between).mean(), atol=1e-4)
    assert log_f0[40] < between.min() < between.max() < log_f0[60] + 1e-3
    assert voicing[20] > 0.95 and voicing[50] == 0 and loudness[50] == 0
    assert loudness[20] == pytest.approx(0.5**0.5, rel=0.01)
    assert crossings[20] == pytest.approx(2 * 100 / RATE_HZ, abs=0.003)
    np.testing.assert_allclose(found[1], np.tile([np.log(60), 0, 0, 0], (101, 1)), rtol=1e-5)


def test_gammatone_filters_are_those_of_scipy():
    """A click has the response of the filters, which scipy makes in the time domain."""
    centres_hz = gammatone_centres_hz(sample_rate_hz=RATE_HZ, n_bands=40, f_min_hz=500.0)
    assert centres_hz[0] == pytest.approx(500) and centres_hz[-1] < 8000
    time = np.arange(4096)
    settings = Stft(n_fft=4096, hop_length=4096, window="boxcar", framing="start")
    for band in (0, 15, 30):
        power = (
            np.abs(
                scipy.signal.freqz(
                    *scipy.signal.gammatone(centres_hz[band], "iir", fs=RATE_HZ),
                    worN=time / 4096 * np.pi,
                )[1]
            )
            ** 2
        )
        for octaves in (0.0, 0.1, -0.1):
            tone_hz = centres_hz[band] * 2**octaves
            tone = np.cos(2 * np.pi * tone_hz * time / RATE_HZ)[None].astype(np.float32)
            level = gammatone(tone, settings, n_bands=40, f_min_hz=500.0)[0, 0, band]
            level -= 10 * np.log10(np.abs(np.fft.rfft(tone[0])).astype("f8") ** 2 @ np.ones(2049))
            expected = 10 * np.log10(np.interp(tone_hz, time / 4096 * 8000, power))
            assert level == pytest.approx(expected, abs=1.0), (band, octaves)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", TARGETS)
def test_silence_is_finite_and_frames_are_counted(name):
    settings = Settings(num_deltas=2)
    found = jax.jit(lambda x: target(x, name, settings, num_frames=20))(jnp.zeros((2, 3200)))
    assert found.shape[:2] == (2, 20) and np.isfinite(found).all()


update = jax.jit(running_moments.update, static_argnames="decay")


@pytest.mark.slow
def test_moments_are_those_of_everything_seen():
    rng = np.random.default_rng(0)
    batches = (
        3.0 + rng.standard_normal((5, 4, 10, 2)) * [1.0, 50.0] + rng.normal(0, 9, (5, 1, 1, 2))
    )
    moments = running_moments.init(2)
    for batch in batches:
        moments = update(moments, batch, decay=1.0)
    np.testing.assert_allclose(moments["mean"], batches.mean(axis=(0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(moments["var"], batches.var(axis=(0, 1, 2)), rtol=1e-4)
    assert moments["count"] == 5
    normal = running_moments.normalized(jnp.asarray(batches), moments)
    np.testing.assert_allclose(normal.std(axis=(0, 1, 2)), 1, rtol=1e-4)


@pytest.mark.slow
def test_moments_forget():
    moments = running_moments.init(1)
    for level in [0.0] * 50 + [10.0] * 50:
        moments = update(moments, np.full((3, 1), level), decay=0.9)
    assert moments["mean"][0] == pytest.approx(10 * (1 - 0.9**50), rel=1e-3)
    # What never changed is 0 and finite.
    still = update(running_moments.init(1), np.full((3, 1), 7.0), decay=0.9)
    np.testing.assert_array_equal(running_moments.normalized(jnp.full((3, 1), 7.0), still), 0)
