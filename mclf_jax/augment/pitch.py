"""Pitch shift and time stretch by a phase vocoder of static shapes, in numpy and in jax.

The output's frames are a fixed grid; each example reads its input at a spacing of its own. For
every output frame two frames of the input are transformed, one hop apart: their phase
difference is exactly the advance between two output frames, so no phase is unwrapped and no
frequency estimated (M. Puckette, "Phase-locked vocoder", WASPAA 1995). Pitch shift reads a
resampled input, so that duration and pitch change back and forth.
"""

import dataclasses
import functools
import math
import sys
from typing import Any

import numpy as np

from mclf_jax.audio.features import array_module, hann_window
from mclf_jax.augment import base
from mclf_jax.augment.base import Array, Key
from mclf_jax.augment.convolution import fast_length, fft_module

MAX_SEMITONES = 24.0
MIN_RATE, MAX_RATE = 0.1, 10.0
_WINDOW_S = 0.1
_OVERLAP = 4  # hops in a frame: the fewest at which a squared Hann window adds up evenly
_SILENCE = 1e-12  # product of two bins: below, their phases are rounding errors
_ATTACK = 8.0  # times the power that was there a hop before
_TAPS = 4
_FRACTION_BITS = 16
_BLOCK = 32  # of the resampler's output, which reads from the same rows


@dataclasses.dataclass(frozen=True)
class PitchShift(base.WaveformAugmentation):
    """Higher or lower by [min_semitones, max_semitones], uniform; the duration is kept.

    The defaults are those of torchaudio-augmentations, which draws whole cents.

    >>> PitchShift(8000)(np.random.default_rng(0), np.ones((2, 4000))).shape
    (2, 4000)
    """

    sample_rate_hz: int
    min_semitones: float = -7.0
    max_semitones: float = 7.0
    limits = {"semitones": (-MAX_SEMITONES, MAX_SEMITONES)}

    def augment(self, key: Key, x: Array) -> Array:
        semitones = self.draw("semitones", key, x)
        n_fft = frame_length(self.sample_rate_hz)
        # numpy reads the shapes off the draws, which saves work.
        lowest = None if array_module(x) is np else self.min_semitones
        limits = {"min_semitones": lowest, "max_semitones": self.max_semitones}
        return pitch_shift(x, semitones, n_fft=n_fft, **limits)


@dataclasses.dataclass(frozen=True)
class TimeStretch(base.WaveformAugmentation):
    """Faster (rate > 1) or slower, uniform in [min_rate, max_rate]; the pitch is kept.

    The length is kept too: a slower example loses its end, a faster one ends in silence.

    Attributes:
        min_rate, max_rate: range of the rate.
        n_fft: length of the vocoder's frames in samples, a multiple of 4; about a tenth of a
            second is right for music (`frame_length`).

    >>> TimeStretch(n_fft=512)(np.random.default_rng(0), np.ones((2, 4000))).shape
    (2, 4000)
    """

    min_rate: float = 0.8
    max_rate: float = 1.25
    n_fft: int = 2048
    limits = {"rate": (MIN_RATE, MAX_RATE)}

    def __post_init__(self):
        super().__post_init__()
        _check_n_fft(self.n_fft)

    def augment(self, key: Key, x: Array) -> Array:
        return time_stretch(x, self.draw("rate", key, x), n_fft=self.n_fft)


def frame_length(sample_rate_hz: float) -> int:
    """A power of two of about a tenth of a second: it tells the partials of a bass note apart.

    >>> frame_length(22050)
    2048
    """
    return max(64, 2 ** round(math.log2(_WINDOW_S * sample_rate_hz)))


def pitch_shift(
    x: Array,
    semitones: Array | float,
    *,
    n_fft: int = 2048,
    min_semitones: float | None = None,
    max_semitones: float = MAX_SEMITONES,
) -> Array:
    """x with all frequencies multiplied by 2^(semitones / 12).

    Args:
        x: floating point [..., T].
        semitones: one for all examples, or one for each [...].
        n_fft: length of the vocoder's frames in samples, a multiple of 4.
        min_semitones: nothing of `semitones` is below; it fixes the shapes. Needed where
            `semitones` is traced by jax.
        max_semitones: nothing of `semitones` is above; the lower, the less a device computes.
    """
    _check_n_fft(n_fft)
    xp = array_module(x)
    if min_semitones is None:
        min_semitones = float(np.min(np.asarray(semitones)))
    length, hop = x.shape[-1], n_fft // _OVERLAP
    ratio = 2.0 ** (base.per_example(x, semitones, "float32") / 12)
    # In time the frames of the output are the input's; in resampled samples they are not.
    centre = xp.round(hop * _frame_numbers(length, n_fft) / ratio).astype("int32")
    resampled_length = math.ceil(length / 2.0 ** (min_semitones / 12))
    max_ratio = 2.0 ** (max_semitones / 12)
    resampled = _resample(x, ratio, length=resampled_length, max_ratio=max_ratio)
    return _vocoder(resampled, centre, n_fft=n_fft)[..., :length]


def time_stretch(x: Array, rate: Array | float, *, n_fft: int = 2048) -> Array:
    """x played `rate` times as fast at the same pitch, cut or filled with silence to its length.

    Args:
        x: floating point [..., T].
        rate: one for all examples, or one for each [...].
        n_fft: length of the vocoder's frames in samples, a multiple of 4.
    """
    _check_n_fft(n_fft)
    xp = array_module(x)
    length, hop = x.shape[-1], n_fft // _OVERLAP
    rate = base.per_example(x, rate, "float32")
    centre = xp.round(rate * hop * _frame_numbers(length, n_fft)).astype("int32")
    return _vocoder(x, centre, n_fft=n_fft)[..., :length]


def _frame_numbers(length: int, n_fft: int) -> np.ndarray:
    """Of all frames that reach into the output; number 0 is centred on its first sample."""
    last = math.ceil((length - 1) / (n_fft // _OVERLAP)) + _OVERLAP // 2
    return np.arange(1 - _OVERLAP // 2, last + 1, dtype=np.float32)


def _vocoder(x: Array, centre: Array, *, n_fft: int) -> Array:
    """Frames of x put a hop apart, continuing each other's phase.

    x [..., T]; centre [..., F] is where the frames are read, in samples; outside is silence.
    Returns [..., (F - 1) hop] samples, from one hop behind the centre of the first frame on.
    """
    batch = x.shape[:-1]
    x, centre = (a.reshape(-1, a.shape[-1]) for a in (x, centre))
    together = functools.partial(_vocode, n_fft=n_fft)
    # On a CPU the examples take turns, as the spectra of one stay in its cache and those of a
    # batch do not: twice as fast. On other devices they go together.
    if array_module(x) is np:
        y = np.stack([together(*example) for example in zip(x, centre, strict=True)])
    else:
        lax = sys.modules["jax"].lax
        in_turn = lambda *batch: lax.map(lambda example: together(*example), batch)  # noqa: E731
        by_rows = functools.partial(_vocode, n_fft=n_fft, read=_spectra_by_rows)
        y = lax.platform_dependent(x, centre, cpu=in_turn, tpu=by_rows, default=together)
    return y.reshape(*batch, -1)


def _vocode(x: Array, centre: Array, *, n_fft: int, read: Any = None) -> Array:
    """`_vocoder` of a batch or of one example, at once; `read` in place of `_spectra`."""
    fft, hop = fft_module(x), n_fft // _OVERLAP
    window = hann_window(n_fft).astype(x.dtype)
    silence = n_fft + hop
    padded = base.pad(x, silence, silence)
    start = silence - n_fft // 2 - hop + centre
    start = array_module(x).clip(start, 0, padded.shape[-1] - (n_fft + hop))
    spectrum, before = (read or _spectra)(padded, start, n_fft=n_fft)
    frames = fft.irfft(_phases_continued(spectrum, before), n_fft)
    # Squared Hann windows a quarter apart add up to 3/2.
    return _overlap_add(frames * (window / 1.5), hop)


def _spectra(x: Array, start: Array, *, n_fft: int) -> tuple[Array, Array]:
    """Of the frames a hop behind each start, and of those at it: [..., F, n_fft // 2 + 1]."""
    fft, hop = fft_module(x), n_fft // _OVERLAP
    window = hann_window(n_fft).astype(x.dtype)
    pairs = base.runs(x, start, length=n_fft + hop)
    return fft.rfft(pairs[..., hop:] * window), fft.rfft(pairs[..., :n_fft] * window)


def _spectra_by_rows(x: Array, start: Array, *, n_fft: int) -> tuple[Array, Array]:
    """The same for devices that read whole rows of memory, where frames begin within rows.

    The window moves with the frame over the rows that it reaches into. What is behind n_fft samples
    of these is folded onto their beginning, which a transform of n_fft cannot tell from it, and the
    spectrum is turned back by where in its row the frame began.
    """
    jnp = sys.modules["jax"].numpy

    def transform(start):
        row, offset = jnp.divmod(start[..., None], base.ROW)
        rows = base.rows(x, row[..., 0], count=-(-n_fft // base.ROW) + 1)
        at = (np.arange(rows.shape[-1], dtype=np.float32) - offset).astype(x.dtype)
        window = 0.5 - 0.5 * jnp.cos(2 * np.pi / n_fft * at)
        framed = jnp.where((at >= 0) & (at < n_fft), rows * window, 0)
        framed = base.pad(framed, 0, -framed.shape[-1] % n_fft)
        folded = framed.reshape(*start.shape, -1, n_fft).sum(axis=-2)
        turn = (np.arange(n_fft // 2 + 1) * offset) % n_fft * np.float32(2 * np.pi / n_fft)
        return jnp.fft.rfft(folded) * jnp.exp(1j * turn.astype(x.dtype))

    return transform(start + n_fft // _OVERLAP), transform(start)


def _phases_continued(spectrum: Array, before: Array) -> Array:
    """Output frames [..., F, n_fft // 2 + 1] from the input's and from those a hop before them.

    Frame i is turned as far as frame i - 1 was, and by the angle between that and what lies a
    hop before frame i. At an attack a bin starts afresh, unturned, so that all of its bins stay
    together. Complex numbers are pairs of reals here, which compilers do better at.
    """
    if array_module(spectrum) is np:
        re, im = spectrum.real, spectrum.imag
        earlier = re[..., :-1, :], im[..., :-1, :]
        later = (a[..., 1:, :] for a in (re, im, before.real, before.imag))
        cos, sin, attack = _turn(*earlier, *later)
        rotation = np.ones_like(spectrum)
        for i in range(spectrum.shape[-2] - 1):
            turn = cos[..., i, :] + 1j * sin[..., i, :]
            rotation[..., i + 1, :] = np.where(attack[..., i, :], 1, rotation[..., i, :] * turn)
        re, im = _rotated(re, im, rotation.real, rotation.imag)
        return re + 1j * im

    jax = sys.modules["jax"]

    def step(carry, frame):
        rotation_cos, rotation_sin, *previous = carry
        re, im, *_ = frame
        turn_cos, turn_sin, attack = _turn(*previous, *frame)
        cos = rotation_cos * turn_cos - rotation_sin * turn_sin
        sin = rotation_cos * turn_sin + rotation_sin * turn_cos
        cos, sin = jax.numpy.where(attack, 1.0, cos), jax.numpy.where(attack, 0.0, sin)
        return (cos, sin, re, im), _rotated(re, im, cos, sin)

    frames = (spectrum.real, spectrum.imag, before.real, before.imag)
    frames = tuple(jax.numpy.moveaxis(a, -2, 0) for a in frames)
    zeros = jax.numpy.zeros_like(frames[0][0])
    _, (re, im) = jax.lax.scan(step, (zeros + 1, zeros, zeros, zeros), frames)
    return jax.numpy.moveaxis(jax.lax.complex(re, im), 0, -2)


def _turn(
    previous_re: Array, previous_im: Array, re: Array, im: Array, before_re: Array, before_im: Array
) -> tuple[Array, Array, Array]:
    """Cosine and sine of the angle from `before` to `previous`; where a frame has an attack."""
    cos, sin = _direction(
        previous_re * before_re + previous_im * before_im,
        previous_im * before_re - previous_re * before_im,
    )
    attack = re * re + im * im > _ATTACK * (before_re * before_re + before_im * before_im)
    return cos, sin, attack


def _rotated(re: Array, im: Array, cos: Array, sin: Array) -> tuple[Array, Array]:
    """A frame turned by angles, each of which is first averaged over the five bins around it.

    The average is weighted by power: bins around a loud one turn as it does, which keeps
    partials, attacks and levels together (the phase locking of the paper, over two bins).
    """
    power = re * re + im * im
    cos, sin = _direction(_sum_of_five(cos * power), _sum_of_five(sin * power))
    return re * cos - im * sin, re * sin + im * cos


def _direction(re: Array, im: Array) -> tuple[Array, Array]:
    """Cosine and sine of the angle of (re, im); 1 and 0 for what is too small to have one."""
    xp = array_module(re)
    size = xp.sqrt(re * re + im * im)
    loud = size > _SILENCE
    scale = loud / xp.maximum(size, _SILENCE)
    return re * scale + ~loud, im * scale


def _sum_of_five(a: Array) -> Array:
    """Each bin with two neighbours on both sides, zeros beyond the ends."""
    padded = base.pad(a, 2, 2)
    return sum(padded[..., i : i + a.shape[-1]] for i in range(5))


def _overlap_add(frames: Array, hop: int) -> Array:
    """[..., F, 4 hop] -> [..., (F - 1) hop]: the three hops before all frames overlap are left."""
    *batch, count, n_fft = frames.shape
    parts = n_fft // hop
    blocks = frames.reshape(*batch, count, parts, hop)
    total = 0.0
    for i in range(parts):
        part = blocks[..., i, :][..., parts - 1 - i :, :]
        total = total + base.pad(part, 0, parts - 1 - i, axis=-2)[..., :count, :]
    return total.reshape(*batch, -1)  # pyright: ignore


def _resample(x: Array, ratio: Array, *, length: int, max_ratio: float) -> Array:
    """x read every `ratio` samples: x [..., T], ratio [..., 1] -> [..., length].

    Band-limited: the signal is oversampled twice by FFT, without what would alias, and read by
    four taps of a kernel whose own response has been divided out (a non-uniform FFT of type 2
    with the kernel of Barnett, Magland and af Klinteberg 2019; error below 1e-3). Behind the
    end is silence.
    """
    xp, fft = array_module(x), fft_module(x)
    x = base.pad(x, _TAPS, _TAPS)
    n = fast_length(x.shape[-1])
    frequency = (np.arange(n // 2 + 1) / (n // 2)).astype(x.dtype)
    keep = xp.where(ratio > 1, xp.clip((1 / ratio - frequency) * 25, 0, 1), 1).astype(x.dtype)
    spectrum = fft.rfft(x, n) * (keep * (2 / _kernel_response(n)).astype(x.dtype))
    twice = fft.irfft(base.pad(spectrum, 0, n // 2), 2 * n)
    whole, fraction = _positions(2 * ratio, length)
    first = xp.minimum(whole + (2 * _TAPS + 1 - _TAPS // 2), 2 * n - _TAPS)
    if xp is np:
        return _read(twice, first, fraction)
    by_rows = functools.partial(_read_by_rows, most=2 * max_ratio)
    lax = sys.modules["jax"].lax
    return lax.platform_dependent(twice, first, fraction, tpu=by_rows, default=_read)


def _read(x: Array, first: Array, fraction: Array) -> Array:
    """The signal x [..., T] at `fraction` behind the second of four samples from `first` on."""
    taps = (_at(x, first + i) * _kernel(fraction + (_TAPS // 2 - 1 - i)) for i in range(_TAPS))
    return sum(taps).astype(x.dtype)  # pyright: ignore


def _read_by_rows(x: Array, first: Array, fraction: Array, *, most: float) -> Array:
    """The same for devices that read whole rows of memory: `most` is the largest step of `first`.

    Neighbours lie in the same few rows, of which each takes its samples by comparing numbers.
    """
    jnp = sys.modules["jax"].numpy
    length = first.shape[-1]
    missing = -length % _BLOCK
    # Behind the end the last place is read again, and thrown away.
    first, fraction = (base.pad(a, 0, missing, mode="edge") for a in (first, fraction))
    first, fraction = (a.reshape(*a.shape[:-1], -1, _BLOCK) for a in (first, fraction))
    row = first[..., 0] // base.ROW
    count = math.ceil((base.ROW + most * (_BLOCK - 1) + _TAPS + 1) / base.ROW)
    rows = base.rows(x, row, count=count)[..., None, :]
    tap = (
        np.arange(count * base.ROW, dtype=np.int32) - (first - row[..., None] * base.ROW)[..., None]
    )
    weight = jnp.zeros((), x.dtype)
    for i in range(_TAPS):
        own = _kernel(fraction + (_TAPS // 2 - 1 - i)).astype(x.dtype)[..., None]
        weight = jnp.where(tap == i, own, weight)
    return (rows * weight).sum(axis=-1).reshape(*x.shape[:-1], -1)[..., :length]


def _at(x: Array, index: Array) -> Array:
    """x [..., T] at valid indices [..., S]."""
    if array_module(x) is np:
        return np.take_along_axis(x, index, axis=-1)
    return array_module(x).take_along_axis(x, index, axis=-1, mode="promise_in_bounds")


def _positions(step: Array, length: int) -> tuple[Array, Array]:
    """m * step for m < length as whole numbers and fractions; step [..., 1] in float32.

    In integers, as float32 cannot tell the samples of a song apart to a hundredth.
    """
    xp = array_module(step)
    step = xp.round(step * 2**_FRACTION_BITS).astype("int32")  # pyright: ignore
    below_one = 2**_FRACTION_BITS - 1
    # 1024 steps are again whole samples and a fraction, which keeps products within 32 bits.
    block, within = np.divmod(np.arange(length, dtype=np.int32), np.int32(1024))
    long_step = step * 1024
    fine = block * (long_step & below_one) + within * step
    whole = block * (long_step >> _FRACTION_BITS) + (fine >> _FRACTION_BITS)
    return whole, (fine & below_one).astype("float32") / 2**_FRACTION_BITS


def _kernel(t: Array) -> Array:
    """exp(beta (sqrt(1 - (2t/taps)^2) - 1)), "exponential of a semicircle"."""
    xp = array_module(t)
    inside = xp.maximum(1 - (t * (2 / _TAPS)) ** 2, 0.0)
    return xp.exp(2.3 * _TAPS * (xp.sqrt(inside) - 1))


@functools.lru_cache(maxsize=8)
def _kernel_response(n: int) -> np.ndarray:
    """The kernel's Fourier transform at the frequencies of a signal [n], oversampled twice."""
    t = np.linspace(-_TAPS / 2, _TAPS / 2, 2001)
    weights = _kernel(t) * (t[1] - t[0])
    coarse = np.linspace(0, 0.25, 257)  # cycles per sample of the oversampled signal
    response = (np.cos(2 * np.pi * coarse[:, None] * t) * weights).sum(axis=1)
    fine = np.arange(n // 2 + 1) / (2 * n)
    polynomial = np.polynomial.Polynomial.fit(coarse, response, 12)
    return polynomial(fine)


def _check_n_fft(n_fft: int) -> None:
    if n_fft < 16 or n_fft % _OVERLAP:
        raise ValueError(f"n_fft is {n_fft}; it must be a multiple of {_OVERLAP}, at least 16")
