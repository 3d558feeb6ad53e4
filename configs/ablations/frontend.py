"""Ablation: how fine must the spectrogram be? Mel bands and hop, three seeds each.

mclf sweep --config ablations/frontend --workdir runs/frontend

The argument `songs=N` changes the number of songs, to try the machinery quickly.
"""

from collections.abc import Iterator

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.sweep import Setting, grid


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(arg, songs=400)
    config = base()
    config.data.name = "synthetic"
    config.data.args = ConfigDict({"task": "style", "num_songs": arg.songs, "song_s": 12.0})
    config.features.update({"n_mels": 64, "hop_length": 256})
    config.model.name = "short_chunk_cnn"
    # Four poolings fit the smallest setting: 16 mels and 126 frames.
    config.model.args = ConfigDict({"n_channels": 12, "num_blocks": 4, "dropout_rate": 0.3})
    config.model.window_s = 4.0
    config.optim.update({"name": "adamw", "learning_rate": 3e-3, "schedule": "cosine"})
    config.optim.update({"weight_decay": 1e-2, "grad_clip_norm": 1.0})
    config.train.update({"batch_size": 32, "num_epochs": 15.0})
    config.eval.update({"every_epochs": 3.0, "metric": "accuracy", "num_windows": 4})
    return config


def sweep() -> Iterator[Setting]:
    yield from grid(
        {
            "features.n_mels": (16, 32, 64),
            "features.hop_length": (256, 512),
            "seed": (0, 1, 2),
        }
    )
