"""High-pass and low-pass filters with a cut-off of its own for each example.

Windowed-sinc filters of linear phase, as julius makes them and torchaudio-augmentations (so
CLMR and the tutorial) uses them: 8 zero crossings on each side, symmetric Hann window, taps
normalised to sum 1, the ends of the signal replicated; a high-pass is the signal less its
low-pass. -6 dB at the cut-off.
"""

import dataclasses

import numpy as np

from mclf_jax.audio.features import array_module
from mclf_jax.augment import base
from mclf_jax.augment.base import Array, Key
from mclf_jax.augment.convolution import convolve
from mclf_jax.common import checks

NUM_ZEROS = 8


class _Pass(base.WaveformAugmentation):
    @property
    def limits(self) -> dict[str, tuple[float, float]]:
        return {"hz": (0, self.sample_rate_hz / 2)}  # pyright: ignore


@dataclasses.dataclass(frozen=True)
class LowPass(_Pass):
    """Takes away what is above a cut-off drawn uniformly from [min_hz, max_hz].

    >>> LowPass(8000)(np.random.default_rng(0), np.ones(4)).round(2)
    array([1., 1., 1., 1.])
    """

    sample_rate_hz: int
    min_hz: float = 2200.0
    max_hz: float = 4000.0

    def augment(self, key: Key, x: Array) -> Array:
        rates = {"sample_rate_hz": self.sample_rate_hz, "min_cutoff_hz": self.min_hz}
        return low_pass(x, self.draw("hz", key, x), **rates)


@dataclasses.dataclass(frozen=True)
class HighPass(_Pass):
    """Takes away what is below a cut-off drawn uniformly from [min_hz, max_hz].

    >>> abs(HighPass(8000)(np.random.default_rng(0), np.ones(4))).round(2)
    array([0., 0., 0., 0.])
    """

    sample_rate_hz: int
    min_hz: float = 200.0
    max_hz: float = 1200.0

    def augment(self, key: Key, x: Array) -> Array:
        rates = {"sample_rate_hz": self.sample_rate_hz, "min_cutoff_hz": self.min_hz}
        return high_pass(x, self.draw("hz", key, x), **rates)


@dataclasses.dataclass(frozen=True)
class HighLowPass(base.WaveformAugmentation):
    """Either a high-pass or a low-pass, by the toss of a fair coin, as in CLMR.

    Attributes:
        sample_rate_hz: rate of the waveform.
        high_pass_hz: range of the cut-off of the high-pass.
        low_pass_hz: range of the cut-off of the low-pass.

    >>> HighLowPass(8000)(np.random.default_rng(0), np.ones((2, 800))).shape
    (2, 800)
    """

    sample_rate_hz: int
    high_pass_hz: tuple[float, float] = (200.0, 1200.0)
    low_pass_hz: tuple[float, float] = (2200.0, 4000.0)

    def __post_init__(self):
        super().__post_init__()
        for name in ("high_pass_hz", "low_pass_hz"):
            ends, cutoffs_hz = (f"{name}[0]", f"{name}[1]"), getattr(self, name)
            checks.positive(ends[0], cutoffs_hz[0])
            base.check_range(ends, cutoffs_hz, 0, self.sample_rate_hz / 2)

    def augment(self, key: Key, x: Array) -> Array:
        coin_key, high_key, low_key = base.split(key, 3)
        shape = x.shape[:-1]
        is_high = base.bernoulli(coin_key, shape, 0.5)
        xp = array_module(is_high)
        cutoff_hz = xp.where(
            is_high,
            base.uniform(high_key, shape, *self.high_pass_hz),
            base.uniform(low_key, shape, *self.low_pass_hz),
        )
        rate_hz, lowest_hz = self.sample_rate_hz, min(self.high_pass_hz[0], self.low_pass_hz[0])
        taps = _taps(x, cutoff_hz, rate_hz, lowest_hz)
        # Both filters as one: either costs as much as the other, so one convolution does.
        taps = xp.where(is_high[..., None], _unit(taps) - taps, taps)
        return _filter(x, taps)


def low_pass(
    x: Array,
    cutoff_hz: Array | float,
    *,
    sample_rate_hz: float,
    min_cutoff_hz: float | None = None,
) -> Array:
    """x without what is above the cut-off.

    Args:
        x: floating point [..., T].
        cutoff_hz: one for all examples, or one for each [...].
        sample_rate_hz: rate of x.
        min_cutoff_hz: nothing of `cutoff_hz` is below; it gives all filters one length. Needed
            where `cutoff_hz` is traced by jax.
    """
    return _filter(x, _taps(x, cutoff_hz, sample_rate_hz, min_cutoff_hz))


def high_pass(
    x: Array,
    cutoff_hz: Array | float,
    *,
    sample_rate_hz: float,
    min_cutoff_hz: float | None = None,
) -> Array:
    """x without what is below the cut-off; arguments as of `low_pass`."""
    taps = _taps(x, cutoff_hz, sample_rate_hz, min_cutoff_hz)
    return _filter(x, _unit(taps) - taps)


def low_pass_taps(cutoff: Array, *, half_width: int) -> Array:
    """Windowed-sinc filters: cutoff [..., 1] in cycles per sample -> taps [..., 2 half_width + 1].

    Each filter has the width of its own cut-off, int(8 / cutoff / 2) samples on each side, and
    is 0 from there to `half_width`.
    """
    xp = array_module(cutoff)
    offset = xp.arange(half_width + 1, dtype=cutoff.dtype)
    own_width = xp.maximum(xp.floor(NUM_ZEROS / cutoff / 2), 1.0)
    window = 0.5 + 0.5 * xp.cos(xp.pi * offset / own_width)
    window = xp.where(offset <= own_width, window, 0.0)
    half = xp.sinc(2 * cutoff * offset) * window
    taps = xp.concatenate([half[..., :0:-1], half], axis=-1)
    return (taps / taps.sum(axis=-1, keepdims=True)).astype(cutoff.dtype)


def _taps(x, cutoff_hz, sample_rate_hz, min_cutoff_hz):
    if min_cutoff_hz is None or base.is_one_of_numpy(x):  # no other to be as long as
        min_cutoff_hz = float(np.min(np.asarray(cutoff_hz)))
    cutoff = base.per_example(x, cutoff_hz) / sample_rate_hz
    half_width = max(1, int(NUM_ZEROS / (min_cutoff_hz / sample_rate_hz) / 2))
    return low_pass_taps(cutoff, half_width=half_width)


def _unit(taps: Array) -> np.ndarray:
    """The filter of that length that changes nothing."""
    unit = np.zeros(taps.shape[-1], taps.dtype)
    unit[len(unit) // 2] = 1
    return unit


def _filter(x: Array, taps: Array) -> Array:
    half_width = taps.shape[-1] // 2
    return convolve(base.pad(x, half_width, half_width, mode="edge"), taps)
