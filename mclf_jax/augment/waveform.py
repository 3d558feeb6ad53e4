"""Augmentations of waveforms: gain, noise, delay and the like, each drawn for every example."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from mclf_jax.audio.features import array_module
from mclf_jax.augment import base
from mclf_jax.augment.base import Array, Key
from mclf_jax.augment.convolution import fast_length, fft_module
from mclf_jax.common import checks

COLORS_DB_PER_OCTAVE = {"white": 0.0, "pink": -3.0, "brown": -6.0, "blue": 3.0, "violet": 6.0}
SHIFT_EDGES = ("wrap", "zeros")
_DB_PER_OCTAVE = 20 * math.log10(2)  # of an amplitude that is proportional to frequency
_SILENCE = 1e-30  # mean square of what no scale makes heard


@dataclasses.dataclass(frozen=True)
class Gain(base.WaveformAugmentation):
    """Louder or softer by [min_db, max_db], uniform in decibels; nothing is clipped.

    >>> Gain(6, 6)(np.random.default_rng(0), np.ones(3)).round(2)
    array([2., 2., 2.])
    """

    min_db: float = -18.0
    max_db: float = 6.0

    def augment(self, key: Key, x: Array) -> Array:
        return gain(x, self.draw("db", key, x))


@dataclasses.dataclass(frozen=True)
class PolarityInversion(base.WaveformAugmentation):
    """-x: inaudible, and unseen by spectrograms, but not by networks of raw samples.

    >>> PolarityInversion()(np.random.default_rng(0), np.ones(3))
    array([-1., -1., -1.])
    """

    def augment(self, key: Key, x: Array) -> Array:
        return -x


@dataclasses.dataclass(frozen=True)
class Noise(base.WaveformAugmentation):
    """Normal noise at a signal-to-noise ratio uniform in decibels; silence stays silent.

    The ratio is that of the mean squares of the very example and the very noise.

    Attributes:
        min_snr_db, max_snr_db: range of the ratio. torchaudio-augmentations draws the ratio r of
            the amplitudes of noise and signal, which is -20 log10(r) here.
        color: how the spectrum falls or rises: "white", "pink" (-3 dB an octave), "brown" (-6),
            "blue" (3), "violet" (6), or a range (low, high) of dB an octave to draw from.

    >>> Noise(20, 20)(np.random.default_rng(0), np.ones(3)).round(2)
    array([1.11, 0.87, 0.96])
    """

    min_snr_db: float = 5.0
    max_snr_db: float = 40.0
    color: str | tuple[float, float] = "white"

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.color, str):
            base.check_range(("color[0]", "color[1]"), self.color, -12, 12)
        elif self.color not in COLORS_DB_PER_OCTAVE:
            allowed = (*COLORS_DB_PER_OCTAVE, "or a range (low, high) of dB an octave")
            checks.choice("color", self.color, allowed)

    def augment(self, key: Key, x: Array) -> Array:
        noise_key, color_key, snr_key = base.split(key, 3)
        if self.color == "white":
            noise = base.normal(noise_key, x.shape)
        else:
            by_name = isinstance(self.color, str)
            slopes_db = (COLORS_DB_PER_OCTAVE[self.color],) * 2 if by_name else self.color
            slope_db = base.uniform(color_key, x.shape[:-1], *slopes_db)
            noise = colored_noise(noise_key, slope_db, num_samples=x.shape[-1])
        return mix(x, noise, self.draw("snr_db", snr_key, x))


@dataclasses.dataclass(frozen=True, eq=False)
class BackgroundMix(base.WaveformAugmentation):
    """Adds a random part of a random recording at a signal-to-noise ratio uniform in decibels.

    Attributes:
        background: waveforms [N, T'] or a sequence of [T'] of any lengths, at the rate of x.
            Short ones are repeated. Under `jax.jit` they become a constant of the program.
        min_snr_db, max_snr_db: range of the ratio of the mean squares of the very example and
            the very part. A silent part adds nothing.

    >>> BackgroundMix([np.ones(9)], 20, 20)(np.random.default_rng(0), np.ones(3)).round(2)
    array([1.1, 1.1, 1.1])
    """

    background: Sequence[np.ndarray] | np.ndarray = dataclasses.field(repr=False)
    min_snr_db: float = 3.0
    max_snr_db: float = 30.0

    def __post_init__(self):
        super().__post_init__()
        rows = [np.asarray(row, np.float32) for row in self.background]
        if not rows or any(row.ndim != 1 or not row.size for row in rows):
            raise ValueError(
                f"background has shapes {[row.shape for row in rows][:5]}; it must be waveforms "
                "[N, T] or a sequence of waveforms [T], at least one, none empty"
            )
        longest = max(row.size for row in rows)
        object.__setattr__(self, "background", np.stack([np.resize(row, longest) for row in rows]))

    def augment(self, key: Key, x: Array) -> Array:
        row_key, start_key, snr_key = base.split(key, 3)
        batch, length = x.shape[:-1], x.shape[-1]
        recordings, available = np.shape(self.background)
        row = base.integers(row_key, batch, 0, recordings - 1)
        start = base.integers(start_key, batch, 0, available - 1)
        # One long line in which the run of any row, wrapped around, is a run of samples.
        repeated = np.tile(self.background, 1 + math.ceil(length / available))
        line = array_module(x).asarray(repeated.reshape(1, -1))
        width = repeated.shape[1]
        first = (row * width + start).reshape(1, -1)
        part = base.runs(line, first, length=length).reshape(x.shape)
        return mix(x, part, self.draw("snr_db", snr_key, x))


@dataclasses.dataclass(frozen=True)
class Clipping(base.WaveformAugmentation):
    """Cuts what is above a level that is [min_db, max_db] relative to the example's peak.

    >>> Clipping(-6, -6)(np.random.default_rng(0), np.array([0.2, -1.0])).round(2)
    array([ 0.2, -0.5])
    """

    min_db: float = -12.0
    max_db: float = 0.0

    limits = {"db": (-math.inf, 0)}

    def augment(self, key: Key, x: Array) -> Array:
        return clip(x, self.draw("db", key, x))


@dataclasses.dataclass(frozen=True)
class Delay(base.WaveformAugmentation):
    """(x + volume * x delayed) / 2, the delay being one of several; a short one is a comb filter.

    The defaults are those of torchaudio-augmentations.

    Attributes:
        sample_rate_hz: rate of the waveform.
        delays_s: what to choose from, equally often; each becomes a whole number of samples.
        volume: of the delayed signal.

    >>> Delay(10, delays_s=(0.2,))(np.random.default_rng(0), np.ones(4))
    array([0.5 , 0.5 , 0.75, 0.75])
    """

    sample_rate_hz: int
    delays_s: tuple[float, ...] = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45)
    volume: float = 0.5
    limits = {"volume": (-math.inf, math.inf)}

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "delays_s", tuple(self.delays_s))
        if not self.delays_s or not all(0 <= s < math.inf for s in self.delays_s):
            raise ValueError(
                f"delays_s is {self.delays_s}; it must have at least one delay, none negative"
            )

    def augment(self, key: Key, x: Array) -> Array:
        choices = np.array([round(s * self.sample_rate_hz) for s in self.delays_s], np.int32)
        choice = base.integers(key, x.shape[:-1], 0, len(choices) - 1)
        return delay(x, array_module(x).asarray(choices)[choice], volume=self.volume)


@dataclasses.dataclass(frozen=True)
class Reverse(base.WaveformAugmentation):
    """Backwards in time.

    >>> Reverse()(np.random.default_rng(0), np.arange(3.0))
    array([2., 1., 0.])
    """

    def augment(self, key: Key, x: Array) -> Array:
        return x[..., ::-1]


@dataclasses.dataclass(frozen=True)
class RandomCrop(base.WaveformAugmentation):
    """`num_samples` neighbouring samples from a uniform place: [..., T] -> [..., num_samples].

    Raises:
        ValueError: on the call, when x is shorter.

    >>> RandomCrop(2)(np.random.default_rng(0), np.arange(9.0))
    array([6., 7.])
    """

    num_samples: int

    limits = {"num_samples": (1, math.inf)}

    def augment(self, key: Key, x: Array) -> Array:
        last = x.shape[-1] - self.num_samples
        if last < 0:
            raise ValueError(
                f"x has {x.shape[-1]} samples; RandomCrop.num_samples is {self.num_samples} and "
                "must not be more"
            )
        start = base.integers(key, x.shape[:-1], 0, last)
        return base.run(x, start, length=self.num_samples)


@dataclasses.dataclass(frozen=True)
class Shift(base.WaveformAugmentation):
    """Earlier or later by up to `max_fraction` of the length, uniform.

    Attributes:
        max_fraction: of the length of the example, in [0, 1].
        edges: "wrap", what leaves at one end comes in at the other; or "zeros", silence does.

    >>> Shift()(np.random.default_rng(0), np.arange(6.0))
    array([4., 5., 0., 1., 2., 3.])
    """

    max_fraction: float = 0.5
    edges: str = "wrap"
    limits = {"max_fraction": (0, 1)}

    def __post_init__(self):
        super().__post_init__()
        checks.choice("edges", self.edges, SHIFT_EDGES)

    def augment(self, key: Key, x: Array) -> Array:
        most = int(self.max_fraction * x.shape[-1])
        return shift(x, base.integers(key, x.shape[:-1], -most, most), edges=self.edges)


def gain(x: Array, change_db: Array | float) -> Array:
    """x louder by `change_db`, one number or one per example.

    >>> gain(np.ones(2), -20.0)
    array([0.1, 0.1])
    """
    return x * 10.0 ** (base.per_example(x, change_db) / 20.0)


def mix(x: Array, noise: Array, snr_db: Array | float) -> Array:
    """x plus the noise, scaled to that ratio of mean squares; both [..., T].

    Where either of them is silent x is as it was: no scale would make the ratio.

    >>> mix(np.ones(3), np.array([2.0, 0.0, -2.0]), 0.0).round(2)
    array([ 2.22,  1.  , -0.22])
    """
    xp = array_module(x)
    signal, disturbance = _mean_square(x), _mean_square(noise)
    # Masks before the division and the root keep silence finite, and its gradient.
    heard = disturbance > _SILENCE
    ratio = xp.where(heard, signal / xp.where(heard, disturbance, 1.0), 0.0)
    ratio = ratio * 10.0 ** (-base.per_example(x, snr_db) / 10.0)
    heard = ratio > 0
    scale = xp.where(heard, xp.sqrt(xp.where(heard, ratio, 1.0)), 0.0)
    return x + scale * noise


def colored_noise(key: Key, slope_db_per_octave: Array, *, num_samples: int) -> Array:
    """Normal noise whose power has that slope over frequency: [...] -> [..., num_samples].

    Made in the frequency domain; its level is not normalised. The bin of 0 Hz, where a falling
    slope has no end, is as loud as the one above.
    """
    length = fast_length(num_samples)
    real_key, imaginary_key = base.split(key, 2)
    bins = length // 2 + 1
    shape = (*slope_db_per_octave.shape, bins)
    spectrum = base.normal(real_key, shape) + 1j * base.normal(imaginary_key, shape)
    xp = array_module(spectrum)
    frequency = np.maximum(np.arange(bins), 1) / (bins - 1)
    octaves = np.log(frequency).astype("float32")
    spectrum = spectrum * xp.exp(slope_db_per_octave[..., None] / _DB_PER_OCTAVE * octaves)
    return fft_module(spectrum).irfft(spectrum, length)[..., :num_samples]


def clip(x: Array, level_db: Array | float) -> Array:
    """x cut at a level relative to the peak of each example (0 dB changes nothing).

    >>> clip(np.array([0.2, -1.0]), -6.0).round(2)
    array([ 0.2, -0.5])
    """
    xp = array_module(x)
    level = xp.abs(x).max(axis=-1, keepdims=True) * 10.0 ** (base.per_example(x, level_db) / 20.0)
    return xp.clip(x, -level, level)


def delay(x: Array, delay_samples: Array | int, *, volume: float = 0.5) -> Array:
    """(x + volume * x delayed) / 2, the delay one number or one per example, at least 0.

    >>> delay(np.ones(4), 2)
    array([0.5 , 0.5 , 0.75, 0.75])
    """
    return (x + volume * shift(x, delay_samples, edges="zeros")) / 2


def shift(x: Array, steps: Array | int, *, edges: str = "zeros") -> Array:
    """x later by `steps` samples (earlier if negative), one number or one per example.

    What comes in at the end is silence ("zeros") or what has left at the other end ("wrap").

    >>> shift(np.arange(1.0, 5.0), 1)
    array([0., 1., 2., 3.])
    """
    xp = array_module(x)
    length = x.shape[-1]
    steps = base.per_example(x, steps, "int32")[..., 0]
    if base.is_one_of_numpy(x):  # two slices, in place of an array that is twice as long
        first = -int(np.asarray(steps).reshape(()))
        first = first % max(1, length) if edges == "wrap" else min(max(first, -length), length)
        ends = x[..., max(0, first) :][..., : length - max(0, -first)], x[..., : max(0, first)]
        if edges == "wrap":
            return np.concatenate(ends, axis=-1)
        silence = np.zeros((*x.shape[:-1], abs(first)), x.dtype)
        return np.concatenate([silence, ends[0]] if first < 0 else [ends[0], silence], axis=-1)
    if edges == "wrap":
        return base.run(xp.concatenate([x, x], axis=-1), (-steps) % length, length=length)
    silence = xp.zeros_like(x)
    padded = xp.concatenate([silence, x, silence], axis=-1)
    return base.run(padded, length - xp.clip(steps, -length, length), length=length)


def _mean_square(x: Array) -> Array:
    return (x**2).mean(axis=-1, keepdims=True)
