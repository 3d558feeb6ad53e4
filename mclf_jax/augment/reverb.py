"""Reverberation: Schroeder's, drawn for every example, and with given impulse responses.

M. R. Schroeder's reverberator (JAES 1962) is a sum of comb filters followed by all-passes. Its
impulse response is an exponential decay times the response of the same network without losses,
as a factor e^(-ct) passes through convolutions. So the lossless response is computed once, and
an example's own response is one product in each of two frequency bands.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np

from mclf_jax.audio.features import array_module
from mclf_jax.augment import base
from mclf_jax.augment.base import Array, Key
from mclf_jax.augment.convolution import (
    best_block,
    convolve,
    convolve_spectrum,
    fast_length,
    fft_module,
)
from mclf_jax.augment.filters import low_pass
from mclf_jax.augment.waveform import shift

ROOM_SCALES = (0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0)
# Freeverb's delays at room scale 1, in samples at 44.1 kHz; sox has them too.
_COMB_STEPS = (1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617)
_ALL_PASS_STEPS = (225, 341, 441, 556)
_ALL_PASS_GAIN = 0.5
_DELAYS_RATE_HZ = 44100
_MEAN_COMB_S = sum(_COMB_STEPS) / len(_COMB_STEPS) / _DELAYS_RATE_HZ
_CROSSOVER_HZ = 3000.0
_HIGH_BAND_HZ = 6000.0  # where damping is read off the loop's low-pass in sox's terms
_MIN_DECAY_S = 0.01
_KEPT_SPECTRA = 256  # of given responses; .15 MB each where they take a second


@dataclasses.dataclass(frozen=True)
class Reverb(base.WaveformAugmentation):
    """x plus its reverberation in a random room; see `reverb`.

    Attributes:
        sample_rate_hz: rate of the waveform.
        min_decay_s, max_decay_s: time to fall by 60 dB, uniform on a log scale.
        min_damping, max_damping: how much sooner high frequencies fall, uniform.
        min_room_scale, max_room_scale: length of the echoes, uniform; 1 is a hall.
        min_wet_db, max_wet_db: level of the reverberation against the sound, uniform.
        max_pre_delay_s: the reverberation starts up to this much later, uniform.

    >>> Reverb(8000)(np.random.default_rng(0), np.ones((2, 4000))).shape
    (2, 4000)
    """

    sample_rate_hz: int
    min_decay_s: float = 0.2
    max_decay_s: float = 2.0
    min_damping: float = 0.0
    max_damping: float = 0.8
    min_room_scale: float = 0.1
    max_room_scale: float = 1.0
    min_wet_db: float = -18.0
    max_wet_db: float = -3.0
    max_pre_delay_s: float = 0.03
    limits = {
        "decay_s": (_MIN_DECAY_S, math.inf),
        "damping": (0, 0.99),
        "room_scale": (0, 1),
        "max_pre_delay_s": (0, math.inf),
    }

    def augment(self, key: Key, x: Array) -> Array:
        decay_key, damping_key, wet_key, delay_key, room_key = base.split(key, 5)
        octaves = (math.log2(self.min_decay_s), math.log2(self.max_decay_s))
        return reverb(
            x,
            2.0 ** base.uniform(decay_key, x.shape[:-1], *octaves),
            sample_rate_hz=self.sample_rate_hz,
            damping=self.draw("damping", damping_key, x),
            room_scale=self.draw("room_scale", room_key, x),
            wet_db=self.draw("wet_db", wet_key, x),
            pre_delay_s=base.uniform(delay_key, x.shape[:-1], 0.0, self.max_pre_delay_s),
            max_decay_s=self.max_decay_s + self.max_pre_delay_s,
        )


@dataclasses.dataclass(frozen=True)
class SoxReverb(base.WaveformAugmentation):
    """x plus reverberation with the three settings of sox's `reverb`, each uniform in 0...max.

    The published chain (torchaudio-augmentations, CLMR) draws whole numbers 0...99 for all of
    them. They keep sox's meaning: reverberance sets the feedback (0.3 to 0.98) of the combs, and
    with their delays, which room_scale sets (a tenth to the whole), the decay time, 0.02 to 11
    seconds; damping sets the low-pass in the loop, here by how much sooner the band above 3 kHz
    has decayed. The level is sox's for a mono signal. Room scales are rounded to seven sizes.

    >>> SoxReverb(8000)(np.random.default_rng(0), np.ones((2, 4000))).shape
    (2, 4000)
    """

    sample_rate_hz: int
    max_reverberance: float = 99.0
    max_damping: float = 99.0
    max_room_scale: float = 99.0
    limits = {
        "max_reverberance": (0, 100),
        "max_damping": (0, 100),
        "max_room_scale": (0, 100),
    }

    def augment(self, key: Key, x: Array) -> Array:
        reverberance_key, damping_key, room_key = base.split(key, 3)
        batch = x.shape[:-1]
        settings = sox_settings(
            base.uniform(reverberance_key, batch, 0.0, self.max_reverberance),
            damping=base.uniform(damping_key, batch, 0.0, self.max_damping),
            room_scale=base.uniform(room_key, batch, 0.0, self.max_room_scale),
            sample_rate_hz=self.sample_rate_hz,
        )
        longest = sox_settings(
            np.array(self.max_reverberance),
            damping=np.array(0.0),
            room_scale=np.array(self.max_room_scale),
            sample_rate_hz=self.sample_rate_hz,
        )
        return reverb(
            x,
            settings.pop("decay_s"),
            sample_rate_hz=self.sample_rate_hz,
            max_decay_s=float(longest["decay_s"]),
            **settings,
        )


@dataclasses.dataclass(frozen=True, eq=False)
class ImpulseResponse(base.WaveformAugmentation):
    """x convolved with one of the given responses, drawn for every example; the length is kept.

    Attributes:
        responses: [N, K] or a sequence of [K] of any lengths, at the rate of x. Each is scaled
            to energy 1, so that it leaves the level of noise as it was. Under `jax.jit` they
            become a constant of the program.

    >>> ImpulseResponse([[0, 1]])(np.random.default_rng(0), np.arange(1.0, 5.0)).round(2) + 0
    array([0., 1., 2., 3.])
    """

    responses: Sequence[np.ndarray] | np.ndarray = dataclasses.field(repr=False)

    def __post_init__(self):
        rows = [np.asarray(row, np.float32) for row in self.responses]
        if not rows or any(row.ndim != 1 or not row.any() for row in rows):
            raise ValueError(
                f"responses has shapes {[row.shape for row in rows][:5]}; it must be impulse "
                "responses [N, K] or a sequence of them [K], at least one, none of them silent"
            )
        longest = max(row.size for row in rows)
        rows = [np.pad(row, (0, longest - row.size)) for row in rows]
        rows = [row / np.linalg.norm(row) for row in rows]
        object.__setattr__(self, "responses", np.stack(rows))

    def augment(self, key: Key, x: Array) -> Array:
        choice = base.integers(key, x.shape[:-1], 0, len(self.responses) - 1)
        if base.is_one_of_numpy(x):
            return self._by_spectrum(x, int(choice.reshape(())))
        responses = array_module(x).asarray(np.asarray(self.responses)[:, : x.shape[-1]], x.dtype)
        return impulse_response(x, responses[choice])

    @functools.cached_property
    def _spectra(self) -> dict[tuple, np.ndarray]:
        return {}

    def _by_spectrum(self, x: np.ndarray, choice: int) -> np.ndarray:
        """`impulse_response`, one example, with what was transformed for an earlier one."""
        response = np.asarray(self.responses)[choice, : x.shape[-1]]
        padded = base.pad(x, response.size - 1, 0)
        block = best_block(padded, response.size)
        which = (choice, response.size, block, x.dtype)
        if (spectrum := self._spectra.get(which)) is None:
            spectrum = fft_module(x).rfft(response.astype(x.dtype), block)
            if len(self._spectra) < _KEPT_SPECTRA:
                self._spectra[which] = spectrum
        return convolve_spectrum(padded, spectrum, block=block, num_taps=response.size)


def reverb(
    x: Array,
    decay_s: Array | float,
    *,
    sample_rate_hz: float,
    damping: Array | float = 0.0,
    room_scale: Array | float = 1.0,
    wet_db: Array | float = -6.0,
    pre_delay_s: Array | float = 0.0,
    max_decay_s: float | None = None,
) -> Array:
    """x plus Schroeder's reverberation; the length is kept.

    All settings are one number, or one per example [...].

    Args:
        x: floating point [..., T].
        decay_s: time in which the reverberation falls by 60 dB.
        sample_rate_hz: rate of x.
        damping: in [0, 1): above 3 kHz the decay time is this part shorter.
        room_scale: length of the echoes, 1 for a hall; the nearest of `ROOM_SCALES` is taken.
        wet_db: energy of the reverberation's impulse response, against 1 for the sound itself.
        pre_delay_s: silence between the sound and its reverberation.
        max_decay_s: the response is computed this far. Needed where settings are traced by jax.
    """
    if max_decay_s is None:
        max_decay_s = float(np.max(np.asarray(decay_s)) + np.max(np.asarray(pre_delay_s)))
    length = min(x.shape[-1], max(1, math.ceil(max_decay_s * sample_rate_hz)))
    response = reverb_response(
        x,
        decay_s,
        sample_rate_hz=sample_rate_hz,
        damping=damping,
        room_scale=room_scale,
        length=length,
    )
    steps = array_module(x).round(base.per_example(x, pre_delay_s)[..., 0] * sample_rate_hz)
    response = shift(response, steps.astype("int32"), edges="zeros")
    # A short response is cheapest in blocks, a long one in one circle.
    convolved = _in_one_circle if 4 * length > x.shape[-1] else impulse_response
    return x + convolved(x, response) * 10.0 ** (base.per_example(x, wet_db) / 20.0)


def reverb_response(
    x: Array,
    decay_s: Array | float,
    *,
    sample_rate_hz: float,
    damping: Array | float,
    room_scale: Array | float,
    length: int,
) -> Array:
    """Impulse responses [..., length] of energy 1, one for each example of x [..., T]."""
    xp = array_module(x)
    distance = xp.abs(base.per_example(x, room_scale) - np.array(ROOM_SCALES, x.dtype))
    bands = xp.asarray(_lossless_bands(sample_rate_hz, length))[distance.argmin(axis=-1)]
    decay_s = xp.maximum(base.per_example(x, decay_s), _MIN_DECAY_S)
    high_decay_s = decay_s * (1.0 - base.per_example(x, damping))
    time_s = (np.arange(length) / sample_rate_hz).astype(x.dtype)
    fall = -3.0 * math.log(10) * time_s
    response = bands[..., 0, :] * xp.exp(fall / decay_s) + bands[..., 1, :] * xp.exp(
        fall / high_decay_s
    )
    response = response.astype(x.dtype)
    return response / xp.sqrt((response**2).sum(axis=-1, keepdims=True))


def impulse_response(x: Array, response: Array) -> Array:
    """x [..., T] convolved with its response [..., K], as long as x."""
    return convolve(base.pad(x, response.shape[-1] - 1, 0), response)


def _in_one_circle(x: Array, response: Array) -> Array:
    """`impulse_response` by transforms of half the length, for a response that is no longer than x.

    In so short a circle, what rings on behind the end comes in again at the start. A factor that
    falls by 60 dB in one turn, put on both and taken off their convolution, makes that 60 dB
    quieter than it would have been behind the end.
    """
    fft, length = fft_module(x), x.shape[-1]
    n = fast_length(length)
    factor = np.exp(np.linspace(0, -3 * math.log(10) * length / n, length, dtype=x.dtype))
    spectrum = fft.rfft(x * factor, n) * fft.rfft(response * factor[: response.shape[-1]], n)
    return fft.irfft(spectrum, n)[..., :length] / factor


def sox_settings(
    reverberance: Array, *, damping: Array, room_scale: Array, sample_rate_hz: float
) -> dict[str, Array]:
    """sox's percentages [...] as arguments of `reverb`: decay_s, damping, room_scale and wet_db."""
    xp = array_module(reverberance)
    # From 0.3 to 0.98; the distance from 1 falls exponentially with reverberance.
    feedback = 1.0 - 0.7 * (0.02 / 0.7) ** (reverberance / 100.0)
    room_scale = 0.1 + 0.009 * room_scale
    per_turn = -xp.log10(feedback)
    decay_s = 3.0 * _MEAN_COMB_S * room_scale / per_turn
    pole = 0.2 + 0.003 * damping
    cosine = math.cos(2 * math.pi * min(_HIGH_BAND_HZ / sample_rate_hz, 0.5))
    high_gain = (1.0 - pole) / xp.sqrt(1.0 - 2.0 * pole * cosine + pole**2)
    high_per_turn = per_turn - xp.log10(high_gain)
    energy = 0.015**2 * len(_COMB_STEPS) / (1.0 - feedback**2)
    return {
        "decay_s": decay_s,
        "damping": 1.0 - per_turn / high_per_turn,
        "room_scale": room_scale,
        "wet_db": 10.0 * xp.log10(energy),
    }


@functools.lru_cache(maxsize=8)
def _lossless_bands(sample_rate_hz: float, length: int) -> np.ndarray:
    """Responses of the network without losses, below and above 3 kHz: [rooms, 2, length]."""
    from scipy.signal import lfilter

    rate = sample_rate_hz / _DELAYS_RATE_HZ
    responses = np.zeros((len(ROOM_SCALES), length))
    for response, scale in zip(responses, ROOM_SCALES, strict=True):
        for i, steps in enumerate(_COMB_STEPS):
            every = max(1, round(steps * rate * scale))
            # Signs alternate, or all combs would ring together at 0 Hz.
            response[every::every] += (-1) ** i
    for steps in _ALL_PASS_STEPS:
        feedback = np.zeros(max(1, round(steps * rate)) + 1)
        feedback[[0, -1]] = 1, -_ALL_PASS_GAIN
        responses = lfilter(-feedback[::-1], feedback, responses) * -1.0
    if not responses.any(axis=-1).all():  # shorter than the shortest echo
        responses[..., -1] += 1.0
    low = low_pass(responses, min(_CROSSOVER_HZ, sample_rate_hz / 4), sample_rate_hz=sample_rate_hz)
    return np.stack([low, responses - low], axis=1).astype(np.float32)
