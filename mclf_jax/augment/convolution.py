"""Convolution by FFT with a filter of its own for each example, in numpy and in jax."""

import math
import sys
from types import ModuleType

import numpy as np

from mclf_jax.audio.features import array_module
from mclf_jax.augment.base import Array, pad


def convolve(x: Array, taps: Array) -> Array:
    """Where filter and signal overlap fully: x [..., T], taps [..., K] -> [..., T - K + 1].

    y[t] = sum_k taps[k] x[t + K - 1 - k], as `numpy.convolve(x, taps, mode="valid")`. Long
    signals are filtered in overlapping blocks of a length that fits the filter (overlap-save).
    """
    xp, fft = array_module(x), fft_module(x)
    length, num_taps = x.shape[-1], taps.shape[-1]
    block = _best_block(length, num_taps)
    step = block - num_taps + 1
    count = math.ceil((length - num_taps + 1) / step)
    if count == 1:
        spectrum = fft.rfft(x, block) * fft.rfft(taps, block)
        return fft.irfft(spectrum, block)[..., num_taps - 1 : length]
    missing = (count - 1) * step + block - length
    x = pad(x, 0, missing)
    blocks = xp.stack([x[..., i * step : i * step + block] for i in range(count)], axis=-2)
    spectrum = fft.rfft(blocks) * fft.rfft(taps, block)[..., None, :]
    kept = fft.irfft(spectrum, block)[..., num_taps - 1 :]
    return kept.reshape(*x.shape[:-1], -1)[..., : length - num_taps + 1]


def fft_module(x: Array) -> ModuleType:
    """Of the array: scipy's for numpy, up to three times as fast as numpy's own, or jax's."""
    if isinstance(x, np.ndarray):
        import scipy.fft

        return scipy.fft
    return sys.modules["jax"].numpy.fft


def fast_length(num_samples: int) -> int:
    """The next length that FFTs are fast at: 8, 9, 10, 12 or 15 times a power of two, even."""
    lengths = (m * 2 ** max(1, math.ceil(math.log2(num_samples / m))) for m in (8, 9, 10, 12, 15))
    return min(lengths)


def _best_block(length: int, num_taps: int) -> int:
    whole = fast_length(length)
    halves = [2**k for k in range(6, 24) if 2 * num_taps <= 2**k < whole]
    return min([whole, *halves], key=lambda block: _cost(block, length, num_taps))


def _cost(block: int, length: int, num_taps: int) -> float:
    """Multiplications, about: two transforms for each block and one for the filter."""
    count = math.ceil((length - num_taps + 1) / (block - num_taps + 1))
    return (2 * count + 1) * block * math.log2(block)
