"""The inverse of the short-time Fourier transform: what it undoes, and what comes closest."""

import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax.audio.features import Stft, istft, stft, window_function

RNG = np.random.default_rng(0)
WAVES = RNG.standard_normal((2, 501)).astype(np.float32)


@pytest.mark.parametrize(
    "settings",
    [
        Stft(n_fft=64, hop_length=16),
        Stft(n_fft=64, hop_length=17, win_length=40, window="hamming"),
        Stft(n_fft=63, hop_length=20, pad_mode="constant", window="hann_symmetric"),
        Stft(n_fft=64, hop_length=23, framing="start", window="boxcar"),
    ],
)
def test_undoes_the_transform(settings):
    spectrum = stft(WAVES, settings)
    found = istft(spectrum, settings, num_samples=501)
    whole = (settings.num_frames(501) - 1) * settings.hop_length + settings.n_fft
    end = whole if settings.framing == "start" else 501
    np.testing.assert_allclose(found[:, :end], WAVES[:, :end], atol=2e-6)
    assert found.dtype == np.float32 and not found[:, end:].any()
    inside = istft(jnp.asarray(spectrum), settings, num_samples=501)
    np.testing.assert_allclose(inside, found, atol=2e-6)


def test_of_what_is_no_spectrum_the_closest_waveform():
    settings = Stft(n_fft=16, hop_length=4, framing="start")
    frames, window = RNG.standard_normal((7, 16)), window_function("hann", 16)
    total, weights = np.zeros(40), np.zeros(40)
    for k, frame in enumerate(frames):
        total[4 * k : 4 * k + 16] += window * frame
        weights[4 * k : 4 * k + 16] += window**2
    found = istft(np.fft.rfft(frames), settings, num_samples=40)
    np.testing.assert_allclose(found[1:], total[1:] / weights[1:], atol=1e-12)


def test_what_cannot_be_undone():
    spectrum = stft(WAVES, n_fft=64, hop_length=80)
    with pytest.raises(ValueError, match="hop_length is 80, of windows that leave samples"):
        istft(spectrum, n_fft=64, hop_length=80, num_samples=501)
    with pytest.raises(ValueError, match=r"\(7, 33\) frames and bins; of 600 samples there are"):
        istft(spectrum, n_fft=64, hop_length=80, num_samples=600)
    with pytest.raises(ValueError, match="preemphasis is 0.97; it must be 0"):
        istft(spectrum, n_fft=64, preemphasis=0.97, num_samples=501)
