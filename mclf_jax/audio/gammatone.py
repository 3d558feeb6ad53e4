"""Log energies behind a bank of gammatone filters, which resemble those of the inner ear."""

import numpy as np

from mclf_jax.audio.arrays import Array, constant, matmul
from mclf_jax.audio.compress import power_to_db
from mclf_jax.audio.stft import Stft, bin_frequencies_hz, power_spectrogram

# Glasberg and Moore 1990: ERB(f) = f / 9.26449 + 24.7 Hz; a filter is 1.019 of it wide.
_EAR_Q = 9.26449
_MIN_BANDWIDTH_HZ = 24.7
_BANDWIDTH_PER_ERB = 1.019


def gammatone(waveform: Array, settings: Stft, *, n_bands: int, f_min_hz: float) -> Array:
    """Energies behind gammatone filters of fourth order in decibels, [..., T] -> [..., F, n_bands].

    Filters act on the spectrum of each frame, not on the waveform, by their approximate response
    in power, (1 + ((f - centre) / b)^2)^-4 (Patterson et al. 1992).

    Args:
        waveform: floating point [..., T], a numpy or a jax array.
        settings: of the frames.
        n_bands: centres are equally spaced on the ERB scale, the lowest one first.
        f_min_hz: the lowest centre; the highest is one step below half the rate.
    """
    power = power_spectrogram(waveform, settings)
    arguments = (settings.sample_rate_hz, settings.n_fft, n_bands, f_min_hz)
    return power_to_db(matmul(power, constant(_responses, *arguments, like=power)))


def gammatone_centres_hz(*, sample_rate_hz: float, n_bands: int, f_min_hz: float) -> np.ndarray:
    """Centre frequency of each filter, [n_bands] in Hz."""
    offset_hz = _EAR_Q * _MIN_BANDWIDTH_HZ
    low, high = np.log(f_min_hz + offset_hz), np.log(sample_rate_hz / 2 + offset_hz)
    return np.exp(np.linspace(low, high, n_bands, endpoint=False)) - offset_hz


def _responses(sample_rate_hz: float, n_fft: int, n_bands: int, f_min_hz: float) -> np.ndarray:
    """[n_fft//2 + 1, n_bands]"""
    centres_hz = gammatone_centres_hz(
        sample_rate_hz=sample_rate_hz, n_bands=n_bands, f_min_hz=f_min_hz
    )
    bandwidths_hz = _BANDWIDTH_PER_ERB * (centres_hz / _EAR_Q + _MIN_BANDWIDTH_HZ)
    bins_hz = bin_frequencies_hz(n_fft=n_fft, sample_rate_hz=sample_rate_hz)[:, None]
    return (1 + ((bins_hz - centres_hz) / bandwidths_hz) ** 2) ** -4.0
