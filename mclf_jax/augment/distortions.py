"""Distortions of PASE+ (Ravanelli et al. 2020): silences, a lower rate, and a missing band."""

import dataclasses
import math

import numpy as np

from mclf_jax.audio.features import array_module
from mclf_jax.augment import base
from mclf_jax.augment.base import Array, Key
from mclf_jax.augment.convolution import convolve
from mclf_jax.augment.filters import low_pass
from mclf_jax.common import checks

INTERPOLATIONS = ("sinc", "hold")
_BAND_EDGE_HZ = 62.5  # how sharp the edges of a missing band are
_SILENCE = 1e-30  # energy of what no scale makes heard


@dataclasses.dataclass(frozen=True)
class Chop(base.WaveformAugmentation):
    """Silences 1 to `max_chops` short stretches.

    The published code puts them in the middle of stretches in which there is a voice; here they
    are anywhere.

    Attributes:
        sample_rate_hz: rate of the waveform.
        max_chops: how many at most, each number equally often; 5 in the published code.
        durations_s: (mean, standard deviation) of normal distributions, one of which is drawn
            for each stretch. What comes out negative is nothing.

    >>> Chop(8)(np.random.default_rng(0), np.ones(8))
    array([1., 1., 1., 1., 1., 1., 1., 0.])
    """

    sample_rate_hz: int
    max_chops: int = 5
    durations_s: tuple[tuple[float, float], ...] = ((0.05, 0.025), (0.1, 0.05))
    limits = {"max_chops": (1, math.inf)}

    def __post_init__(self):
        super().__post_init__()
        durations_s = tuple(tuple(float(s) for s in pair) for pair in self.durations_s)
        object.__setattr__(self, "durations_s", durations_s)
        if not durations_s or any(len(p) != 2 or not min(p) >= 0 for p in durations_s):
            raise ValueError(
                f"durations_s is {self.durations_s}; it must have at least one (mean, standard "
                "deviation), none negative"
            )

    def augment(self, key: Key, x: Array) -> Array:
        number_key, place_key, kind_key, normal_key = base.split(key, 4)
        shape = (*x.shape[:-1], self.max_chops)
        number = base.integers(number_key, x.shape[:-1], 1, self.max_chops)
        centre = base.uniform(place_key, shape, 0.0, float(x.shape[-1]))
        kind = base.integers(kind_key, shape, 0, len(self.durations_s) - 1)
        xp = array_module(centre)
        drawn = xp.asarray(np.array(self.durations_s, np.float32))[kind]
        duration_s = drawn[..., 0] + drawn[..., 1] * base.normal(normal_key, shape)
        duration_s = xp.where(xp.arange(self.max_chops) < number[..., None], duration_s, 0.0)
        return chop(x, centre, duration_s * self.sample_rate_hz)


@dataclasses.dataclass(frozen=True)
class Downsample(base.WaveformAugmentation):
    """As loud as before, but as if recorded at a lower rate, one of several.

    Attributes:
        sample_rate_hz: rate of the waveform, and of the result.
        rates_hz: what to choose from, equally often; 8 kHz of 16 kHz in PASE+.
        interpolation: how the lower rate becomes the one of the waveform again. "sinc", as
            published: perfectly, so that what is left is the low-pass. "hold": each sample lasts
            until the next one, as in old samplers, whose mirrored spectrum is heard.

    >>> Downsample(8, (4,), "hold")(np.random.default_rng(0), np.ones(8)).round(2)
    array([1., 1., 1., 1., 1., 1., 1., 1.])
    """

    sample_rate_hz: int
    rates_hz: tuple[float, ...] = (8000.0,)
    interpolation: str = "sinc"

    def __post_init__(self):
        super().__post_init__()
        checks.choice("interpolation", self.interpolation, INTERPOLATIONS)
        object.__setattr__(self, "rates_hz", tuple(float(rate) for rate in self.rates_hz))
        if not self.rates_hz or not all(0 < rate <= self.sample_rate_hz for rate in self.rates_hz):
            raise ValueError(
                f"rates_hz is {self.rates_hz}; it must have at least one rate, none above "
                f"sample_rate_hz ({self.sample_rate_hz})"
            )

    def augment(self, key: Key, x: Array) -> Array:
        choice = base.integers(key, x.shape[:-1], 0, len(self.rates_hz) - 1)
        xp = array_module(choice)
        rate_hz = xp.asarray(np.array(self.rates_hz, np.float32))[choice]
        y = low_pass(
            x,
            rate_hz / 2,
            sample_rate_hz=self.sample_rate_hz,
            min_cutoff_hz=min(self.rates_hz) / 2,
        )
        if self.interpolation == "hold":
            factors = [self.sample_rate_hz / rate for rate in self.rates_hz]
            places = np.stack([held_places(x.shape[-1], factor=factor) for factor in factors])
            y = xp.take_along_axis(y, xp.asarray(places)[choice], axis=-1)
        return as_loud_as(x, y)


@dataclasses.dataclass(frozen=True)
class BandDrop(base.WaveformAugmentation):
    """As loud as before, but without a band of frequencies.

    The published code draws from a folder of band-stop filters that is not public; centres here
    are uniform on a log scale.

    Attributes:
        sample_rate_hz: rate of the waveform.
        min_hz, max_hz: of the centre; the highest is at most half the rate.
        min_octaves, max_octaves: how wide, uniform. Edges are 63 Hz blurred.

    >>> BandDrop(8000)(np.random.default_rng(0), np.ones((2, 800))).shape
    (2, 800)
    """

    sample_rate_hz: int
    min_hz: float = 100.0
    max_hz: float | None = None
    min_octaves: float = 0.25
    max_octaves: float = 1.0

    def __post_init__(self):
        if self.max_hz is None:
            object.__setattr__(self, "max_hz", self.sample_rate_hz / 2)
        super().__post_init__()

    @property
    def limits(self) -> dict[str, tuple[float, float]]:
        return {"hz": (0, self.sample_rate_hz / 2), "octaves": (0, math.inf)}

    def augment(self, key: Key, x: Array) -> Array:
        centre_key, width_key = base.split(key, 2)
        limits = (math.log2(self.min_hz), math.log2(self.max_hz))
        centre = base.uniform(centre_key, x.shape[:-1], *limits)
        half = self.draw("octaves", width_key, x) / 2
        edges_hz = (2.0 ** (centre - half), 2.0 ** (centre + half))
        return as_loud_as(x, band_stop(x, *edges_hz, sample_rate_hz=self.sample_rate_hz))


def chop(x: Array, centre: Array, length: Array) -> Array:
    """x [..., T] with silence around places [..., N], so many samples [..., N] wide."""
    xp = array_module(x)
    time = xp.arange(x.shape[-1], dtype="float32")
    heard = xp.ones(x.shape, bool)
    # One stretch at a time: all of them at once would be N times as large as x.
    for i in range(centre.shape[-1]):
        distance = xp.abs(time - centre[..., i, None])
        heard = heard & (distance >= length[..., i, None] / 2)
    return xp.where(heard, x, 0.0)


def held_places(length: int, *, factor: float) -> np.ndarray:
    """Where each sample comes from if one lasts until the next multiple of `factor`, [length]."""
    # A little off the quotient, whose rounding could fall on the wrong side of a whole number.
    multiple = np.floor(np.arange(length) / factor + 1e-9)
    return np.ceil(multiple * factor - 1e-6).astype(np.int32)


def band_stop(
    x: Array, low_hz: Array | float, high_hz: Array | float, *, sample_rate_hz: float
) -> Array:
    """x [..., T] without what is between two frequencies, one number or one per example.

    A windowed-sinc filter of linear phase: the difference of two low-passes, taken off.
    """
    xp = array_module(x)
    half_width = round(sample_rate_hz / _BAND_EDGE_HZ)
    offset = np.arange(-half_width, half_width + 1)
    window = (0.5 + 0.5 * np.cos(np.pi * offset / half_width)).astype(x.dtype)
    low, high = (
        2 * xp.minimum(base.per_example(x, edge_hz) / sample_rate_hz, 0.5)
        for edge_hz in (low_hz, high_hz)
    )
    steps = xp.asarray(offset.astype(x.dtype))
    band = (high * xp.sinc(high * steps) - low * xp.sinc(low * steps)) * window
    taps = (offset == 0).astype(x.dtype) - band
    padded = base.pad(x, half_width, half_width, mode="edge")
    return convolve(padded, taps.astype(x.dtype))


def as_loud_as(x: Array, y: Array) -> Array:
    """y with the energy of x, [..., T] both; x itself where nothing of it is left."""
    xp = array_module(x)
    before, after = ((z**2).sum(axis=-1, keepdims=True) for z in (x, y))
    # What rounding leaves of a signal must not be made a signal again.
    left = after > 1e-8 * before + _SILENCE
    ratio = xp.where(left, before / xp.where(left, after, 1.0), 0.0)
    scale = xp.sqrt(xp.where(left, ratio, 1.0))
    return xp.where(left, y * scale, x).astype(x.dtype)
