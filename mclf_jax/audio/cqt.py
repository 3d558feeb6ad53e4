"""Constant-Q transform: one band for each note (or fraction of one), for numpy and for jax.numpy.

A bin is the correlation of the waveform around the middle of a frame with a windowed complex
exponential that is Q periods long (Brown, "Calculation of a constant Q spectral transform", 1991),
as in librosa, whose absolute levels the default has.

Correlation is multiplication of spectra, and only every hop-th result is wanted. So a block of
audio is transformed once; for each bin its spectrum is multiplied by that of the filter, folded to
the frame rate (which is what leaving out samples does to a spectrum) and transformed back. As a
filter is narrow, multiplying and folding is a small matrix product (compare the sparse kernels of
Brown and Puckette 1992, and Schörkhuber and Klapuri 2010, which approximate further by decimation).

Shapes: T samples, F frames, K bins, P frames of a block, R frequency ranges, M blocks in all.
"""

import dataclasses
import functools
import math
from typing import Any, ClassVar

import numpy as np

from mclf_jax.audio.arrays import (
    Array,
    array_module,
    as_floating,
    check_choice,
    check_positive,
    safe_sqrt,
    settings_of,
)
from mclf_jax.audio.compress import power_to_db
from mclf_jax.audio.fourier import ifft, rfft
from mclf_jax.audio.stft import COSINE_SUMS, PAD_MODES

# A boxcar's spectrum is never narrow.
WINDOWS = tuple(name for name in COSINE_SUMS if name != "boxcar")
NORMS = ("energy", "amplitude")
COMPRESSIONS = ("db", "none")
C1_HZ = 440.0 * 2 ** (-45 / 12)
# Of its peak: a filter's spectrum is taken as zero where it stays below this (-100 dB).
_NEGLIGIBLE = 1e-5
# Audio in a block, in lengths of the longest filter, one of which is spent on overlap.
_BLOCK_LENGTHS = 5
# Blocks that numpy transforms at a time: more would not fit into the processor's cache.
_AT_ONCE = 8


@dataclasses.dataclass(frozen=True)
class CQT:
    """Settings of a constant-Q spectrogram, [..., T] -> [..., F, num_bins].

    Attributes:
        sample_rate_hz: rate of the waveform.
        hop_length: samples between frames; any number.
        f_min_hz: centre of the lowest bin; C1 by default.
        num_bins: K; 84 are seven octaves of semitones.
        bins_per_octave: 12 for semitones.
        filter_scale: length of the filters; below 1 they are shorter, sharper in time and blurred
            in frequency.
        window: of the filters, one of `WINDOWS`.
        norm: "energy", white noise is flat over the bins (librosa's `scale=True`), or "amplitude",
            a sine of amplitude 1 gives 1 in its bin.
        pad_mode: what is beyond both ends, as for `Stft`; zeros by default.
        compression: "db", 10 log10(max(magnitude**2, amin)), or "none", magnitudes.
        amin: floor of the power before the logarithm, for "db".
        top_db: if given, nothing is more than this far below the loudest point of the clip;
            for "db".
    """

    kind: ClassVar[str] = "cqt"
    sample_rate_hz: int = 16000
    hop_length: int = 256
    f_min_hz: float = C1_HZ
    num_bins: int = 84
    bins_per_octave: int = 12
    filter_scale: float = 1.0
    window: str = "hann"
    norm: str = "energy"
    pad_mode: str = "constant"
    compression: str = "db"
    amin: float = 1e-10
    top_db: float | None = None

    def __post_init__(self):
        check_choice(self, "window", WINDOWS)
        check_choice(self, "norm", NORMS)
        check_choice(self, "pad_mode", PAD_MODES)
        check_choice(self, "compression", COMPRESSIONS)
        check_positive(self, "sample_rate_hz", "hop_length", "f_min_hz", "num_bins")
        check_positive(self, "bins_per_octave", "filter_scale", "amin")
        if self.top_db is not None:
            check_positive(self, "top_db")
            if self.compression != "db":
                raise ValueError(
                    f"features.top_db is {self.top_db}, but features.compression is "
                    f"{self.compression!r}; it is for 'db'"
                )
        top_hz = frequencies_hz(self)[-1] * (1 + _bandwidth(self.window) / (2 * _q(self)))
        if top_hz > self.sample_rate_hz / 2:
            raise ValueError(
                f"features.f_min_hz, num_bins, bins_per_octave are {self.f_min_hz:.4g}, "
                f"{self.num_bins}, {self.bins_per_octave}: the highest filter reaches "
                f"{top_hz:.0f} Hz; it must stay within half of features.sample_rate_hz "
                f"({self.sample_rate_hz / 2:g}), so take fewer bins"
            )

    @property
    def unit(self) -> str:
        """ "dB", or nothing if the values have no unit."""
        return "dB" if self.compression == "db" else ""

    def __call__(self, waveform: Array) -> Array:
        bins = cqt(waveform, self)
        power = bins.real**2 + bins.imag**2
        if self.compression == "none":
            return safe_sqrt(power)
        return power_to_db(power, amin=self.amin, top_db=self.top_db)

    def num_frames(self, num_samples: int) -> int:
        """Frames of `num_samples` samples (centred framing)."""
        return 1 + num_samples // self.hop_length

    def shape(self, num_samples: int) -> tuple[int, ...]:
        """Shape of one example of `num_samples` samples: (F, K)."""
        return self.num_frames(num_samples), self.num_bins


def cqt(waveform: Array, settings: CQT | None = None, **changes: Any) -> Array:
    """Constant-Q transform; phases are those at the middle of each frame.

    Args:
        waveform: floating point [..., T], a numpy or a jax array; T may be anything from 1 on.
        settings: the convention; `CQT()` when not given, of which `sample_rate_hz` must be.
            Its compression is not applied here.
        **changes: fields of `CQT` to replace, such as `bins_per_octave=36`.

    Returns:
        Complex [..., F, K] in the array module and the precision of `waveform`,
        with F = 1 + T // hop_length.

    Raises:
        TypeError: the waveform is not floating point, or there is no sample rate.

    >>> cqt(np.ones(22050), sample_rate_hz=22050).shape
    (87, 84)
    """
    settings = settings_of(CQT, settings, changes, of="cqt")
    waveform = as_floating(waveform)
    xp = array_module(waveform)
    num_frames = settings.num_frames(waveform.shape[-1])
    plan = _plan(settings, num_frames)
    blocks = _blocks(waveform, settings, plan)
    if xp is np:
        parts = [
            _block_frames(blocks[i : i + _AT_ONCE], settings, plan)
            for i in range(0, len(blocks), _AT_ONCE)
        ]
        frames = parts[0] if len(parts) == 1 else np.concatenate(parts)
    else:
        frames = _block_frames(blocks, settings, plan)
    frames = frames.reshape(*waveform.shape[:-1], -1, settings.num_bins)
    return frames[..., :num_frames, :]


def frequencies_hz(settings: CQT) -> np.ndarray:
    """Centre frequency of each bin, float64 [K] in Hz.

    >>> frequencies_hz(CQT())[:3].round(1)
    array([32.7, 34.6, 36.7])
    """
    return settings.f_min_hz * 2.0 ** (np.arange(settings.num_bins) / settings.bins_per_octave)


def filter_lengths(settings: CQT) -> np.ndarray:
    """Length of each bin's filter, float64 [K] in samples (not whole ones)."""
    return _q(settings) * settings.sample_rate_hz / frequencies_hz(settings)


def filter_response(settings: CQT, hz: np.ndarray) -> np.ndarray:
    """Gain of each filter relative to its centre, signed, float64 [K] along a new last axis."""
    lobes = (hz[..., None] - frequencies_hz(settings)) * filter_lengths(settings)
    lobes /= settings.sample_rate_hz
    first, *others = COSINE_SUMS[settings.window]
    gain = first * np.sinc(lobes)
    for k, term in enumerate(others, start=1):
        gain += term / 2 * (np.sinc(lobes - k) + np.sinc(lobes + k))
    return gain / first


def _q(settings: CQT) -> float:
    """Periods in a filter: half the distance of a bin's two neighbours is its bandwidth."""
    step = 4.0 ** (1 / settings.bins_per_octave)
    return settings.filter_scale * (step + 1) / (step - 1)


def _bandwidth(window: str) -> float:
    """Equivalent noise bandwidth, in bins."""
    first, *others = COSINE_SUMS[window]
    return 1 + sum(term**2 for term in others) / (2 * first**2)


@dataclasses.dataclass(frozen=True)
class _Plan:
    """How audio is cut: `count` blocks of P = `frames` frames, `step` of which are kept after the
    first `guard`; the rest has the ends of the block in its filters."""

    count: int
    frames: int
    step: int
    guard: int


@functools.lru_cache(maxsize=64)
def _plan(settings: CQT, num_frames: int) -> _Plan:
    from scipy.fft import next_fast_len

    longest, hop = filter_lengths(settings).max(), settings.hop_length
    guard = math.ceil(longest / 2 / hop)
    count = -(-num_frames // math.ceil((_BLOCK_LENGTHS - 1) * longest / hop))
    step = -(-num_frames // count)
    return _Plan(count, next_fast_len(step + 2 * guard), step, guard)


def _blocks(waveform: Array, settings: CQT, plan: _Plan) -> Array:
    """Overlapping blocks of audio, [..., T] -> [M, P * hop_length]."""
    xp = array_module(waveform)
    hop, margin = settings.hop_length, plan.guard * settings.hop_length
    rows = (plan.count - 1) * plan.step + plan.frames
    if settings.pad_mode != "constant":
        # As an index, since jax is slow to reflect audio that is shorter than a filter.
        sample = np.pad(np.arange(waveform.shape[-1]), margin, mode=settings.pad_mode)  # pyright: ignore
        waveform = waveform[..., sample]
        margin = 0
    rest = rows * hop - margin - waveform.shape[-1]
    pad = [(0, 0)] * (waveform.ndim - 1) + [(margin, rest)]
    padded = xp.pad(waveform, pad).reshape(-1, rows, hop)
    row = np.arange(plan.count)[:, None] * plan.step + np.arange(plan.frames)
    return padded[:, row].reshape(-1, plan.frames * hop)


def _block_frames(blocks: Array, settings: CQT, plan: _Plan) -> Array:
    """The bins of the frames that are kept, [M, P * hop_length] -> complex [M, plan.step, K]."""
    xp = array_module(blocks)
    spectra = rfft(blocks)
    # Ranges of P frequencies each lie on top of one another once folded: [M, R * P] -> [P, M, R].
    num_ranges = -(-spectra.shape[-1] // plan.frames)
    fill = num_ranges * plan.frames - spectra.shape[-1]
    spectra = xp.pad(spectra, ((0, 0), (0, fill))).reshape(-1, num_ranges, plan.frames)
    spectra = xp.moveaxis(spectra, -1, 0)
    parts = xp.concatenate([spectra.real, spectra.imag], axis=1)
    # By default accelerators would round to about three digits.
    matmul = xp.matmul if xp is np else functools.partial(xp.matmul, precision="highest")
    folded = xp.concatenate(
        [
            matmul(parts[..., first : first + kernel.shape[1]], xp.asarray(kernel))
            for first, kernel in _kernels(settings, plan.frames, str(parts.dtype))
        ],
        axis=-1,
    )
    count = blocks.shape[0]  # no number while jax exports for any batch
    real, imag = folded[:, :count], folded[:, count:]
    frames = ifft(real, imag)[plan.guard : plan.guard + plan.step]
    return xp.moveaxis(frames, 0, 1)


@functools.lru_cache(maxsize=16)
def _kernels(settings: CQT, num_frames: int, dtype: str) -> list[tuple[int, np.ndarray]]:
    """Spectra of the filters, octave by octave: (first range, [P, ranges, bins of the octave]).

    They are real, as the filters are symmetric around the middle of a frame. Frequencies below
    zero are left out.
    """
    size = num_frames * settings.hop_length
    num_ranges = -(-(size // 2 + 1) // num_frames)
    spectra = np.zeros((settings.num_bins, num_ranges * num_frames))
    for spectrum, hz, length in zip(
        spectra, frequencies_hz(settings), filter_lengths(settings), strict=True
    ):
        time = np.arange(-math.floor(length / 2), math.floor(length / 2) + 1)
        window = sum(
            term * np.cos(2 * np.pi * k * time / length)
            for k, term in enumerate(COSINE_SUMS[settings.window])
        )
        gain = math.sqrt(length) if settings.norm == "energy" else 2.0
        around_zero = np.zeros(size, complex)
        phase = 2 * np.pi * hz / settings.sample_rate_hz * time
        around_zero[time % size] = window * np.exp(1j * phase)
        found = np.fft.fft(around_zero).real[: size // 2 + 1] * gain / np.sum(window)
        # Keeping every hop-th sample divides the spectrum by the hop.
        spectrum[: len(found)] = found / settings.hop_length
    spectra = spectra.reshape(settings.num_bins, num_ranges, num_frames)
    kernels = []
    first_octave = settings.num_bins % settings.bins_per_octave
    for octave in np.split(
        spectra, range(first_octave, settings.num_bins, settings.bins_per_octave)
    ):
        if len(octave):
            used = np.abs(octave).max(axis=(0, 2)) > _NEGLIGIBLE * np.abs(octave).max()
            first, last = np.flatnonzero(used)[[0, -1]]
            kernel = octave[:, first : last + 1].transpose(2, 1, 0).astype(dtype, order="C")
            kernel.flags.writeable = False
            kernels.append((int(first), kernel))
    return kernels
