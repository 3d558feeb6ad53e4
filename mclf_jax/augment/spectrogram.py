"""Augmentations of log-mel spectrograms [..., F, M] in dB: of level, timbre, time and bands."""

import dataclasses
from typing import ClassVar

import numpy as np

from mclf_jax.audio.features import array_module
from mclf_jax.augment import base
from mclf_jax.augment.base import Array, Key


class _OfSpectrograms(base.Checked):
    example_ndim: ClassVar[int] = 2
    limits = {
        "max_db": (0, np.inf),
        "std_db": (0, np.inf),
        "num_points": (2, np.inf),
        "num_masks": (0, np.inf),
        "max_fraction": (0, 1),
        "max_bands": (0, np.inf),
    }


@dataclasses.dataclass(frozen=True)
class SpectrogramGain(_OfSpectrograms):
    """Louder or softer by up to `max_db`, uniform in decibels; the same for a whole example.

    >>> SpectrogramGain(6.0)(np.random.default_rng(0), np.zeros((1, 3))).round(2)
    array([[1.64, 1.64, 1.64]])
    """

    max_db: float

    def __call__(self, key: Key, x: Array) -> Array:
        change_db = base.uniform(key, x.shape[:-2], -self.max_db, self.max_db)
        return x + change_db[..., None, None].astype(x.dtype)


@dataclasses.dataclass(frozen=True)
class Equalizer(_OfSpectrograms):
    """A smooth random filter, the same for all frames of an example.

    Normal gains with `std_db` at `num_points` evenly spaced bands, linear in between; the
    linear FilterAugment (Nam et al. 2022) with a normal distribution.

    >>> Equalizer(3.0, num_points=2)(np.random.default_rng(0), np.zeros((1, 3))).round(2)
    array([[ 3.35, -0.4 , -4.16]])
    """

    std_db: float
    num_points: int = 5

    def __call__(self, key: Key, x: Array) -> Array:
        gains_db = self.std_db * base.normal(key, (*x.shape[:-2], self.num_points))
        # Not a matrix product, which accelerators may round to half precision.
        between = array_module(x).asarray(self._weights(x.shape[-1]))
        at_bands = (gains_db[..., None] * between).sum(axis=-2)
        return x + at_bands[..., None, :].astype(x.dtype)

    def _weights(self, num_bands: int) -> np.ndarray:
        """Linear interpolation from points to bands, float32 [num_points, M]."""
        band = np.linspace(0, self.num_points - 1, num_bands)
        distance = np.abs(band - np.arange(self.num_points)[:, None])
        return np.maximum(0, 1 - distance).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class FrameShift(_OfSpectrograms):
    """Later or earlier by up to `max_fraction` of the frames; what leaves comes in again.

    >>> FrameShift()(np.random.default_rng(0), np.arange(4.0)[:, None]).ravel()
    array([2., 3., 0., 1.])
    """

    max_fraction: float = 0.5

    def __call__(self, key: Key, x: Array) -> Array:
        xp, num_frames = array_module(x), x.shape[-2]
        furthest = int(self.max_fraction * num_frames)
        shift = base.integers(key, x.shape[:-2], -furthest, furthest)
        frame = (xp.arange(num_frames) - shift[..., None]) % num_frames
        return xp.take_along_axis(x, frame[..., None], axis=-2)


@dataclasses.dataclass(frozen=True)
class TimeMask(_OfSpectrograms):
    """`num_masks` stretches of up to `max_fraction` of the frames become the example's mean.

    SpecAugment's time masking (Park et al. 2019) without time warping; widths and positions
    are uniform.

    >>> TimeMask(1, 0.5)(np.random.default_rng(0), np.arange(6.0)[:, None]).ravel()
    array([0. , 1. , 2.5, 2.5, 4. , 5. ])
    """

    num_masks: int = 2
    max_fraction: float = 0.1

    def __call__(self, key: Key, x: Array) -> Array:
        widest = self.max_fraction * x.shape[-2]
        masked = _masked(key, x, length=x.shape[-2], num_masks=self.num_masks, widest=widest)
        return _with_mean(x, masked[..., :, None])


@dataclasses.dataclass(frozen=True)
class FreqMask(_OfSpectrograms):
    """`num_masks` runs of up to `max_bands` mel bands become the example's mean (SpecAugment).

    >>> FreqMask(1, 3)(np.random.default_rng(0), np.arange(6.0)[None])
    array([[0. , 1. , 2.5, 2.5, 4. , 5. ]])
    """

    num_masks: int = 2
    max_bands: int = 8

    def __call__(self, key: Key, x: Array) -> Array:
        widest = float(self.max_bands)
        masked = _masked(key, x, length=x.shape[-1], num_masks=self.num_masks, widest=widest)
        return _with_mean(x, masked[..., None, :])


def _masked(key: Key, x: Array, *, length: int, num_masks: int, widest: float) -> Array:
    """Bool [..., length], true inside of the masks of an example."""
    width_key, start_key = base.split(key, 2)
    shape = (*x.shape[:-2], num_masks, 1)
    width = base.uniform(width_key, shape, 0.0, 1.0) * min(widest, length)
    start = base.uniform(start_key, shape, 0.0, 1.0) * (length - width)
    position = np.arange(length)
    return ((position >= start) & (position < start + width)).any(axis=-2)


def _with_mean(x: Array, masked: Array) -> Array:
    return array_module(x).where(masked, x.mean(axis=(-2, -1), keepdims=True), x)
