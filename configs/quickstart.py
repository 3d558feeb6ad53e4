"""Quick start: a small short-chunk CNN learns ten styles from songs that the library composes.

./launch/local.sh runs it. `:task=instruments` learns tags instead, `:task=emotion` numbers.
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg

# What decides which checkpoint is the best, and how long the task takes to learn.
_METRIC = {"style": "accuracy", "instruments": "pr_auc_macro", "emotion": "r2"}
_EPOCHS = {"style": 18.0, "instruments": 30.0, "emotion": 18.0}


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(arg, task=tuple(_METRIC))
    config = base()
    config.data.name = "synthetic"
    config.data.args = ConfigDict({"task": arg.task, "num_songs": 1000, "song_s": 12.0, "seed": 0})
    config.features.n_mels = 64
    config.model.name = "short_chunk_cnn"
    config.model.args = ConfigDict({"n_channels": 16, "num_blocks": 6, "dropout_rate": 0.3})
    config.model.window_s = 4.0
    config.optim.name = "adamw"
    config.optim.learning_rate = 3e-3
    config.optim.schedule = "cosine"
    config.optim.warmup_steps = 30
    config.optim.weight_decay = 1e-2
    config.optim.grad_clip_norm = 1.0
    config.train.batch_size = 32
    config.train.num_epochs = _EPOCHS[arg.task]
    config.eval.every_epochs = 3.0
    config.eval.metric = _METRIC[arg.task]
    config.eval.num_windows = 4
    return config
