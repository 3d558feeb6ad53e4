"""The short-time Fourier transform: windows, framing, complex STFT, magnitude and power.

Every function takes settings, changes to them by keyword, or both, and a waveform [..., T] of
numpy or jax.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mclf_jax.audio.arrays import (
    Array,
    array_module,
    as_floating,
    check_choice,
    check_positive,
    constant,
    replaced,
    safe_sqrt,
)
from mclf_jax.audio.fourier import rfft
from mclf_jax.common import checks

# Sums of cosines, sum_k (-1)^k a_k cos(2 pi k n / N), by scipy's names and with its coefficients.
COSINE_SUMS = {
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
    "nuttall": (0.3635819, 0.4891775, 0.1365995, 0.0106411),
    "blackmanharris": (0.35875, 0.48829, 0.14128, 0.01168),
    "flattop": (0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368),
    "boxcar": (1.0,),
}
WINDOWS = (*COSINE_SUMS, *(f"{name}_symmetric" for name in COSINE_SUMS))
FRAMINGS = ("center", "start", "kaldi")
PAD_MODES = ("reflect", "constant", "edge", "symmetric")
# Frames of more pieces than this are gathered: concatenating many slivers is slower.
_MAX_PIECES = 16
# Samples of the frames that numpy works on at a time: half a megabyte, which stays in a cache.
_AT_ONCE = 1 << 17


@dataclasses.dataclass(frozen=True)
class Stft:
    """Settings of a short-time Fourier transform; hashable, so it can be static under `jax.jit`.

    Attributes:
        sample_rate_hz: rate of the waveform.
        n_fft: length of a frame, in samples.
        hop_length: samples between frames.
        win_length: of the window, which is centred in the frame; `n_fft` when None.
        window: one of `WINDOWS`. They are periodic, as spectra want them; "hann_symmetric" and
            the like are those of filter design, which essentia uses.
        framing: "center": frame f is centred on sample f * hop_length, and the ends are padded.
            "start": it starts there, nothing is padded, and an incomplete last frame is left out.
            "kaldi": so too, with `win_length` samples that lose their mean, then are pre-emphasised
            (the first one by itself), and have zeros behind.
        pad_mode: what half a frame at both ends is filled with: "reflect", "constant" (zeros),
            "edge" or "symmetric"; for "center".
        preemphasis: share of the sample before that is taken off each sample, which raises high
            frequencies; the first one, which has none before it, is left out. 0.97 in Kaldi.
    """

    sample_rate_hz: int = 16000
    n_fft: int = 512
    hop_length: int = 256
    win_length: int | None = None
    window: str = "hann"
    framing: str = "center"
    pad_mode: str = "reflect"
    preemphasis: float = 0.0

    def __post_init__(self):
        check_choice(self, "window", WINDOWS)
        check_choice(self, "framing", FRAMINGS)
        check_choice(self, "pad_mode", PAD_MODES)
        check_positive(self, "sample_rate_hz", "n_fft", "hop_length")
        checks.within("features.preemphasis", self.preemphasis, 0, 1)
        if self.win_length is not None and not 1 <= self.win_length <= self.n_fft:
            raise ValueError(
                f"features.win_length is {self.win_length}; it must be from 1 to features.n_fft "
                f"({self.n_fft})"
            )

    @property
    def num_bins(self) -> int:
        """Of the Fourier transform of a frame."""
        return self.n_fft // 2 + 1

    @property
    def frame_length(self) -> int:
        """Samples that are in a frame."""
        return (self.win_length or self.n_fft) if self.framing == "kaldi" else self.n_fft

    def num_frames(self, num_samples: int) -> int:
        """F of `num_samples` samples.

        Raises:
            ValueError: there are too few for one frame.
        """
        lost = bool(self.preemphasis) and self.framing != "kaldi"
        least = (1 if self.framing == "center" else self.frame_length) + lost
        if num_samples < least:
            raise ValueError(
                f"a waveform of {num_samples} samples is too short for a frame; with "
                f"features.framing={self.framing!r} it must have at least {least}"
            )
        padding = 2 * (self.n_fft // 2) if self.framing == "center" else 0
        return 1 + (num_samples + padding - lost - self.frame_length) // self.hop_length


def bin_frequencies_hz(*, n_fft: int, sample_rate_hz: float) -> np.ndarray:
    """Frequency of each bin of the transform of a frame, [n_fft//2 + 1] in Hz.

    The last one is half the rate if n_fft is even, and half a bin below it if n_fft is odd.

    >>> bin_frequencies_hz(n_fft=5, sample_rate_hz=100)
    array([ 0., 20., 40.])
    """
    last = n_fft // 2
    return np.linspace(0, sample_rate_hz * last / n_fft, last + 1)


def stft(waveform: Array, settings: Stft | None = None, **changes: Any) -> Array:
    """Complex short-time Fourier transform.

    Args:
        waveform: floating point [..., T].
        settings: `Stft()` when not given; any representation with its fields will do.
        **changes: fields to replace, such as `n_fft=1024`.

    Returns:
        complex [..., F, n_fft//2 + 1], not scaled.

    Raises:
        ValueError: the waveform is too short, see `Stft.num_frames`.
        TypeError: it is not floating point.

    >>> stft(np.ones(1024), n_fft=512, hop_length=256).shape
    (5, 257)
    """
    s = replaced(settings or Stft(), changes)
    framed = frames(waveform, s)
    return rfft(framed * _window_of(s, like=framed))


def power_spectrogram(waveform: Array, settings: Stft | None = None, **changes: Any) -> Array:
    """Squared magnitude of `stft`, [..., T] -> [..., F, n_fft//2 + 1].

    >>> power_spectrogram(np.ones(8), n_fft=4, hop_length=8).round(2)
    array([[4., 1., 0.],
           [4., 1., 0.]])
    """
    return by_frames(waveform, replaced(settings or Stft(), changes), lambda power: power)


def by_frames(waveform: Array, settings: Stft, function: Callable[[Array], Array]) -> Array:
    """What a function makes of the power of each frame: [..., T] -> [..., F, M].

    numpy computes a few frames from beginning to end before the next ones, so that all of it stays
    in the processor's cache.

    Args:
        waveform: floating point [..., T].
        settings: `Stft` or whatever else has its fields.
        function: power [..., n_fft//2 + 1] -> [..., M], each frame for itself.
    """
    if array_module(waveform) is not np:
        spectrum = stft(waveform, settings)
        return function(spectrum.real**2 + spectrum.imag**2)
    framed = frames(waveform, settings)
    *batch, count, n_fft = framed.shape
    if not framed.size:
        return function(np.zeros((*batch, count, n_fft // 2 + 1), framed.dtype))
    window = _window_of(settings, like=framed)
    framed = framed.reshape(-1, count, n_fft) if len(batch) != 1 else framed  # no copy of one clip

    def compute(piece: tuple[slice, slice]) -> Array:
        rows = framed[piece] * window
        spectrum = rfft(rows.reshape(-1, n_fft))
        squares = spectrum.view(framed.dtype)  # real and imaginary parts in turn
        np.square(squares, out=squares)
        found = function(squares[:, ::2] + squares[:, 1::2])
        return found.reshape(*rows.shape[:-1], -1)

    first, *others = _pieces(framed)
    head = compute(first)
    if not others:
        return head.reshape(*batch, count, head.shape[-1])
    found = np.empty((*framed.shape[:-1], head.shape[-1]), head.dtype)
    found[first] = head
    for piece in others:
        found[piece] = compute(piece)
    return found.reshape(*batch, count, -1)


def _pieces(framed: np.ndarray) -> list[tuple[slice, slice]]:
    """Of frames [B, F, n_fft] about as many samples: several clips, or frames of one."""
    num_clips, count, n_fft = framed.shape
    step = max(1, _AT_ONCE // n_fft)
    clips = max(1, step // count)
    return [
        (slice(b, b + clips), slice(f, f + step))
        for b in range(0, num_clips, clips)
        for f in range(0, count, step)
    ]


def magnitude_spectrogram(waveform: Array, settings: Stft | None = None, **changes: Any) -> Array:
    """Magnitude of `stft`, [..., T] -> [..., F, n_fft//2 + 1]; differentiable at silence too.

    >>> magnitude_spectrogram(np.ones(8), n_fft=4, hop_length=8).round(2)
    array([[2., 1., 0.],
           [2., 1., 0.]])
    """
    return safe_sqrt(power_spectrogram(waveform, settings, **changes))


def frames(waveform: Array, settings: Stft | None = None, **changes: Any) -> Array:
    """Overlapping frames before the window, [..., T] -> [..., F, n_fft]; read-only for numpy.

    >>> frames(np.arange(6.0), n_fft=4, hop_length=2, framing="start")
    array([[0., 1., 2., 3.],
           [2., 3., 4., 5.]])
    """
    settings = replaced(settings or Stft(), changes)
    x = as_floating(waveform)
    xp = array_module(x)
    n_fft, hop = settings.n_fft, settings.hop_length
    count = settings.num_frames(x.shape[-1])
    if settings.framing == "kaldi":
        return _kaldi_frames(x, settings)
    if settings.preemphasis:
        x = x[..., 1:] - settings.preemphasis * x[..., :-1]
    if settings.framing == "center":
        half = n_fft // 2
        if settings.pad_mode == "edge":  # jax pads the other axes too, by nothing
            first, last = (xp.repeat(end, half, axis=-1) for end in (x[..., :1], x[..., -1:]))
            x = xp.concatenate([first, x, last], axis=-1)
        elif xp is np and settings.pad_mode == "reflect" and x.shape[-1] > half:
            # numpy.pad takes as long as the transforms of a few frames.
            ends = x[..., half:0:-1], x[..., -2 : -half - 2 : -1]
            x = np.concatenate([ends[0], x, ends[1]], axis=-1)
        else:
            x = xp.pad(x, [(0, 0)] * (x.ndim - 1) + [(half, half)], mode=settings.pad_mode)
    if xp is np:
        return np.lib.stride_tricks.sliding_window_view(x, n_fft, axis=-1)[..., ::hop, :]
    # jax has no views, and a gather is slow: cut into blocks of the length that frame and hop
    # have in common, and make frames of neighbouring ones.
    size = math.gcd(n_fft, hop)
    pieces, stride = n_fft // size, hop // size
    if pieces > _MAX_PIECES:
        return x[..., np.arange(count)[:, None] * hop + np.arange(n_fft)]
    used = (count - 1) * stride + pieces
    blocks = x[..., : used * size].reshape(*x.shape[:-1], used, size)
    last = (count - 1) * stride + 1
    # A new axis and a reshape: XLA takes three times as long to concatenate along the last axis.
    framed = xp.stack([blocks[..., k : k + last : stride, :] for k in range(pieces)], axis=-2)
    return framed.reshape(*x.shape[:-1], count, n_fft)


def _kaldi_frames(x: Array, s: Stft) -> Array:
    """As `compute-fbank-feats` and `torchaudio.compliance.kaldi` make them, without dither."""
    xp = array_module(x)
    framed = frames(x, n_fft=s.frame_length, hop_length=s.hop_length, framing="start")
    framed = framed - framed.mean(axis=-1, keepdims=True)
    before = xp.concatenate([framed[..., :1], framed[..., :-1]], axis=-1)
    none = [(0, 0)] * (framed.ndim - 1)
    return xp.pad(framed - s.preemphasis * before, [*none, (0, s.n_fft - s.frame_length)])


@functools.lru_cache(maxsize=64)
def window_function(name: str, length: int) -> np.ndarray:
    """Window by name, float64 [length], read-only; equal to `scipy.signal.get_window`.

    Args:
        name: one of `WINDOWS`.
        length: in samples. The period of a periodic window; a symmetric one ends as it begins.

    >>> window_function("hann", 4)
    array([0. , 0.5, 1. , 0.5])
    """
    base = name.removesuffix("_symmetric")
    period = max(1, length - 1) if name.endswith("_symmetric") else length
    phase = 2 * np.pi * np.arange(length) / period
    terms = [(-1) ** k * a * np.cos(k * phase) for k, a in enumerate(COSINE_SUMS[base])]
    values = np.sum(terms, axis=0) if length > 1 else np.ones(1)
    values.flags.writeable = False
    return values


def hann_window(length: int) -> np.ndarray:
    """Periodic Hann window, float64 [length].

    >>> hann_window(4)
    array([0. , 0.5, 1. , 0.5])
    """
    return window_function("hann", length)


def _window_of(s: Stft, *, like: Array) -> Array:
    left = 0 if s.framing == "kaldi" else (s.n_fft - (s.win_length or s.n_fft)) // 2
    return constant(_frame_window, s.window, s.win_length or s.n_fft, s.n_fft, left, like=like)


def _frame_window(name: str, length: int, n_fft: int, left: int) -> np.ndarray:
    return np.pad(window_function(name, length), (left, n_fft - length - left))


def istft(
    spectrum: Array, settings: Stft | None = None, *, num_samples: int, **changes: Any
) -> Array:
    """The waveform that a complex spectrum is of, or one whose spectrum is closest to it.

    Frames are windowed once more, added where they overlap, and divided by what all windows add up
    to there (Griffin and Lim 1984, equation 6). It undoes `stft`; what no window covers at the ends
    is 0.

    Args:
        spectrum: complex [..., F, n_fft//2 + 1], numpy or jax.
        settings: those of `stft`.
        num_samples: T of the waveform.
        **changes: fields to replace.

    Returns:
        [..., T].

    Raises:
        ValueError: another number of frames or bins than `stft` makes of so many samples, samples
            in the middle that no window covers, pre-emphasis, which loses the first sample, or
            Kaldi's framing, which loses means.

    >>> waveform = np.cos(np.arange(64.0))
    >>> spectrum = stft(waveform, n_fft=16, hop_length=4)
    >>> bool(np.allclose(istft(spectrum, n_fft=16, hop_length=4, num_samples=64), waveform))
    True
    """
    s = replaced(settings or Stft(), changes)
    if s.preemphasis:
        raise ValueError(
            f"features.preemphasis is {s.preemphasis}; it must be 0 for a spectrum to be inverted"
        )
    if s.framing == "kaldi":
        raise ValueError(
            "features.framing is 'kaldi'; it must be 'center' or 'start' for a spectrum to be "
            "inverted"
        )
    wanted = s.num_frames(num_samples), s.num_bins
    if spectrum.shape[-2:] != wanted:
        raise ValueError(
            f"the spectrum has {spectrum.shape[-2:]} frames and bins; of {num_samples} samples "
            f"there are {wanted}"
        )
    xp, half = array_module(spectrum), s.n_fft // 2 if s.framing == "center" else 0
    window = _window_of(s, like=spectrum.real)
    added = _overlapping(xp.fft.irfft(spectrum, s.n_fft) * window, hop=s.hop_length)
    weights = _overlapping(np.tile(np.square(window), (wanted[0], 1)), hop=s.hop_length)
    last = max(half + num_samples, weights.shape[-1])
    ends = [(0, 0)] * (added.ndim - 1) + [(0, last - weights.shape[-1])]
    added, weights = xp.pad(added, ends)[..., half:], np.pad(weights, ends[-1])[half:]
    covered = weights > 1e-11 * np.square(window).max()
    if not covered[s.n_fft : num_samples - s.n_fft].all():
        raise ValueError(
            f"features.hop_length is {s.hop_length}, of windows that leave samples between them; "
            "take a smaller one"
        )
    return (added / np.where(covered, weights, 1))[..., :num_samples].astype(window.dtype)


def _overlapping(framed: Array, *, hop: int) -> Array:
    """Frames [..., F, N], each `hop` after the one before, added up: [..., (F - 1) hop + N]."""
    xp = array_module(framed)
    *batch, count, size = framed.shape
    pieces = -(-size // hop)
    none = [(0, 0)] * len(batch)
    framed = xp.pad(framed, [*none, (0, 0), (0, pieces * hop - size)])
    framed = framed.reshape(*batch, count, pieces, hop)
    shifted = (
        xp.pad(framed[..., i, :], [*none, (i, pieces - 1 - i), (0, 0)]) for i in range(pieces)
    )
    return functools.reduce(xp.add, shifted).reshape(*batch, -1)[..., : (count - 1) * hop + size]
