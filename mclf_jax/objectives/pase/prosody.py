"""What PASE calls prosody, frame by frame: fundamental frequency, voicing, energy, crossings."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from mclf_jax.audio.arrays import safe_sqrt
from mclf_jax.audio.features import frames, hann_window

# Praat's defaults (Boersma 1993), for the voice.
_VOICED_ABOVE = 0.45
_OCTAVE_COST = 0.01
_PERIODS_PER_WINDOW = 3
_FAINT_POWER = 1e-10  # mean square of what counts as silence
_FAINT_SAMPLE = 1e-10  # below it a sample has no sign, as in librosa


def prosody(
    waveform: jax.Array,
    *,
    sample_rate_hz: int,
    hop_length: int,
    win_length: int,
    f0_hz: tuple[float, float],
) -> jax.Array:
    """Log F0, voicing, RMS energy and zero-crossing rate, [..., T] -> [..., F, 4].

    Frames are centred on multiples of the hop. Log F0 is that of voiced frames, and between them
    it is interpolated; where nothing is voiced it is that of the lowest F0.

    Args:
        waveform: floating point.
        sample_rate_hz: its rate.
        hop_length: samples between frames.
        win_length: of energy and zero crossings, in samples.
        f0_hz: the lowest and the highest F0 to look for.
    """
    found = pitch(
        waveform,
        sample_rate_hz=sample_rate_hz,
        hop_length=hop_length,
        min_hz=f0_hz[0],
        max_hz=f0_hz[1],
    )
    log_f0 = _interpolated(
        jnp.log(found["f0_hz"]), found["voicing"] > _VOICED_ABOVE, otherwise=math.log(f0_hz[0])
    )
    rest = (
        energy(waveform, hop_length=hop_length, win_length=win_length),
        zero_crossing_rate(waveform, hop_length=hop_length, win_length=win_length),
    )
    return jnp.stack([log_f0, found["voicing"], *rest], axis=-1)


def pitch(
    waveform: jax.Array, *, sample_rate_hz: int, hop_length: int, min_hz: float, max_hz: float
) -> dict[str, jax.Array]:
    """Fundamental frequency by autocorrelation (Boersma 1993).

    That of a window of three of the longest periods, divided by that of the window function, so
    that a periodic sound has 1 at its period. Of its peaks, interpolated, the highest counts,
    shorter periods being preferred a little.

    Args:
        waveform: floating point [..., T].
        sample_rate_hz: its rate.
        hop_length: samples between frames.
        min_hz, max_hz: of the F0.

    Returns:
        "f0_hz" [..., F], min_hz where there is no peak, and "voicing" [..., F], the height of the
        peak from 0 to 1: how periodic the frame is. Silence has 0.
    """
    shortest = max(2, math.floor(sample_rate_hz / max_hz))
    longest = math.ceil(sample_rate_hz / min_hz)
    # A multiple of the hop can be cut without a gather.
    length = hop_length * math.ceil(_PERIODS_PER_WINDOW * longest / hop_length)
    framed = frames(
        waveform, n_fft=length, hop_length=hop_length, framing="center", pad_mode="constant"
    )
    framed = framed - framed.mean(axis=-1, keepdims=True)
    window = hann_window(length)
    of_window = _autocorrelation(window, longest + 2)
    of_frames = _autocorrelation(framed * jnp.asarray(window, framed.dtype), longest + 2)
    faint = _FAINT_POWER * float(of_window[0])
    curve = of_frames / (of_frames[..., :1] + faint)
    curve = curve * jnp.asarray(of_window[0] / of_window, curve.dtype)

    left, here, right = (curve[..., shortest + i : longest + 1 + i] for i in (-1, 0, 1))
    is_peak = (here > left) & (here >= right) & (here > 0)
    # The parabola through a peak and its neighbours: a period is rarely a whole number of samples,
    # and a sharp peak would lose to one an octave below that is nearer to one.
    offset = 0.5 * (left - right) / jnp.where(is_peak, left - 2 * here + right, -1)
    height = here - 0.25 * (left - right) * offset
    lags = np.arange(shortest, longest + 1)
    cost = jnp.asarray(_OCTAVE_COST * np.log2(lags), here.dtype)
    best = jnp.where(is_peak, height - cost, -jnp.inf).argmax(axis=-1)[..., None]
    period, voicing = (
        jnp.take_along_axis(values, best, axis=-1)[..., 0] for values in (lags + offset, height)
    )
    has_peak = is_peak.any(axis=-1)
    f0_hz = jnp.clip(sample_rate_hz / period, min_hz, max_hz)
    return {
        "f0_hz": jnp.where(has_peak, f0_hz, min_hz),
        "voicing": jnp.where(has_peak, jnp.clip(voicing, 0, 1), 0),
    }


def energy(waveform: jax.Array, *, hop_length: int, win_length: int) -> jax.Array:
    """Root of the mean square of each frame, [..., T] -> [..., F], as `librosa.feature.rms`."""
    framed = frames(
        waveform, n_fft=win_length, hop_length=hop_length, framing="center", pad_mode="constant"
    )
    return safe_sqrt((framed**2).mean(axis=-1))


def zero_crossing_rate(waveform: jax.Array, *, hop_length: int, win_length: int) -> jax.Array:
    """Changes of sign a sample, [..., T] -> [..., F], as `librosa.feature.zero_crossing_rate`."""
    framed = frames(
        waveform, n_fft=win_length, hop_length=hop_length, framing="center", pad_mode="edge"
    )
    negative = framed < -_FAINT_SAMPLE
    crossings = negative[..., 1:] != negative[..., :-1]
    return crossings.sum(axis=-1).astype(framed.dtype) / win_length


def _autocorrelation(x, num_lags: int):
    """Of [..., N] at lags from 0, [..., num_lags]; numpy or jax."""
    fft = jnp.fft if isinstance(x, jax.Array) else np.fft
    size = 2 ** math.ceil(math.log2(x.shape[-1] + num_lags))
    spectrum = fft.rfft(x, size)
    return fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[..., :num_lags]


def _interpolated(values: jax.Array, known: jax.Array, *, otherwise: float) -> jax.Array:
    """Straight lines between known values [..., F], the nearest one before and behind them."""
    count = values.shape[-1]
    place = jnp.broadcast_to(jnp.arange(count), values.shape)
    axis = values.ndim - 1
    last = jax.lax.cummax(jnp.where(known, place, -1), axis=axis)
    following = jax.lax.cummin(jnp.where(known, place, count), axis=axis, reverse=True)
    first_place = jnp.where(last >= 0, last, following)
    second_place = jnp.where(following < count, following, last)
    first_value, second_value = (
        jnp.take_along_axis(values, jnp.clip(where, 0, count - 1), axis=-1)
        for where in (first_place, second_place)
    )
    part = (place - first_place) / jnp.maximum(second_place - first_place, 1)
    filled = first_value + part * (second_value - first_value)
    return jnp.where(known.any(axis=-1, keepdims=True), filled, otherwise)
