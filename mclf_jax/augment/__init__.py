"""Augmentations, and the chain that a config asks for."""

from ml_collections import ConfigDict

from mclf_jax.augment.spectrogram import (
    Augmentation,
    compose,
    equalizer,
    freq_mask,
    gain,
    time_mask,
)

__all__ = ["Augmentation", "build", "compose", "equalizer", "freq_mask", "gain", "time_mask"]


def build(config: ConfigDict) -> Augmentation:
    """The chain of the `augment` section of a config; what is 0 there is left out."""
    chain = []
    if config.gain_db:
        chain.append(gain(config.gain_db))
    if config.eq_std_db:
        chain.append(equalizer(config.eq_std_db))
    if config.num_time_masks:
        chain.append(time_mask(config.num_time_masks, max_fraction=config.time_mask_fraction))
    if config.num_freq_masks:
        chain.append(freq_mask(config.num_freq_masks, max_bands=config.freq_mask_bands))
    return compose(chain)
