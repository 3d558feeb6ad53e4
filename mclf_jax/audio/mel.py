"""Mel and cepstral filters: the scales, the triangular filter bank, and the cosine transform."""

import functools
import itertools
from typing import Any

import numpy as np

from mclf_jax.audio.arrays import Array, array_module, matmul
from mclf_jax.audio.stft import bin_frequencies_hz

MEL_SCALES = ("htk", "slaney", "kaldi")
MEL_NORMS = ("none", "slaney")
# Bands in a product: a third of them where a compiler makes it, few where numpy calls for it. Small
# ones are done by one thread, and leave none behind that waits for more and keeps a processor busy.
_NUMPY_BANDS = 16


def mel_filter_bank(settings: Any) -> np.ndarray:
    """Triangular mel filters, float64 [n_fft//2 + 1, n_mels], read-only.

    Equal, transposed, to `librosa.filters.mel` and, for an even n_fft, to torchaudio's
    `melscale_fbanks`, which places the last bin of an odd one at half the rate.

    Args:
        settings: `LogMel`, `Mfcc` or whatever else has their fields.
    """
    return _filter_bank(*_arguments(settings))


def apply_mel_filters(energies: Array, settings: Any) -> Array:
    """Energies [..., n_fft//2 + 1] through `mel_filter_bank`, [..., n_mels], numpy or jax.

    In a few products of neighbouring bands with the bins that they see: most of the matrix is 0.
    """
    xp, arguments = array_module(energies), _arguments(settings)
    count = max(3, -(-settings.n_mels // _NUMPY_BANDS)) if xp is np else 3
    parts = [
        matmul(energies[..., slice(*bins)], xp.asarray(block))
        for bins, block in _blocks(arguments, count, np.dtype(energies.dtype))
    ]
    return xp.concatenate(parts, axis=-1)


def _arguments(s: Any) -> tuple:
    sizes = (s.sample_rate_hz, s.n_fft, s.n_mels, s.f_min_hz, s.top_hz)
    return *sizes, s.mel_scale, s.mel_norm


@functools.lru_cache(maxsize=64)
def _filter_bank(sample_rate_hz, n_fft, n_mels, f_min_hz, f_max_hz, scale, norm) -> np.ndarray:
    edges_hz = _edges_hz(n_mels, f_min_hz, f_max_hz, scale)
    bins_hz = bin_frequencies_hz(n_fft=n_fft, sample_rate_hz=sample_rate_hz)[:, None]
    places, edges = bins_hz, edges_hz
    if scale == "kaldi":  # whose triangles have straight sides over mels
        places, edges = hz_to_mel(bins_hz, scale), hz_to_mel(edges_hz, scale)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (places - left) / (centre - left)
    falling = (right - places) / (right - centre)
    bank = np.maximum(0.0, np.minimum(rising, falling))
    if norm == "slaney":
        bank = bank * (2.0 / (edges_hz[2:] - edges_hz[:-2]))
    bank.flags.writeable = False
    return bank


@functools.lru_cache(maxsize=64)
def _blocks(
    arguments: tuple, count: int, dtype: np.dtype
) -> tuple[tuple[tuple[int, int], np.ndarray], ...]:
    """(first bin, end), filters [bins, bands] of up to `count` groups of neighbouring bands."""
    bank = _filter_bank(*arguments)
    ends = np.unique(np.linspace(0, bank.shape[1], count + 1).astype(int)).tolist()
    blocks = []
    for bands in itertools.pairwise(ends):
        used = np.flatnonzero(bank[:, slice(*bands)].any(axis=1)).tolist() or [0]
        bins = used[0], used[-1] + 1
        block = bank[slice(*bins), slice(*bands)].astype(dtype)
        block.flags.writeable = False
        blocks.append((bins, block))
    return tuple(blocks)


def mel_frequencies_hz(settings: Any) -> np.ndarray:
    """Centre frequency of each mel band, [n_mels] in Hz, for the axes of plots."""
    s = settings
    return _edges_hz(s.n_mels, s.f_min_hz, s.top_hz, s.mel_scale)[1:-1]


def _edges_hz(n_mels: int, f_min_hz: float, f_max_hz: float, scale: str) -> np.ndarray:
    low, high = hz_to_mel(np.array([f_min_hz, f_max_hz]), scale)
    return mel_to_hz(np.linspace(low, high, n_mels + 2), scale)


# Slaney's Auditory Toolbox: linear to 1 kHz at 200/3 Hz a mel, then 27 mels for a factor of 6.4.
_SLANEY_HZ_PER_MEL = 200.0 / 3
_SLANEY_BREAK_HZ = 1000.0
_SLANEY_BREAK_MEL = _SLANEY_BREAK_HZ / _SLANEY_HZ_PER_MEL
_SLANEY_LOG_STEP = np.log(6.4) / 27.0


def hz_to_mel(hz: np.ndarray, scale: str) -> np.ndarray:
    """Frequencies in Hz to mels, elementwise; `scale` is one of `MEL_SCALES`.

    >>> hz_to_mel(np.array([0.0, 1000.0]), "htk").round(1)
    array([   0., 1000.])
    """
    if scale != "slaney":
        return 2595.0 * np.log10(1.0 + hz / 700.0)
    above = np.log(np.maximum(hz, _SLANEY_BREAK_HZ) / _SLANEY_BREAK_HZ) / _SLANEY_LOG_STEP
    return np.where(hz < _SLANEY_BREAK_HZ, hz / _SLANEY_HZ_PER_MEL, _SLANEY_BREAK_MEL + above)


def mel_to_hz(mel: np.ndarray, scale: str) -> np.ndarray:
    """Mels to frequencies in Hz, elementwise.

    >>> mel_to_hz(np.array([0.0, 1000.0]), "htk").round(1)
    array([   0., 1000.])
    """
    if scale != "slaney":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    above = _SLANEY_BREAK_HZ * np.exp(
        _SLANEY_LOG_STEP * (np.maximum(mel, _SLANEY_BREAK_MEL) - _SLANEY_BREAK_MEL)
    )
    return np.where(mel < _SLANEY_BREAK_MEL, mel * _SLANEY_HZ_PER_MEL, above)


@functools.lru_cache(maxsize=32)
def cosine_transform(num_inputs: int, num_coefficients: int, lifter: float = 0.0) -> np.ndarray:
    """Orthonormal type-II discrete cosine transform as a matrix, float64 [num_inputs, C].

    Args:
        num_inputs: length of what is transformed.
        num_coefficients: C, how many of the lowest are kept.
        lifter: L > 0 weighs coefficient c = 1, 2, ... by 1 + L/2 sin(pi c / L); 0 leaves them.

    >>> cosine_transform(2, 2).round(2)
    array([[ 0.71,  0.71],
           [ 0.71, -0.71]])
    """
    position = (np.arange(num_inputs)[:, None] + 0.5) / num_inputs
    order = np.arange(num_coefficients)
    matrix = np.cos(np.pi * position * order) * np.sqrt(2.0 / num_inputs)
    matrix[:, 0] /= np.sqrt(2.0)
    if lifter:
        matrix *= 1 + lifter / 2 * np.sin(np.pi * (order + 1) / lifter)
    matrix.flags.writeable = False
    return matrix
