"""From energies to what networks like: decibels, logarithms, PCEN, and normalisation.

Arrays are [..., F, M] of numpy or jax. What depends on a whole example, such as its loudest
point or its mean, is taken over the last two axes.
"""

import math

import numpy as np

from mclf_jax.audio.arrays import Array, array_module


def power_to_db(
    power: Array, *, ref: float | str = 1.0, amin: float = 1e-10, top_db: float | None = None
) -> Array:
    """Decibels of energies, 10 log10(max(power, amin) / ref).

    Args:
        power: [..., F, M], not negative.
        ref: the power that is 0 dB; "max" for the largest of each example.
        amin: the smallest power, also for `ref`.
        top_db: if given, nothing is further than this below the largest of its example.
    """
    xp = array_module(power)
    # Not exactly 0 for an empty band or silence: the published networks saw -100 dB there.
    db = 10.0 * xp.log10(xp.maximum(power, amin))
    if ref == "max":
        db = db - _largest(db)
    elif ref != 1.0:
        db = db - 10.0 * math.log10(max(ref, amin))
    return db if top_db is None else xp.maximum(db, _largest(db) - top_db)


def amplitude_to_db(
    magnitude: Array, *, ref: float | str = 1.0, amin: float = 1e-5, top_db: float | None = None
) -> Array:
    """Decibels of magnitudes, 20 log10(max(magnitude, amin) / ref); as `power_to_db` of squares."""
    ref = ref if ref == "max" else ref**2
    return power_to_db(magnitude**2, ref=ref, amin=amin**2, top_db=top_db)


def pcen(
    energy: Array,
    *,
    sample_rate_hz: float,
    hop_length: int,
    time_constant_s: float = 0.4,
    gain: float = 0.98,
    bias: float = 2.0,
    power: float = 0.5,
    eps: float = 1e-6,
) -> Array:
    """Per-channel energy normalisation: each band relative to its own recent past.

    (E / (eps + S)^gain + bias)^power - bias^power with S[f] = (1 - b) S[f-1] + b E[f] and S[-1] = 1
    (Wang et al. 2017, "Trainable frontend for robust and far-field keyword spotting", equations 1
    and 2). Defaults, b and the start are those of `librosa.pcen`, which are for samples in
    [-2^31, 2^31): scale the energies accordingly.

    Args:
        energy: [..., F, M], not negative.
        sample_rate_hz, hop_length: how far frames are apart.
        time_constant_s: of the smoothing.
        gain, bias, power, eps: as in the formula; bias and power are positive.
    """
    xp = array_module(energy)
    frames = time_constant_s * sample_rate_hz / hop_length
    b = (math.sqrt(1 + 4 * frames**2) - 1) / (2 * frames**2)
    start = (1 - b) ** np.arange(1, energy.shape[-2] + 1)[:, None]
    smooth = _leaky_sum(b * energy, 1 - b) + xp.asarray(start, energy.dtype)
    divisor = xp.exp(gain * (math.log(eps) + xp.log1p(smooth / eps)))
    return bias**power * xp.expm1(power * xp.log1p(energy / divisor / bias))


def _leaky_sum(x: Array, decay: float) -> Array:
    """y[f] = x[f] + decay y[f-1] over the last but one axis.

    By doubling: from sums over the last n frames to sums over 2n, until all are in or the rest is
    below rounding. log2(F) additions of whole arrays instead of F small ones, and the same code
    for numpy and jax; jax's `associative_scan` and scipy's `lfilter` would be one for each.
    """
    xp = array_module(x)
    frames, reach = x.shape[-2], 1
    while reach < frames and decay**reach > 1e-12:
        pad = [(0, 0)] * (x.ndim - 2) + [(reach, 0), (0, 0)]
        x = x + decay**reach * xp.pad(x[..., : frames - reach, :], pad)
        reach *= 2
    return x


def standardize(x: Array) -> Array:
    """Mean 0 and standard deviation 1 for each example; a constant one becomes 0."""
    xp = array_module(x)
    centred = x - x.mean(axis=(-2, -1), keepdims=True)
    variance = (centred**2).mean(axis=(-2, -1), keepdims=True)
    return centred / xp.sqrt(xp.maximum(variance, _rounding(x) ** 2))


def min_max(x: Array) -> Array:
    """Each example from 0 to 1; a constant one becomes 0."""
    xp = array_module(x)
    lowest = x.min(axis=(-2, -1), keepdims=True)
    return (x - lowest) / xp.maximum(_largest(x) - lowest, _rounding(x))


def _largest(x: Array) -> Array:
    return x.max(axis=(-2, -1), keepdims=True)


def _rounding(x: Array) -> Array:
    # Differences below this are rounding, not signal.
    xp = array_module(x)
    return 1e-4 * _largest(xp.abs(x)) + 1e-15
