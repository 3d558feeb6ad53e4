"""Spectrogram, log-mel and MFCC: settings, and what is computed from them.

Energies on the axis of the Fourier transform or of mel bands, then a logarithm or another
compression, then perhaps a normalisation.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

from mclf_jax.audio.arrays import (
    Array,
    array_module,
    check_choice,
    check_positive,
    constant,
    matmul,
    replaced,
    safe_sqrt,
    settings_of,
)
from mclf_jax.audio.compress import amplitude_to_db, min_max, pcen, power_to_db, standardize
from mclf_jax.audio.mel import MEL_NORMS, MEL_SCALES, apply_mel_filters, cosine_transform
from mclf_jax.audio.stft import Stft, by_frames

COMPRESSIONS = ("none", "db", "log", "log10_10000", "pcen")
DB_REFS = ("one", "max")
NORMALIZATIONS = ("none", "standardize", "min_max", "fixed")
# The range that PCEN's constants are for; ours is [-1, 1).
_PCEN_FULL_SCALE = 2.0**31


@dataclasses.dataclass(frozen=True)
class Spectrogram(Stft):
    """Settings of a spectrogram, [..., T] -> [..., F, n_fft//2 + 1]; in decibels by default.

    Beside those of `Stft`:

    Attributes:
        power: 2.0 for energies, 1.0 for magnitudes.
        compression: "none"; "db", 10 log10(max(x, amin)), twice that for magnitudes; "log", the
            natural log(x + amin); "log10_10000", log10(1 + 10000 x), which the original musicnn
            takes; or "pcen" with the constants of `pcen`, made for magnitudes.
        amin: for "db", the lowest power before the logarithm (of magnitudes too: its square
            root); for "log", what is added.
        db_ref: what is 0 dB: "one", power 1, or "max", the loudest point of the clip.
        top_db: if given, nothing is more than this far below the loudest point of the clip;
            for "db".
        normalization: after that, "none", "standardize" (each example to mean 0 and standard
            deviation 1), "min_max" (each to 0 ... 1) or "fixed", (x - mean) / std.
        mean, std: for "fixed", of the training data.
    """

    kind: ClassVar[str] = "spectrogram"
    power: float = 2.0
    compression: str = "db"
    amin: float = 1e-10
    db_ref: str = "one"
    top_db: float | None = None
    normalization: str = "none"
    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        check_choice(self, "compression", COMPRESSIONS)
        check_choice(self, "db_ref", DB_REFS)
        check_choice(self, "normalization", NORMALIZATIONS)
        check_positive(self, "amin", "std")
        if self.power not in (1, 2):
            raise ValueError(f"features.power is {self.power}; allowed: 1.0, 2.0")
        if self.compression != "db" and (self.top_db is not None or self.db_ref != "one"):
            raise ValueError(
                f"features.top_db is {self.top_db} and features.db_ref {self.db_ref!r}, but "
                f"features.compression is {self.compression!r}; they are for 'db'"
            )
        if self.top_db is not None:
            check_positive(self, "top_db")
        if self.normalization != "fixed" and (self.mean, self.std) != (0, 1):
            raise ValueError(
                f"features.mean, std are {self.mean}, {self.std}, but features.normalization is "
                f"{self.normalization!r}; they are for 'fixed'"
            )

    @property
    def unit(self) -> str:
        """ "dB", or nothing if the values have no unit."""
        return "dB" if self.compression == "db" and self.normalization == "none" else ""

    def __call__(self, waveform: Array) -> Array:
        return spectrogram(waveform, self)

    def shape(self, num_samples: int) -> tuple[int, ...]:
        """Shape of one example of `num_samples` samples: (F, M)."""
        return self.num_frames(num_samples), self.num_bins


@dataclasses.dataclass(frozen=True)
class _MelSpectrogram(Spectrogram):
    n_mels: int = 96
    f_min_hz: float = 0.0
    f_max_hz: float | None = None
    mel_scale: str = "htk"
    mel_norm: str = "none"

    def __post_init__(self):
        super().__post_init__()
        check_choice(self, "mel_scale", MEL_SCALES)
        check_choice(self, "mel_norm", MEL_NORMS)
        check_positive(self, "n_mels")
        if self.n_mels > self.n_fft // 2 + 1:
            raise ValueError(
                f"features.n_mels is {self.n_mels}, but a transform of features.n_fft {self.n_fft} "
                f"has {self.n_fft // 2 + 1} frequencies, so that bands would be empty; raise n_fft"
            )
        if not 0 <= self.f_min_hz < self.top_hz <= self.sample_rate_hz / 2:
            raise ValueError(
                f"features.f_min_hz, f_max_hz are {self.f_min_hz}, {self.top_hz}; they must rise "
                f"within 0 and half of features.sample_rate_hz ({self.sample_rate_hz / 2})"
            )

    @property
    def top_hz(self) -> float:
        """Where the filter bank ends."""
        return self.sample_rate_hz / 2 if self.f_max_hz is None else self.f_max_hz


@dataclasses.dataclass(frozen=True)
class LogMel(_MelSpectrogram):
    """Settings of a log-mel spectrogram, [..., T] -> [..., F, n_mels]: of `Spectrogram`, and more.

    Attributes:
        n_mels: number of mel bands, M.
        f_min_hz, f_max_hz: range of the filter bank; `f_max_hz=None` is half the rate.
        mel_scale: "htk" (2595 log10(1 + f/700)), "slaney" (linear below 1 kHz) or "kaldi": that of
            "htk", and filters that are triangles over mels, not over Hz.
        mel_norm: "none" (peak 1) or "slaney" (each filter has unit area).
    """

    kind: ClassVar[str] = "log_mel"

    def __call__(self, waveform: Array) -> Array:
        return log_mel(waveform, self)

    def shape(self, num_samples: int) -> tuple[int, ...]:
        """Shape of one example of `num_samples` samples: (F, M)."""
        return self.num_frames(num_samples), self.n_mels


@dataclasses.dataclass(frozen=True)
class Mfcc(_MelSpectrogram):
    """Settings of mel-frequency cepstral coefficients, [..., T] -> [..., F, n_mfcc].

    Attributes: those of `LogMel`, with normalisation after the transform, and
        n_mfcc: how many coefficients, from the lowest; the first one is the loudness.
        lifter: weighs coefficients as in `cosine_transform`; 0 leaves them.
    """

    kind: ClassVar[str] = "mfcc"
    unit: ClassVar[str] = ""
    n_mfcc: int = 20
    lifter: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        if not 1 <= self.n_mfcc <= self.n_mels:
            raise ValueError(
                f"features.n_mfcc is {self.n_mfcc}; it must be from 1 to features.n_mels "
                f"({self.n_mels})"
            )
        if self.lifter < 0:
            raise ValueError(f"features.lifter is {self.lifter}; it must not be negative")

    def __call__(self, waveform: Array) -> Array:
        return mfcc(waveform, self)

    def shape(self, num_samples: int) -> tuple[int, ...]:
        """Shape of one example of `num_samples` samples: (F, n_mfcc)."""
        return self.num_frames(num_samples), self.n_mfcc


def spectrogram(waveform: Array, settings: Spectrogram | None = None, **changes: Any) -> Array:
    """Spectrogram on the axis of the Fourier transform, in decibels unless settings say otherwise.

    Args:
        waveform: floating point [..., T], a numpy or a jax array.
        settings: the convention; `Spectrogram()` when not given.
        **changes: fields of the settings to replace, such as `power=1.0, compression="none"`
            for magnitudes.

    Returns:
        [..., F, n_fft//2 + 1] in the array module of `waveform`; float64 if that is, else float32.

    Raises:
        ValueError: the waveform is too short, see `Stft.num_frames`.
        TypeError: it is not floating point.

    >>> import numpy as np
    >>> spectrogram(np.ones(1024), n_fft=512, hop_length=256).shape
    (5, 257)
    """
    settings = replaced(settings or Spectrogram(), changes)
    return _normalize(_compressed(waveform, settings, _bins), settings)


def mel_spectrogram(waveform: Array, settings: LogMel | None = None, **changes: Any) -> Array:
    """Mel spectrogram before any logarithm; as `log_mel`.

    >>> import numpy as np
    >>> mel_spectrogram(np.ones(16000), sample_rate_hz=16000, n_mels=40).shape
    (63, 40)
    """
    settings = settings_of(LogMel, settings, changes, of="mel_spectrogram")
    return by_frames(waveform, settings, _energies(settings, apply_mel_filters))


def log_mel(waveform: Array, settings: LogMel | None = None, **changes: Any) -> Array:
    """Log-mel spectrogram, in decibels unless settings say otherwise.

    Args:
        waveform: floating point [..., T], a numpy or a jax array.
        settings: the convention; `LogMel()` when not given, of which `sample_rate_hz` must be.
        **changes: fields of `LogMel` to replace, such as `n_mels=128`.

    Returns:
        [..., F, M] as from `spectrogram`, with F = 1 + T // hop_length for centred frames.

    Raises:
        ValueError, TypeError: as `spectrogram`; also without a sample rate.

    >>> import numpy as np
    >>> log_mel(np.ones((2, 16000)), sample_rate_hz=16000, n_mels=40).shape
    (2, 63, 40)
    """
    settings = settings_of(LogMel, settings, changes, of="log_mel")
    return _normalize(_compressed(waveform, settings, apply_mel_filters), settings)


def mfcc(waveform: Array, settings: Mfcc | None = None, **changes: Any) -> Array:
    """Mel-frequency cepstral coefficients: cosine transform of the log-mel spectrogram.

    Args:
        waveform: floating point [..., T], a numpy or a jax array.
        settings: the convention; `Mfcc()` when not given, of which `sample_rate_hz` must be.
        **changes: fields of `Mfcc` to replace.

    Returns:
        [..., F, n_mfcc].

    >>> import numpy as np
    >>> mfcc(np.ones(16000), sample_rate_hz=16000).shape
    (63, 20)
    """
    s = settings_of(Mfcc, settings, changes, of="mfcc")
    logarithms = _compressed(waveform, s, apply_mel_filters)
    transform = constant(cosine_transform, s.n_mels, s.n_mfcc, s.lifter, like=logarithms)
    return _normalize(matmul(logarithms, transform), s)


Bands = Callable[[Array, Any], Array]


def _bins(energies: Array, settings: Spectrogram) -> Array:
    return energies


def _energies(settings: Spectrogram, bands: Bands) -> Callable[[Array], Array]:
    """From the power of frames to what bands they have."""
    return lambda power: bands(power if settings.power == 2 else safe_sqrt(power), settings)


def _compressed(waveform: Array, s: Spectrogram, bands: Bands) -> Array:
    """Bands [..., F, M] of a waveform after the compression."""
    energies = _energies(s, bands)
    # The loudest point is of the whole clip, and what PCEN divides by is of earlier frames.
    if s.compression == "pcen" or s.db_ref == "max" or s.top_db is not None:
        return _compress(by_frames(waveform, s, energies), s)
    return by_frames(waveform, s, lambda power: _compress(energies(power), s))


def _compress(x: Array, s: Spectrogram) -> Array:
    xp = array_module(x)
    match s.compression:
        case "db":
            to_db = power_to_db if s.power == 2 else amplitude_to_db
            amin = s.amin ** (s.power / 2)
            return to_db(x, ref=1.0 if s.db_ref == "one" else "max", amin=amin, top_db=s.top_db)
        case "log":
            return xp.log(x + s.amin)
        case "log10_10000":
            return xp.log10(1.0 + 10000.0 * x)
        case "pcen":
            scaled = x * _PCEN_FULL_SCALE**s.power
            return pcen(scaled, sample_rate_hz=s.sample_rate_hz, hop_length=s.hop_length)
    return x


def _normalize(x: Array, s: Spectrogram) -> Array:
    match s.normalization:
        case "standardize":
            return standardize(x)
        case "min_max":
            return min_max(x)
        case "fixed":
            return (x - s.mean) / s.std
    return x
