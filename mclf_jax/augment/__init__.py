"""Augmentations by name, and what a config asks for."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from mclf_jax.audio.features import Features
from mclf_jax.augment.base import WaveformAugmentation
from mclf_jax.augment.batch import BatchAugmentation, Cutmix, Mixup, MixupOrCutmix
from mclf_jax.augment.compose import (
    Augmentation,
    Compose,
    ComposeMany,
    OneOf,
    RandomApply,
    compose,
    compose_many,
    one_of,
    random_apply,
)
from mclf_jax.augment.delivery.codecs import Mp3, Ogg
from mclf_jax.augment.delivery.compressor import Compressor
from mclf_jax.augment.distortions import BandDrop, Chop, Downsample
from mclf_jax.augment.filters import HighLowPass, HighPass, LowPass
from mclf_jax.augment.pitch import PitchShift, TimeStretch
from mclf_jax.augment.presets import clmr, musicnn_noisy_student, pase_plus, tutorial
from mclf_jax.augment.recordings import read_recordings
from mclf_jax.augment.reverb import ImpulseResponse, Reverb, SoxReverb
from mclf_jax.augment.spectrogram import (
    Equalizer,
    FrameShift,
    FreqMask,
    SpectrogramGain,
    TimeMask,
)
from mclf_jax.augment.waveform import (
    BackgroundMix,
    Clipping,
    Delay,
    Gain,
    Noise,
    PolarityInversion,
    RandomCrop,
    Reverse,
    Shift,
)
from mclf_jax.common import checks, plugins

# What `augment.waveform` may name.
PRESETS = {
    "clmr": clmr,
    "tutorial": tutorial,
    "musicnn_noisy_student": musicnn_noisy_student,
    "pase_plus": pase_plus,
}
# What `augment.chain` may name. Windows are cut at random already, so there is no crop.
AUGMENTATIONS = {
    "background_mix": BackgroundMix,
    "band_drop": BandDrop,
    "chop": Chop,
    "clipping": Clipping,
    "compressor": Compressor,
    "delay": Delay,
    "downsample": Downsample,
    "gain": Gain,
    "high_low_pass": HighLowPass,
    "high_pass": HighPass,
    "impulse_response": ImpulseResponse,
    "low_pass": LowPass,
    "mp3": Mp3,
    "noise": Noise,
    "ogg": Ogg,
    "pitch_shift": PitchShift,
    "polarity_inversion": PolarityInversion,
    "reverb": Reverb,
    "reverse": Reverse,
    "shift": Shift,
    "sox_reverb": SoxReverb,
    "time_stretch": TimeStretch,
}
# Arguments that are recordings; a config gives the path of a file or of a folder of them.
_RECORDINGS = ("background", "responses")


class Chains(NamedTuple):
    """How the examples of a config are changed in training, in this order; None is not at all.

    Attributes:
        waveform: of audio [..., T], before the features.
        spectrogram: of features [B, F, M].
        batch: across the inputs of the network and their labels.
    """

    waveform: Compose | None = None
    spectrogram: Compose | None = None
    batch: BatchAugmentation | None = None


def build(config: ConfigDict, *, features: Features) -> Chains:
    """What the `augment` section of a config asks for; what is 0 or empty there is left out.

    Args:
        config: of the section.
        features: what the network takes.

    Raises:
        ValueError: an unknown name or argument, or one that does not suit the features.
    """
    return Chains(
        waveform=_waveform(config, sample_rate_hz=features.sample_rate_hz),
        spectrogram=_spectrogram(config, features=features),
        batch=_batch(config),
    )


def _waveform(config: ConfigDict, *, sample_rate_hz: int) -> Compose | None:
    if config.waveform:
        make = PRESETS.get(config.waveform) or plugins.find(
            "augmentations", config.waveform, field="augment.waveform", known=("", *sorted(PRESETS))
        )
        return make(sample_rate_hz)
    chain = [_link(i, entry, sample_rate_hz, on=config.on) for i, entry in enumerate(config.chain)]
    return compose(chain) if chain else None


def _link(number: int, entry: Any, sample_rate_hz: int, *, on: str) -> Augmentation:
    field = f"augment.chain[{number}]"
    match entry:
        case [str() as name, int() | float() as p, Mapping() as arguments]:
            pass
        case _:
            raise ValueError(
                f"{field} is {entry!r}; it must be (name, probability, arguments), such as "
                "('noise', 0.5, {'min_snr_db': 3.0, 'max_snr_db': 30.0})"
            )
    made = AUGMENTATIONS.get(name) or plugins.find(
        "augmentations", name, field=field, known=sorted(AUGMENTATIONS)
    )
    if not (isinstance(made, type) and issubclass(made, WaveformAugmentation)):
        raise ValueError(
            f"{field} is {name!r}, which is {made!r}; it must be a subclass of "
            "mclf_jax.augment.WaveformAugmentation, a frozen dataclass"
        )
    if on == "device" and made.runs_on == "host":
        raise ValueError(
            f"{field} is {name!r}, which runs on the host, but augment.on is 'device'; set "
            "augment.on to 'pipeline', or leave it out"
        )
    fields = [one.name for one in dataclasses.fields(made)]
    checks.only_known(field, arguments, fields, of=name)
    # JSON has lists where configs have tuples.
    arguments = {key: checks.as_tuples(value) for key, value in arguments.items()}
    if "sample_rate_hz" in fields:
        arguments.setdefault("sample_rate_hz", sample_rate_hz)
    try:
        for key in arguments.keys() & _RECORDINGS:
            arguments[key] = read_recordings(arguments[key], sample_rate_hz=sample_rate_hz)
        augmentation = made(**arguments)
        return augmentation if p == 1 else random_apply(augmentation, p=p)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{field}, {name}: {error}") from error


def _spectrogram(config: ConfigDict, *, features: Features) -> Compose | None:
    chain: dict[str, Augmentation] = {}
    if config.gain_db:
        chain["gain_db"] = SpectrogramGain(config.gain_db)
    if config.eq_std_db:
        chain["eq_std_db"] = Equalizer(config.eq_std_db)
    if chain and features.unit != "dB":
        raise ValueError(
            f"augment.{' and augment.'.join(chain)} add decibels, and the model takes a "
            f"{features.kind} that is not in dB; set them to 0"
        )
    if config.frame_shift_fraction:
        chain["frame_shift_fraction"] = FrameShift(config.frame_shift_fraction)
    if config.num_time_masks:
        chain["num_time_masks"] = TimeMask(config.num_time_masks, config.time_mask_fraction)
    if config.num_freq_masks:
        chain["num_freq_masks"] = FreqMask(config.num_freq_masks, config.freq_mask_bands)
    if chain and len(features.shape(features.sample_rate_hz)) != 2:
        raise ValueError(
            f"augment.{' and augment.'.join(chain)} are for spectrograms [F, M], and the model "
            f"takes a {features.kind}; set them to 0"
        )
    return compose(list(chain.values())) if chain else None


def _batch(config: ConfigDict) -> BatchAugmentation | None:
    mixup = Mixup(config.mixup_alpha) if config.mixup_alpha else None
    cutmix = Cutmix(config.cutmix_alpha) if config.cutmix_alpha else None
    return MixupOrCutmix(mixup, cutmix) if mixup and cutmix else mixup or cutmix
