"""Augmentations, and the chain that a config asks for."""

from ml_collections import ConfigDict

from mclf_jax.audio.features import Features, LogMel
from mclf_jax.augment.spectrogram import (
    Augmentation,
    compose,
    equalizer,
    freq_mask,
    gain,
    time_mask,
)

__all__ = ["Augmentation", "build", "compose", "equalizer", "freq_mask", "gain", "time_mask"]


def build(config: ConfigDict, *, features: Features) -> Augmentation:
    """The chain of the `augment` section of a config; what is 0 there is left out.

    Raises:
        ValueError: something is asked for and the model does not take decibels.
    """
    chain = []
    if config.gain_db:
        chain.append(gain(config.gain_db))
    if config.eq_std_db:
        chain.append(equalizer(config.eq_std_db))
    if config.num_time_masks:
        chain.append(time_mask(config.num_time_masks, max_fraction=config.time_mask_fraction))
    if config.num_freq_masks:
        chain.append(freq_mask(config.num_freq_masks, max_bands=config.freq_mask_bands))
    decibels = isinstance(features, LogMel) and features.compression == "db"
    if chain and not decibels:
        raise ValueError(
            f"config.augment is of log-mel spectrograms in dB and the model takes a "
            f"{features.kind}; set gain_db, eq_std_db, num_time_masks and num_freq_masks to 0"
        )
    return compose(chain)
