"""What networks take in: waveform, power spectrogram or log-mel, for numpy and for jax.numpy.

The pipeline, the jitted step and the deployed model all call the same functions, so they
cannot disagree. The defaults of `LogMel` are the convention of the published taggers
(torchaudio's): periodic Hann window, centred frames with reflection, power spectrum, HTK
mel scale without area normalisation, decibels with floor 1e-10. librosa's convention is
`mel_scale="slaney", mel_norm="slaney", pad_mode="constant", top_db=80.0`.

A representation is a frozen dataclass of settings that is called with a waveform [..., T].
"""

import dataclasses
import functools
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

MEL_SCALES = ("htk", "slaney")
MEL_NORMS = ("none", "slaney")
PAD_MODES = ("reflect", "constant")
COMPRESSIONS = ("db", "log10_10000")

Array = Any


@dataclasses.dataclass(frozen=True)
class Waveform:
    """The samples themselves, [..., T] -> [..., T]."""

    kind: ClassVar[str] = "waveform"
    sample_rate_hz: int = 16000

    def __post_init__(self):
        _check_positive(self, "sample_rate_hz")

    def __call__(self, waveform: Array) -> Array:
        return waveform

    def shape(self, num_samples: int) -> tuple[int, ...]:
        """Shape of one example of `num_samples` samples."""
        return (num_samples,)


@dataclasses.dataclass(frozen=True)
class PowerSpectrogram:
    """Settings of a power spectrogram, [..., T] -> [..., F, n_fft//2 + 1].

    Attributes:
        sample_rate_hz: rate of the waveform.
        n_fft: length of a frame and of its periodic Hann window, in samples.
        hop_length: samples between frames.
        pad_mode: how half a frame is added at both ends, "reflect" or "constant" (zeros).
    """

    kind: ClassVar[str] = "power_spectrogram"
    sample_rate_hz: int = 16000
    n_fft: int = 512
    hop_length: int = 256
    pad_mode: str = "reflect"

    def __post_init__(self):
        _check_choice(self, "pad_mode", PAD_MODES)
        _check_positive(self, "sample_rate_hz", "n_fft", "hop_length")

    def __call__(self, waveform: Array) -> Array:
        return power_spectrogram(waveform, self)

    def num_frames(self, num_samples: int) -> int:
        """Frames of `num_samples` samples (centred framing)."""
        return 1 + num_samples // self.hop_length

    def shape(self, num_samples: int) -> tuple[int, ...]:
        """Shape of one example of `num_samples` samples."""
        return self.num_frames(num_samples), self.n_fft // 2 + 1


@dataclasses.dataclass(frozen=True)
class LogMel:
    """Settings of a log-mel spectrogram; hashable, so it can be static under `jax.jit`.

    Attributes:
        sample_rate_hz: rate of the waveform.
        n_fft: length of a frame and of its window, in samples.
        hop_length: samples between frames.
        n_mels: number of mel bands, M.
        f_min_hz, f_max_hz: range of the filter bank; `f_max_hz=None` is half the rate.
        mel_scale: "htk" (2595 log10(1 + f/700)) or "slaney" (linear below 1 kHz).
        mel_norm: "none" (peak 1) or "slaney" (each filter has unit area).
        pad_mode: how half a frame is added at both ends, "reflect" or "constant" (zeros).
        compression: "db", 10 log10(max(x, amin)), or "log10_10000", log10(1 + 10000 x), which
            the original musicnn takes.
        amin: floor of the power before the logarithm, for "db".
        top_db: if given, nothing is more than this far below the loudest point of the clip;
            for "db".
    """

    kind: ClassVar[str] = "log_mel"
    sample_rate_hz: int = 16000
    n_fft: int = 512
    hop_length: int = 256
    n_mels: int = 96
    f_min_hz: float = 0.0
    f_max_hz: float | None = None
    mel_scale: str = "htk"
    mel_norm: str = "none"
    pad_mode: str = "reflect"
    compression: str = "db"
    amin: float = 1e-10
    top_db: float | None = None

    def __post_init__(self):
        _check_choice(self, "mel_scale", MEL_SCALES)
        _check_choice(self, "mel_norm", MEL_NORMS)
        _check_choice(self, "pad_mode", PAD_MODES)
        _check_choice(self, "compression", COMPRESSIONS)
        _check_positive(self, "sample_rate_hz", "n_fft", "hop_length", "n_mels", "amin")
        if not 0 <= self.f_min_hz < self.top_hz <= self.sample_rate_hz / 2:
            raise ValueError(
                f"features.f_min_hz, f_max_hz are {self.f_min_hz}, {self.top_hz}; they must rise "
                f"within 0 and half of features.sample_rate_hz ({self.sample_rate_hz / 2})"
            )

    @property
    def top_hz(self) -> float:
        return self.sample_rate_hz / 2 if self.f_max_hz is None else self.f_max_hz

    def __call__(self, waveform: Array) -> Array:
        return log_mel(waveform, self)

    def num_frames(self, num_samples: int) -> int:
        """Frames that `log_mel` makes of `num_samples` samples (centred framing)."""
        return 1 + num_samples // self.hop_length

    def shape(self, num_samples: int) -> tuple[int, ...]:
        """Shape of one example of `num_samples` samples: (F, M)."""
        return self.num_frames(num_samples), self.n_mels


Features = Waveform | PowerSpectrogram | LogMel
_KINDS = {cls.kind: cls for cls in (Waveform, PowerSpectrogram, LogMel)}


def to_json(features: Features) -> dict[str, Any]:
    """Settings as plain values, with their "kind"."""
    return {"kind": features.kind, **dataclasses.asdict(features)}


def from_json(settings: Mapping[str, Any]) -> Features:
    """What `to_json` was given."""
    settings = dict(settings)
    # Runs of version 0.1 have no kind: there was only one.
    return _KINDS[settings.pop("kind", LogMel.kind)](**settings)


def _check_choice(settings: Any, field: str, allowed: tuple[str, ...]) -> None:
    if getattr(settings, field) not in allowed:
        raise ValueError(
            f"features.{field} is {getattr(settings, field)!r}; allowed: {', '.join(allowed)}"
        )


def _check_positive(settings: Any, *fields: str) -> None:
    for field in fields:
        if not getattr(settings, field) > 0:
            raise ValueError(f"features.{field} is {getattr(settings, field)}; it must be positive")


def log_mel(waveform: Array, settings: LogMel | None = None, **changes: Any) -> Array:
    """Log-mel spectrogram, in decibels unless `compression` says otherwise.

    Args:
        waveform: floating point [..., T], a numpy or a jax array.
        settings: the convention; `LogMel()` when not given.
        **changes: fields of `LogMel` to replace, such as `n_mels=128`.

    Returns:
        [..., F, M] in the array module and the precision of `waveform`,
        with F = 1 + T // hop_length.
    """
    settings = dataclasses.replace(settings or LogMel(), **changes)
    xp = array_module(waveform)
    power = power_spectrogram(waveform, settings)
    mel = power @ xp.asarray(mel_filter_bank(settings), dtype=power.dtype)
    if settings.compression == "log10_10000":
        return xp.log10(1.0 + 10000.0 * mel)
    # Not exactly 0 for an empty band or silence: the published networks saw -100 dB there.
    db = 10.0 * xp.log10(xp.maximum(mel, settings.amin))
    if settings.top_db is not None:
        db = xp.maximum(db, db.max(axis=(-2, -1), keepdims=True) - settings.top_db)
    return db


def power_spectrogram(waveform: Array, settings: PowerSpectrogram | LogMel) -> Array:
    """Squared magnitude of the short-time Fourier transform, [..., T] -> [..., F, n_fft//2 + 1]."""
    xp = array_module(waveform)
    window = xp.asarray(hann_window(settings.n_fft), dtype=waveform.dtype)
    spectrum = xp.fft.rfft(frames(waveform, settings) * window, axis=-1)
    return spectrum.real**2 + spectrum.imag**2


def frames(waveform: Array, settings: PowerSpectrogram | LogMel) -> Array:
    """Centred, overlapping frames, [..., T] -> [..., F, n_fft]."""
    xp = array_module(waveform)
    n_fft, hop = settings.n_fft, settings.hop_length
    half = n_fft // 2
    pad = [(0, 0)] * (waveform.ndim - 1) + [(half, half)]
    padded = xp.pad(waveform, pad, mode=settings.pad_mode)
    count = settings.num_frames(waveform.shape[-1])
    if n_fft % hop:
        index = np.arange(count)[:, None] * hop + np.arange(n_fft)
        return padded[..., index]
    # The hop divides the frame: frames are runs of neighbouring blocks, and reshaping plus
    # concatenation is several times faster than a gather on CPU.
    parts = n_fft // hop
    blocks = padded[..., : (count + parts - 1) * hop].reshape(*padded.shape[:-1], -1, hop)
    return xp.concatenate([blocks[..., k : k + count, :] for k in range(parts)], axis=-1)


@functools.cache
def hann_window(length: int) -> np.ndarray:
    """Periodic Hann window, float64 [length]."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)


@functools.lru_cache(maxsize=32)
def mel_filter_bank(settings: LogMel) -> np.ndarray:
    """Triangular mel filters, float64 [n_fft//2 + 1, n_mels].

    Equal to torchaudio's `melscale_fbanks` and, transposed, to `librosa.filters.mel`.
    """
    scale = settings.mel_scale
    low, high = hz_to_mel(np.array([settings.f_min_hz, settings.top_hz]), scale)
    edges_hz = mel_to_hz(np.linspace(low, high, settings.n_mels + 2), scale)
    bins_hz = np.linspace(0, settings.sample_rate_hz / 2, settings.n_fft // 2 + 1)[:, None]
    left, centre, right = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    rising = (bins_hz - left) / (centre - left)
    falling = (right - bins_hz) / (right - centre)
    bank = np.maximum(0.0, np.minimum(rising, falling))
    if settings.mel_norm == "slaney":
        bank = bank * (2.0 / (right - left))
    return bank


# Slaney's Auditory Toolbox: linear to 1 kHz at 200/3 Hz a mel, then 27 mels for a factor of 6.4.
_SLANEY_HZ_PER_MEL = 200.0 / 3
_SLANEY_BREAK_HZ = 1000.0
_SLANEY_BREAK_MEL = _SLANEY_BREAK_HZ / _SLANEY_HZ_PER_MEL
_SLANEY_LOG_STEP = np.log(6.4) / 27.0


def hz_to_mel(hz: np.ndarray, scale: str) -> np.ndarray:
    """Frequencies in Hz to mels, elementwise."""
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + hz / 700.0)
    above = np.log(np.maximum(hz, _SLANEY_BREAK_HZ) / _SLANEY_BREAK_HZ) / _SLANEY_LOG_STEP
    return np.where(hz < _SLANEY_BREAK_HZ, hz / _SLANEY_HZ_PER_MEL, _SLANEY_BREAK_MEL + above)


def mel_to_hz(mel: np.ndarray, scale: str) -> np.ndarray:
    """Mels to frequencies in Hz, elementwise."""
    if scale == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    above = _SLANEY_BREAK_HZ * np.exp(
        _SLANEY_LOG_STEP * (np.maximum(mel, _SLANEY_BREAK_MEL) - _SLANEY_BREAK_MEL)
    )
    return np.where(mel < _SLANEY_BREAK_MEL, mel * _SLANEY_HZ_PER_MEL, above)


def mel_frequencies_hz(settings: LogMel) -> np.ndarray:
    """Centre frequency of each mel band, [n_mels] in Hz, for the axes of plots."""
    scale = settings.mel_scale
    low, high = hz_to_mel(np.array([settings.f_min_hz, settings.top_hz]), scale)
    return mel_to_hz(np.linspace(low, high, settings.n_mels + 2), scale)[1:-1]


def array_module(array: Array) -> ModuleType:
    """`numpy` for numpy arrays, `jax.numpy` for everything that jax traces."""
    if isinstance(array, np.ndarray):
        return np
    # jax is there already if the caller holds one of its arrays; workers never import it.
    return sys.modules["jax"].numpy
