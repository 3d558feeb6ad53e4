"""What networks take in, for numpy and for jax.numpy: all representations by name.

The pipeline, the jitted step and the deployed model all call the same functions, so they
cannot disagree. A representation is a frozen dataclass of settings that is called with a
waveform [..., T]. The functions beside them take such settings, changes by keyword, or both:

    log_mel(waveform, sample_rate_hz=16000, n_mels=128)
    log_mel(waveform, preset("librosa"), n_mels=96)

The defaults of `LogMel` are the convention of the published taggers, which is torchaudio's:
periodic Hann window, centred frames with reflection, power spectrum, HTK mel scale without area
normalisation, decibels with floor 1e-10. `PRESETS` has the others; docs/representations.md shows
how far they are apart and when to use which representation.
"""

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, ClassVar

from mclf_jax.audio.arrays import Array, array_module, check_positive
from mclf_jax.audio.compress import amplitude_to_db, min_max, pcen, power_to_db, standardize
from mclf_jax.audio.cqt import CQT, cqt
from mclf_jax.audio.harmonic import harmonic_bands, harmonic_centres_hz, harmonic_stack
from mclf_jax.audio.mel import (
    MEL_NORMS,
    MEL_SCALES,
    cosine_transform,
    hz_to_mel,
    mel_filter_bank,
    mel_frequencies_hz,
    mel_to_hz,
)
from mclf_jax.audio.spectrogram import (
    COMPRESSIONS,
    DB_REFS,
    NORMALIZATIONS,
    LogMel,
    Mfcc,
    Spectrogram,
    log_mel,
    mel_spectrogram,
    mfcc,
    spectrogram,
)
from mclf_jax.audio.stft import (
    FRAMINGS,
    PAD_MODES,
    WINDOWS,
    Stft,
    frames,
    hann_window,
    istft,
    magnitude_spectrogram,
    power_spectrogram,
    stft,
    window_function,
)
from mclf_jax.common import checks, plugins


@dataclasses.dataclass(frozen=True)
class Waveform:
    """The samples themselves, [..., T] -> [..., T].

    >>> Waveform(sample_rate_hz=8000).shape(4000)
    (4000,)
    """

    kind: ClassVar[str] = "waveform"
    unit: ClassVar[str] = ""
    sample_rate_hz: int = 16000

    def __post_init__(self):
        check_positive(self, "sample_rate_hz")

    def __call__(self, waveform: Array) -> Array:
        return waveform

    def shape(self, num_samples: int) -> tuple[int, ...]:
        """Shape of one example of `num_samples` samples."""
        return (num_samples,)


@dataclasses.dataclass(frozen=True)
class PowerSpectrogram(Stft):
    """Power and nothing else, [..., T] -> [..., F, n_fft//2 + 1], for networks that filter it.

    Attributes: those of `Stft`.

    >>> PowerSpectrogram(n_fft=512, hop_length=256).shape(16000)
    (63, 257)
    """

    kind: ClassVar[str] = "power_spectrogram"
    unit: ClassVar[str] = ""

    def __call__(self, waveform: Array) -> Array:
        return power_spectrogram(waveform, self)

    def shape(self, num_samples: int) -> tuple[int, ...]:
        """Shape of one example of `num_samples` samples: (F, n_fft//2 + 1)."""
        return self.num_frames(num_samples), self.num_bins


Features = Waveform | PowerSpectrogram | Spectrogram | LogMel | Mfcc | CQT
KINDS = {cls.kind: cls for cls in (Waveform, PowerSpectrogram, Spectrogram, LogMel, Mfcc, CQT)}


def kind_class(name: str) -> type:
    """The class of a kind: one of `KINDS`, or one from outside, see `common.plugins`.

    Raises:
        ValueError: there is none of that name, or it is no representation.
    """
    if name in KINDS:
        return KINDS[name]
    found = plugins.find("features", name, field="features.kind", known=sorted(KINDS))
    fields = {field.name for field in dataclasses.fields(found)} if _is_settings(found) else set()
    lacking = [] if "sample_rate_hz" in fields else ["the field sample_rate_hz: int"]
    lacking += [f"{method}(self, {of})" for method, of in _METHODS if method not in vars(found)]
    if not _is_settings(found) or lacking:
        raise ValueError(
            f"features.kind is {name!r}, which is {found!r}; it must be a frozen dataclass"
            + (f" and lacks {', '.join(lacking)}" if lacking else "")
        )
    found.kind = name  # as settings are written
    found.unit = getattr(found, "unit", "")
    return found


_METHODS = (("__call__", "waveform"), ("shape", "num_samples"))


def _is_settings(found: Any) -> bool:
    return (
        isinstance(found, type)
        and getattr(found, "__dataclass_params__", None) is not None
        and (found.__dataclass_params__.frozen)
    )


PRESETS = types.MappingProxyType(
    {
        # Won et al. 2020 and after, with torchaudio.
        "torchaudio": LogMel(),
        # power_to_db(melspectrogram(y=y)) of librosa 0.11.
        "librosa": LogMel(
            sample_rate_hz=22050,
            n_fft=2048,
            hop_length=512,
            n_mels=128,
            mel_scale="slaney",
            mel_norm="slaney",
            pad_mode="constant",
            top_db=80.0,
        ),
        # Pons and Serra 2019, with librosa 0.7, which still reflected.
        "musicnn": LogMel(
            mel_scale="slaney", mel_norm="slaney", pad_mode="reflect", compression="log10_10000"
        ),
        # The MTG-Jamendo baseline: UnaryOperator(type="lin2db", scale=2) is twice the decibels.
        "essentia": LogMel(
            sample_rate_hz=12000,
            window="hann_symmetric",
            mel_scale="slaney",
            mel_norm="slaney",
            pad_mode="constant",
            normalization="fixed",
            std=0.5,
        ),
    }
)


def preset(name: str, **changes: Any) -> LogMel:
    """The convention of a library, with its usual sizes or with changes.

    Raises:
        ValueError: there is no such preset.

    >>> preset("librosa", n_mels=96).shape(22050)
    (44, 96)
    """
    checks.choice("the preset", name, PRESETS)
    return dataclasses.replace(PRESETS[name], **changes)


def to_json(features: Features) -> dict[str, Any]:
    """Settings as plain values, with their "kind".

    >>> to_json(Waveform())
    {'kind': 'waveform', 'sample_rate_hz': 16000}
    """
    return {"kind": features.kind, **dataclasses.asdict(features)}


def from_json(settings: Mapping[str, Any]) -> Features:
    """What `to_json` was given.

    >>> from_json({"kind": "waveform", "sample_rate_hz": 8000})
    Waveform(sample_rate_hz=8000)
    """
    settings = dict(settings)
    # Runs of version 0.1 have no kind: there was only one.
    kind = settings.pop("kind", LogMel.kind)
    made = kind_class(kind)
    known = [field.name for field in dataclasses.fields(made)]
    checks.only_known("features", settings, known, of=kind)
    return made(**settings)
