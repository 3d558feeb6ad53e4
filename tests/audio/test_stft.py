"""The Fourier side: windows against scipy, STFT against librosa, framing, numpy against jax."""

import dataclasses

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import scipy.signal

from mclf_jax.audio.stft import (
    PAD_MODES,
    WINDOWS,
    Stft,
    frames,
    magnitude_spectrogram,
    power_spectrogram,
    stft,
    window_function,
)

SETTINGS = [
    Stft(),
    Stft(n_fft=1024, hop_length=512, window="hamming", pad_mode="constant"),
    Stft(n_fft=400, hop_length=160, pad_mode="edge"),  # the hop does not divide the frame
    Stft(n_fft=400, hop_length=147, window="blackman"),  # no common divisor: gathered on jax
    Stft(n_fft=512, hop_length=128, win_length=400, pad_mode="symmetric"),
    Stft(n_fft=256, hop_length=256, framing="start", window="boxcar"),
    Stft(n_fft=128, hop_length=200, framing="start"),  # frames with gaps between them
    Stft(n_fft=255, hop_length=64, win_length=100),  # odd
    Stft(window="hann_symmetric"),
]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("length", [1, 2, 5, 512])
def test_windows_equal_scipy(name, length):
    symmetric = name.endswith("_symmetric")
    expected = scipy.signal.get_window(
        name.removesuffix("_symmetric"), length, fftbins=not symmetric
    )
    np.testing.assert_allclose(window_function(name, length), expected, atol=1e-12)


@pytest.mark.parametrize("settings", SETTINGS)
def test_stft_equals_librosa(settings):
    audio = noise(8000)
    s = settings
    window = window_function(s.window, s.win_length or s.n_fft)
    expected = librosa.stft(
        audio,
        n_fft=s.n_fft,
        hop_length=s.hop_length,
        win_length=s.win_length,
        window=window,
        center=s.framing == "center",
        pad_mode=s.pad_mode,
    ).T
    found = stft(audio, s)
    scale = np.abs(expected).max()
    assert found.shape == expected.shape == (s.num_frames(8000), s.num_bins)
    np.testing.assert_allclose(found, expected, atol=1e-12 * scale)
    single = stft(audio.astype(np.float32), s)
    assert single.dtype == np.complex64
    np.testing.assert_allclose(single, expected, atol=1e-5 * scale)
    np.testing.assert_allclose(magnitude_spectrogram(audio, s), np.abs(expected), rtol=1e-5)
    np.testing.assert_allclose(power_spectrogram(audio, s), np.abs(expected) ** 2, rtol=1e-5)


@pytest.mark.parametrize("settings", SETTINGS)
def test_numpy_equals_jax(settings):
    audio = noise(3, 2, 4000).astype(np.float32)
    host = stft(audio, settings)
    device = jax.jit(stft, static_argnums=1)(jnp.asarray(audio), settings)
    assert host.dtype == device.dtype and host.shape == device.shape
    np.testing.assert_allclose(host, device, atol=1e-5 * np.abs(host).max())
    np.testing.assert_array_equal(frames(audio, settings), frames(jnp.asarray(audio), settings))


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("pad_mode", PAD_MODES)
@pytest.mark.parametrize("length", [1, 2, 100, 257])
def test_clips_shorter_than_their_padding(pad_mode, length):
    audio = noise(length).astype(np.float32)
    host = frames(audio, pad_mode=pad_mode)
    assert host.shape == (1 + length // 256, 512)
    np.testing.assert_array_equal(host, frames(jnp.asarray(audio), pad_mode=pad_mode))
    np.testing.assert_array_equal(host[0, 256 : 256 + length], audio[:256])


@pytest.mark.parametrize(("n_fft", "hop_length"), [(512, 256), (400, 160), (1024, 441)])
def test_no_gather_when_frame_and_hop_share_a_divisor(n_fft, hop_length):
    audio = jnp.zeros((2, 16000))
    program = jax.make_jaxpr(lambda x: frames(x, n_fft=n_fft, hop_length=hop_length))(audio)
    assert ("gather" in str(program)) == (hop_length == 441)


def test_frames_start_where_the_settings_say():
    audio = np.arange(1000, dtype=np.float32)
    whole = frames(audio, n_fft=100, hop_length=50, framing="start")
    np.testing.assert_array_equal(whole[:, 0], np.arange(0, 901, 50))
    centred = frames(audio, n_fft=100, hop_length=50)
    np.testing.assert_array_equal(centred[:, 50][:-1], np.arange(0, 951, 50))


def test_constants_are_made_once_and_cannot_be_changed():
    window = window_function("hann", 512)
    assert window_function("hann", 512) is window
    with pytest.raises(ValueError, match="read-only"):
        window[0] = 1


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("function", [stft, magnitude_spectrogram, power_spectrogram])
def test_gradients_are_finite_at_silence(function):
    gradient = jax.grad(lambda x: jnp.abs(function(x)).sum())
    assert np.isfinite(gradient(jnp.ones(1000) * 0.5)).all()
    if function is not stft:
        np.testing.assert_array_equal(gradient(jnp.zeros(1000)), 0)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_precision(dtype):
    found = stft(noise(1000).astype(dtype))
    assert found.dtype == (np.complex128 if dtype == np.float64 else np.complex64)
    if dtype != np.float64:
        assert stft(jnp.asarray(noise(1000), dtype)).dtype == np.complex64
    assert stft(jnp.ones(1000, jnp.bfloat16)).dtype == np.complex64


def test_errors():
    with pytest.raises(TypeError, match="waveform is int16.*divide int16 by 32768"):
        stft(np.zeros(1000, np.int16))
    with pytest.raises(TypeError, match="waveform is int32"):
        stft(jnp.zeros(1000, jnp.int32))
    with pytest.raises(TypeError, match="got a list"):
        stft([0.0] * 1000)
    with pytest.raises(ValueError, match="a waveform of 0 samples.*at least 1"):
        stft(np.zeros(0))
    with pytest.raises(ValueError, match="a waveform of 511 samples.*'start'.*at least 512"):
        stft(np.zeros(511), framing="start")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("window", "hanning"),
        ("framing", "left"),
        ("pad_mode", "mirror"),
        ("win_length", 513),
        ("win_length", 0),
        ("hop_length", 0),
    ],
)
def test_errors_name_the_field(field, value):
    with pytest.raises(ValueError, match=f"features.{field} is"):
        dataclasses.replace(Stft(), **{field: value})
