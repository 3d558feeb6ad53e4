"""Less between loud and soft, as mastering and broadcast leave of music."""

import dataclasses

import numpy as np

from mclf_jax.audio.features import array_module
from mclf_jax.augment import base
from mclf_jax.augment.base import Array, Key
from mclf_jax.augment.convolution import convolve
from mclf_jax.augment.distortions import as_loud_as

_LEVEL_S = 0.02  # over which a compressor takes the level
_SILENCE = 1e-20


@dataclasses.dataclass(frozen=True)
class Compressor(base.WaveformAugmentation):
    """As loud as before, but with less between loud and soft, as in mastering and broadcast.

    What is above the threshold is turned down until only 1/ratio of it is left, in decibels
    (Giannoulis, Massberg and Reiss 2012); the level is that of 20 ms around each sample, so that
    nothing attacks too late.

    Attributes:
        sample_rate_hz: rate of the waveform.
        min_ratio, max_ratio: range of the ratio, uniform; 1 changes nothing.
        threshold_db: relative to the level of the whole example.

    >>> Compressor(8000)(np.random.default_rng(0), np.ones((2, 800))).shape
    (2, 800)
    """

    sample_rate_hz: int
    min_ratio: float = 2.0
    max_ratio: float = 8.0
    threshold_db: float = -20.0
    limits = {"ratio": (1, 100), "threshold_db": (-100, 100)}

    def augment(self, key: Key, x: Array) -> Array:
        ratio = self.draw("ratio", key, x)
        how = {"threshold_db": self.threshold_db, "sample_rate_hz": self.sample_rate_hz}
        return compress(x, ratio, **how)


def compress(
    x: Array, ratio: Array | float, *, threshold_db: float, sample_rate_hz: float
) -> Array:
    """x [..., T] with less of a range, the ratio one number or one per example: `Compressor`."""
    xp = array_module(x)
    half = max(1, round(_LEVEL_S * sample_rate_hz / 2))
    window = np.hanning(2 * half + 3)[1:-1]
    taps = xp.broadcast_to(
        xp.asarray(window / window.sum(), dtype=x.dtype), (*x.shape[:-1], len(window))
    )
    power = convolve(base.pad(x**2, half, half, mode="edge"), taps)
    mean = (x**2).mean(axis=-1, keepdims=True)
    # FFTs leave a little below nothing.
    level_db = 10 * xp.log10((xp.maximum(power, 0) + _SILENCE) / (mean + _SILENCE))
    above_db = xp.maximum(level_db - threshold_db, 0)
    change_db = -(1 - 1 / base.per_example(x, ratio)) * above_db
    return as_loud_as(x, x * 10.0 ** (change_db / 20))
