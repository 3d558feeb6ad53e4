"""Log-mel, MFCC and the other representations against librosa, and numpy against jax."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from mclf_jax.audio.cqt import cqt
from mclf_jax.audio.features import (
    KINDS,
    PRESETS,
    LogMel,
    Mfcc,
    PowerSpectrogram,
    Spectrogram,
    Waveform,
    from_json,
    harmonic_stack,
    log_mel,
    magnitude_spectrogram,
    mel_filter_bank,
    mel_frequencies_hz,
    mel_spectrogram,
    mfcc,
    pcen,
    preset,
    spectrogram,
    to_json,
)

SETTINGS = [
    LogMel(),
    LogMel(sample_rate_hz=22050, n_fft=1024, hop_length=512, n_mels=128),
    LogMel(mel_scale="slaney", mel_norm="slaney", pad_mode="constant", top_db=80.0),
    LogMel(n_fft=400, hop_length=160, n_mels=64, f_min_hz=60.0, f_max_hz=7000.0),  # 400 % 160 != 0
    LogMel(window="hamming", win_length=400, db_ref="max", top_db=60.0),
    LogMel(framing="start", power=1.0),
    LogMel(n_fft=255, hop_length=64, n_mels=24),  # whose last bin is not at half the rate
    LogMel(sample_rate_hz=22050, n_fft=1023, n_mels=64, mel_scale="slaney", mel_norm="slaney"),
]
OTHERS = [
    LogMel(compression="none"),
    LogMel(compression="log", amin=1e-6),
    LogMel(compression="log10_10000", normalization="standardize"),
    LogMel(compression="pcen", power=1.0),
    LogMel(normalization="min_max"),
    LogMel(normalization="fixed", mean=-30.0, std=20.0),
    Spectrogram(),
    Spectrogram(power=1.0, compression="none"),
    Spectrogram(power=1.0, compression="log", amin=1e-3),
    PowerSpectrogram(),
    Mfcc(),
    Mfcc(n_mfcc=40, n_mels=128, lifter=22.0, normalization="standardize"),
    Waveform(),
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
        window=s.window,
        win_length=s.win_length,
        center=s.framing == "center",
        power=s.power,
    )
    ref = np.max if s.db_ref == "max" else 1.0
    if s.power == 1:
        return librosa.amplitude_to_db(mel, amin=s.amin**0.5, ref=ref, top_db=s.top_db).T
    return librosa.power_to_db(mel, amin=s.amin, ref=ref, top_db=s.top_db).T


@pytest.mark.slow_beyond(1)
@pytest.mark.filterwarnings("ignore:Empty filters detected:UserWarning")
@pytest.mark.parametrize("settings", SETTINGS)
def test_equals_librosa(settings):
    audio = noise(16000)
    expected = librosa_log_mel(audio, settings)
    np.testing.assert_allclose(log_mel(audio, settings), expected, atol=1e-4 * 100)
    double = audio.astype(np.float64)
    expected = librosa_log_mel(double, settings)
    np.testing.assert_allclose(log_mel(double, settings), expected, atol=1e-4)


def test_the_other_compressions_are_what_they_say():
    audio = noise(16000)
    mel = mel_spectrogram(audio, sample_rate_hz=16000)
    np.testing.assert_array_equal(log_mel(audio, sample_rate_hz=16000, compression="none"), mel)
    np.testing.assert_allclose(
        log_mel(audio, sample_rate_hz=16000, compression="log", amin=0.01), np.log(mel + 0.01)
    )
    expected = np.log10(1 + 10000 * mel)
    np.testing.assert_allclose(
        log_mel(audio, sample_rate_hz=16000, compression="log10_10000"), expected, rtol=1e-6
    )
    fixed = log_mel(
        audio, sample_rate_hz=16000, compression="log", normalization="fixed", mean=-3.0, std=2.0
    )
    np.testing.assert_allclose(
        fixed, (log_mel(audio, sample_rate_hz=16000, compression="log") + 3) / 2, rtol=1e-6
    )
    assert log_mel(audio, sample_rate_hz=16000, normalization="min_max").max() == 1
    np.testing.assert_allclose(
        spectrogram(audio, power=1.0, compression="none"), magnitude_spectrogram(audio), rtol=1e-6
    )
    np.testing.assert_allclose(
        spectrogram(audio, power=1.0, amin=1e-8), spectrogram(audio, amin=1e-8), atol=1e-4
    )


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("xp", [np, jnp])
def test_pcen_is_librosas_of_a_waveform_at_its_scale(xp):
    audio = noise(22050)
    s = preset("librosa", compression="pcen", power=1.0, top_db=None)
    mel = librosa.feature.melspectrogram(y=audio.astype(np.float64) * 2**31, sr=22050, power=1.0)
    expected = librosa.pcen(mel, sr=22050, hop_length=512).T
    found = log_mel(xp.asarray(audio), s)
    np.testing.assert_allclose(found, expected, atol=1e-4 * expected.max())
    other = pcen(xp.asarray(mel.T), sample_rate_hz=22050, hop_length=512)
    np.testing.assert_allclose(found, other, atol=1e-4 * expected.max())


@pytest.mark.parametrize("lifter", [0.0, 22.0])
@pytest.mark.parametrize("xp", [np, jnp])
def test_mfcc_equals_librosa(xp, lifter):
    audio = noise(22050)
    expected = librosa.feature.mfcc(y=audio, sr=22050, n_mfcc=20, lifter=lifter).T
    settings = Mfcc(**dataclasses.asdict(preset("librosa")), lifter=lifter)
    found = mfcc(xp.asarray(audio), settings)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


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


@pytest.mark.parametrize("settings", [*SETTINGS, *OTHERS, *PRESETS.values()])
def test_numpy_equals_jax(settings):
    audio = noise(3, 2, 8000)
    host = settings(audio)
    device = jax.jit(settings)(jnp.asarray(audio))
    assert isinstance(host, np.ndarray) and host.dtype == device.dtype == np.float32
    assert host.shape == device.shape == (3, 2, *settings.shape(8000))
    np.testing.assert_allclose(host, device, atol=1e-4 * np.abs(host).max())


@pytest.mark.parametrize("audio", [np.zeros(4000), np.ones(4000), np.full(1, 0.5), noise(700)])
def test_odd_inputs_stay_finite(audio):
    spectrogram = log_mel(audio.astype(np.float32), sample_rate_hz=16000)
    assert spectrogram.shape == (1 + len(audio) // 256, 96)
    assert np.isfinite(spectrogram).all()


def test_silence_is_at_the_floor():
    np.testing.assert_allclose(
        log_mel(np.zeros(4000, np.float32), sample_rate_hz=16000), -100, atol=1e-4
    )


def test_a_tone_peaks_at_its_band():
    settings = LogMel(n_mels=64)
    t = np.arange(16000) / 16000
    spectrogram = log_mel(np.sin(2 * np.pi * 2000 * t).astype(np.float32), settings)
    band = np.abs(mel_frequencies_hz(settings) - 2000).argmin()
    assert (spectrogram[5:-5].argmax(axis=1) == band).all()


@pytest.mark.parametrize(
    ("field", "value", "others"),
    [
        ("mel_scale", "bark", {}),
        ("mel_norm", "area", {}),
        ("pad_mode", "mirror", {}),
        ("n_mels", 0, {}),
        ("compression", "cube", {}),
        ("power", 3.0, {}),
        ("normalization", "batch", {}),
        ("std", 0.0, {"normalization": "fixed"}),
        ("n_mels", 64, {"n_fft": 125}),  # 63 frequencies
        # Fields that would do nothing.
        ("top_db", 80.0, {"compression": "log"}),
        ("mean", 1.0, {}),
    ],
)
def test_errors_name_the_field(field, value, others):
    with pytest.raises(ValueError, match=f"features.{field}"):
        LogMel(**{field: value}, **others)


@pytest.mark.parametrize(("field", "value"), [("n_mfcc", 0), ("n_mfcc", 97), ("lifter", -1.0)])
def test_mfcc_errors_name_the_field(field, value):
    with pytest.raises(ValueError, match=f"features.{field} is {value}"):
        Mfcc(**{field: value})


def test_range_beyond_half_the_rate_is_refused():
    with pytest.raises(ValueError, match="f_max_hz"):
        LogMel(sample_rate_hz=8000, f_max_hz=5000.0)


@pytest.mark.parametrize("settings", [*SETTINGS, *OTHERS, *(kind() for kind in KINDS.values())])
def test_settings_survive_json(settings):
    assert from_json(json.loads(json.dumps(to_json(settings)))) == settings
    assert hash(settings) == hash(dataclasses.replace(settings))
    assert settings.unit in ("", "dB")


def test_settings_of_older_runs_load():
    old = {"kind": "log_mel", "sample_rate_hz": 16000, "n_fft": 512, "hop_length": 256}
    old |= {"n_mels": 128, "f_min_hz": 0.0, "f_max_hz": None, "mel_scale": "htk"}
    old |= {"mel_norm": "none", "pad_mode": "reflect", "compression": "db", "amin": 1e-10}
    assert from_json({**old, "top_db": None}) == LogMel(n_mels=128)
    assert from_json({"sample_rate_hz": 8000}) == LogMel(sample_rate_hz=8000)
    old = {"kind": "power_spectrogram", "sample_rate_hz": 16000, "n_fft": 512, "hop_length": 256}
    assert from_json({**old, "pad_mode": "reflect"}) == PowerSpectrogram()


def test_units():
    assert LogMel().unit == Spectrogram().unit == "dB"
    assert LogMel(compression="log").unit == LogMel(normalization="standardize").unit == ""
    assert Mfcc().unit == Waveform().unit == PowerSpectrogram().unit == ""


def test_harmonic_stack_in_numpy_equals_jax():
    audio = noise(2, 8000)
    device = jax.jit(harmonic_stack)(jnp.asarray(audio))
    np.testing.assert_allclose(harmonic_stack(audio), device, atol=1e-4 * 100)


@pytest.mark.parametrize("note", [60, 72, 84])
def test_a_tone_is_the_harmonic_of_its_fractions_in_the_harmonic_stack(note):
    frequency_hz = 440 * 2 ** ((note - 69) / 12)
    tone = np.sin(2 * np.pi * frequency_hz * np.arange(16000) / 16000).astype(np.float32)
    stack = harmonic_stack(tone, n_fft=4096, hop_length=512)
    assert stack.shape == (32, 128, 6)
    for harmonic in (1, 2, 3, 4):
        pitch = note - 12 * np.log2(harmonic)
        if pitch >= 24:  # two bands for each semitone from C1 on
            assert abs(stack[16, :, harmonic - 1].argmax() - 2 * (pitch - 24)) <= 1


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("settings", [LogMel(), LogMel(compression="pcen", power=1.0), Mfcc()])
def test_gradients_are_finite(settings):
    gradient = jax.grad(lambda x: settings(x).sum())
    for audio in (jnp.asarray(noise(4000)), jnp.zeros(4000), jnp.ones(4000)):
        assert np.isfinite(gradient(audio)).all()


def test_the_rate_must_be_said():
    audio = np.ones(16000, np.float32)
    for function in (log_mel, mel_spectrogram, mfcc, cqt):
        with pytest.raises(TypeError, match="needs the sample rate of the waveform"):
            function(audio)
        with pytest.raises(TypeError, match="no 'sr'; did you mean sample_rate_hz"):
            function(audio, sr=16000)
    with pytest.raises(TypeError, match="no 'fmax'; did you mean f_max_hz"):
        log_mel(audio, LogMel(), fmax=8000.0)
