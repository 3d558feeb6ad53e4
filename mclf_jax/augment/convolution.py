"""Convolution by FFT with a filter of its own for each example, in numpy and in jax."""

import functools
import math
import sys
from types import ModuleType

import numpy as np

from mclf_jax.audio.features import array_module
from mclf_jax.augment.base import Array, pad

_FAST = (8, 9, 10, 12, 15)  # times a power of two, lengths that FFTs are fast at
_AT_ONCE = 4  # transforms that scipy computes in the time of one, side by side in a register


def convolve(x: Array, taps: Array) -> Array:
    """Where filter and signal overlap fully: x [..., T], taps [..., K] -> [..., T - K + 1].

    y[t] = sum_k taps[k] x[t + K - 1 - k], as `numpy.convolve(x, taps, mode="valid")`. Long
    signals are filtered in overlapping blocks of a length that fits the filter (overlap-save).
    """
    num_taps = taps.shape[-1]
    block = best_block(x, num_taps)
    return convolve_spectrum(x, fft_module(x).rfft(taps, block), block=block, num_taps=num_taps)


def convolve_spectrum(x: Array, spectrum: Array, *, block: int, num_taps: int) -> Array:
    """`convolve` with a filter whose spectrum is at hand, where it stays the same.

    Args:
        x: [..., T].
        spectrum: [..., block // 2 + 1], of the filter with zeros behind it.
        block: length of the transforms, as `best_block` says.
        num_taps: K, of the filter.
    """
    fft, length = fft_module(x), x.shape[-1]
    step = block - num_taps + 1
    count = math.ceil((length - num_taps + 1) / step)
    if count == 1:
        found = fft.irfft(fft.rfft(x, block) * spectrum, block)
        return found[..., num_taps - 1 : length]
    x = pad(x, 0, (count - 1) * step + block - length)
    if isinstance(x, np.ndarray):  # without a copy
        shape, strides = (*x.shape[:-1], count, block), (*x.strides[:-1], step * x.strides[-1])
        blocks = np.lib.stride_tricks.as_strided(
            x, shape, (*strides, x.strides[-1]), writeable=False
        )
    else:
        starts = range(0, count * step, step)
        blocks = array_module(x).stack([x[..., i : i + block] for i in starts], axis=-2)
    spectra = fft.rfft(blocks)
    spectra *= spectrum[..., None, :]
    kept = fft.irfft(spectra, block)[..., num_taps - 1 :]
    return kept.reshape(*x.shape[:-1], -1)[..., : length - num_taps + 1]


def fft_module(x: Array) -> ModuleType:
    """Of the array: scipy's for numpy, up to three times as fast as numpy's own, or jax's."""
    if isinstance(x, np.ndarray):
        import scipy.fft

        return scipy.fft
    return sys.modules["jax"].numpy.fft


def fast_length(num_samples: int) -> int:
    """The next length that FFTs are fast at: 8, 9, 10, 12 or 15 times a power of two, even."""
    lengths = (m * 2 ** max(1, math.ceil(math.log2(num_samples / m))) for m in _FAST)
    return min(lengths)


def best_block(x: Array, num_taps: int) -> int:
    """How long the transforms are that convolve x [..., T] with so many taps soonest."""
    return _best_block(x.shape[-1], num_taps, _AT_ONCE if isinstance(x, np.ndarray) else 1)


@functools.lru_cache(maxsize=1024)
def _best_block(length: int, num_taps: int, at_once: int) -> int:
    whole = fast_length(length)
    if at_once == 1:
        shorter = [2**k for k in range(6, 24) if 2 * num_taps <= 2**k < whole]
    else:
        shorter = [m * 2**k for m in _FAST for k in range(3, 20) if num_taps < m * 2**k < whole]
    return min([whole, *shorter], key=lambda block: _cost(block, length, num_taps, at_once))


def _cost(block: int, length: int, num_taps: int, at_once: int) -> float:
    """Multiplications, about: two transforms for each block and one for the filter."""
    count = math.ceil((length - num_taps + 1) / (block - num_taps + 1))
    groups, single = divmod(count, at_once)
    return (2 * (groups + single) + 1) * block * math.log2(block)
