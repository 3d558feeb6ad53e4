"""Ablation: what does each kind of augmentation do for few songs? Three seeds each.

mclf sweep --config ablations/augmentation --workdir runs/augmentation
mclf data listen --config ablations/augmentation --config.augment.waveform=clmr

Waveform chains, masks of spectrograms and mixup, on a set so small that the network learns its
songs by heart without them. The argument `songs=N` changes the number of songs.
"""

from collections.abc import Iterator

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.sweep import Setting

_KINDS = {
    "none": {},
    "clmr": {"augment.waveform": "clmr"},
    "tutorial": {"augment.waveform": "tutorial"},
    "masks": {"augment.num_time_masks": 2, "augment.num_freq_masks": 2},
    "mixup": {"augment.mixup_alpha": 0.4},
}


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(arg, songs=150)
    config = base()
    config.data.name = "synthetic"
    config.data.args = ConfigDict({"task": "style", "num_songs": arg.songs, "song_s": 12.0})
    config.features.n_mels = 64
    config.model.name = "short_chunk_cnn"
    config.model.args = ConfigDict({"n_channels": 12, "num_blocks": 6, "dropout_rate": 0.3})
    config.model.window_s = 4.0
    config.optim.update({"name": "adamw", "learning_rate": 3e-3, "schedule": "cosine"})
    config.optim.update({"weight_decay": 1e-2, "grad_clip_norm": 1.0})
    config.train.update({"batch_size": 32, "num_epochs": 40.0})
    config.eval.update({"every_epochs": 8.0, "metric": "accuracy", "num_windows": 4})
    return config


def sweep() -> Iterator[Setting]:
    for name, changes in _KINDS.items():
        for seed in range(3):
            yield f"{name},seed={seed}", {**changes, "seed": seed}
