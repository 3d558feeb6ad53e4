"""The harmonic stack: triangular filters at the harmonics of every pitch, harmonics as channels.

From Won, Chun, Nieto and Serra, "Data-driven harmonic filters for audio representation learning"
(ICASSP 2020), equations 2 to 5. The harmonic network learns its Q; here it is a number.
"""

from typing import Any

import numpy as np

from mclf_jax.audio.arrays import Array, array_module, matmul, replaced
from mclf_jax.audio.compress import power_to_db
from mclf_jax.audio.stft import Stft, power_spectrogram

_LOWEST_NOTE = 24  # C1, in MIDI numbers


def harmonic_stack(
    waveform: Array,
    settings: Stft | None = None,
    *,
    num_harmonics: int = 6,
    bands_per_semitone: int = 2,
    q: float = 1.0,
    amin: float = 1e-10,
    **changes: Any,
) -> Array:
    """Energies around f, 2f, 3f, ... in decibels.

    Args:
        waveform: floating point [..., T], numpy or jax.
        settings: `Stft()` when not given.
        num_harmonics: H.
        bands_per_semitone: resolution of the L pitches.
        q: divides the bandwidths.
        amin: floor of the energies before the logarithm.
        **changes: fields of `Stft` to replace.

    Returns:
        [..., F, L, H].
    """
    settings = replaced(settings or Stft(), changes)
    rate = settings.sample_rate_hz
    centres_hz = harmonic_centres_hz(
        rate, num_harmonics=num_harmonics, bands_per_semitone=bands_per_semitone
    )
    power = power_spectrogram(waveform, settings)
    return power_to_db(harmonic_bands(power, centres_hz, sample_rate_hz=rate, q=q), amin=amin)


def harmonic_centres_hz(
    sample_rate_hz: float, *, num_harmonics: int = 6, bands_per_semitone: int = 2
) -> np.ndarray:
    """Float64 [H, L] centre frequencies.

    The fundamentals go from C1 to the note whose highest harmonic is at half the sample rate.
    """
    top_hz = sample_rate_hz / (2 * num_harmonics)
    highest = round(69 + 12 * np.log2(top_hz / 440))
    num_bands = (highest - _LOWEST_NOTE) * bands_per_semitone
    notes = np.linspace(_LOWEST_NOTE, highest, num_bands + 1)[:-1]
    fundamentals_hz = 440 * 2 ** ((notes - 69) / 12)
    return np.arange(1, num_harmonics + 1)[:, None] * fundamentals_hz


def harmonic_bands(
    power: Array, centres_hz: np.ndarray, *, sample_rate_hz: float, q: float | Array = 1.0
) -> Array:
    """Power [..., F, bins] through triangular filters at `centres_hz` [H, L] -> [..., F, L, H].

    The bandwidth grows with frequency as that of the ear, (0.1079 f + 24.7) / q.
    """
    xp = array_module(power)
    centre = xp.asarray(centres_hz.reshape(-1), power.dtype)
    bins = xp.asarray(np.linspace(0, sample_rate_hz / 2, power.shape[-1]), power.dtype)
    bandwidth = (0.1079 * centre + 24.7) / q
    filters = xp.maximum(0.0, 1.0 - xp.abs(2 * (bins[:, None] - centre) / bandwidth))
    bands = matmul(power, filters)
    return bands.reshape(*power.shape[:-1], *centres_hz.shape).swapaxes(-1, -2)
