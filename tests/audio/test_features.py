"""Log-mel spectrograms against librosa, and numpy against jax."""

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from mclf_jax.audio.features import (
    LogMel,
    log_mel,
    mel_filter_bank,
    mel_frequencies_hz,
    power_spectrogram,
)

SETTINGS = [
    LogMel(),
    LogMel(sample_rate_hz=22050, n_fft=1024, hop_length=512, n_mels=128),
    LogMel(mel_scale="slaney", mel_norm="slaney", pad_mode="constant", top_db=80.0),
    LogMel(n_fft=400, hop_length=160, n_mels=64, f_min_hz=60.0, f_max_hz=7000.0),  # 400 % 160 != 0
]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32) * 0.1


def librosa_log_mel(audio, s):
    mel = librosa.feature.melspectrogram(
        y=audio,
        sr=s.sample_rate_hz,
        n_fft=s.n_fft,
        hop_length=s.hop_length,
        n_mels=s.n_mels,
        fmin=s.f_min_hz,
        fmax=s.top_hz,
        htk=s.mel_scale == "htk",
        norm=None if s.mel_norm == "none" else s.mel_norm,
        pad_mode=s.pad_mode,
    )
    return librosa.power_to_db(mel, amin=s.amin, top_db=s.top_db).T


@pytest.mark.filterwarnings("ignore:Empty filters detected:UserWarning")
@pytest.mark.parametrize("settings", SETTINGS)
def test_equals_librosa(settings):
    audio = noise(16000)
    expected = librosa_log_mel(audio, settings)
    np.testing.assert_allclose(log_mel(audio, settings), expected, atol=1e-3)


@pytest.mark.parametrize("settings", SETTINGS)
def test_power_equals_librosa_stft(settings):
    audio = noise(8000).astype(np.float64)
    stft = librosa.stft(
        audio, n_fft=settings.n_fft, hop_length=settings.hop_length, pad_mode=settings.pad_mode
    )
    np.testing.assert_allclose(
        power_spectrogram(audio, settings), np.abs(stft.T) ** 2, rtol=1e-5, atol=1e-12
    )


@pytest.mark.filterwarnings("ignore:Empty filters detected:UserWarning")
@pytest.mark.parametrize("settings", SETTINGS)
def test_filter_bank_equals_librosa(settings):
    expected = librosa.filters.mel(
        sr=settings.sample_rate_hz,
        n_fft=settings.n_fft,
        n_mels=settings.n_mels,
        fmin=settings.f_min_hz,
        fmax=settings.top_hz,
        htk=settings.mel_scale == "htk",
        norm=None if settings.mel_norm == "none" else settings.mel_norm,
        dtype=np.float64,
    )
    np.testing.assert_allclose(mel_filter_bank(settings), expected.T, atol=1e-9)
    centres = librosa.mel_frequencies(
        settings.n_mels + 2,
        fmin=settings.f_min_hz,
        fmax=settings.top_hz,
        htk=settings.mel_scale == "htk",
    )[1:-1]
    np.testing.assert_allclose(mel_frequencies_hz(settings), centres)


@pytest.mark.parametrize("settings", SETTINGS)
def test_numpy_equals_jax(settings):
    audio = noise(3, 2, 8000)
    host = log_mel(audio, settings)
    device = jax.jit(log_mel, static_argnums=1)(jnp.asarray(audio), settings)
    assert isinstance(host, np.ndarray) and host.dtype == device.dtype == np.float32
    assert host.shape == device.shape == (3, 2, settings.num_frames(8000), settings.n_mels)
    np.testing.assert_allclose(host, device, atol=2e-3)


@pytest.mark.parametrize("audio", [np.zeros(4000), np.ones(4000), np.full(1, 0.5), noise(700)])
def test_odd_inputs_stay_finite(audio):
    spectrogram = log_mel(audio.astype(np.float32))
    assert spectrogram.shape == (1 + len(audio) // 256, 96)
    assert np.isfinite(spectrogram).all()


def test_silence_is_at_the_floor():
    np.testing.assert_allclose(log_mel(np.zeros(4000, np.float32)), -100, atol=1e-4)


def test_a_tone_peaks_at_its_band():
    settings = LogMel(n_mels=64)
    t = np.arange(16000) / 16000
    spectrogram = log_mel(np.sin(2 * np.pi * 2000 * t).astype(np.float32), settings)
    band = np.abs(mel_frequencies_hz(settings) - 2000).argmin()
    assert (spectrogram[5:-5].argmax(axis=1) == band).all()


@pytest.mark.parametrize(
    ("field", "value"),
    [("mel_scale", "bark"), ("mel_norm", "area"), ("pad_mode", "edge"), ("n_mels", 0)],
)
def test_errors_name_the_field(field, value):
    with pytest.raises(ValueError, match=f"features.{field}"):
        LogMel(**{field: value})


def test_range_beyond_half_the_rate_is_refused():
    with pytest.raises(ValueError, match="f_max_hz"):
        LogMel(sample_rate_hz=8000, f_max_hz=5000.0)
