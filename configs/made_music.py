"""A small encoder that knows instruments: many tags at once, of music that was made for it.

./launch/pretraining_data.sh DIR
mclf train --config made_music:path=DIR/made --workdir runs/small
mclf train --config made_music:path=DIR/made,start=runs/small,steps=1000 --workdir runs/blocks
mclf probe runs/blocks --data folder --from SONGS --folds 5

The tags are those of `mclf_jax.data.made.labels`, along time: programs and families of General
MIDI, drums, pitch classes, registers, polyphony, tempo, density, effects. Features are those of
`configs/folder.py` with windows of 3 s. `steps` of 32 windows; levels and equalisers vary more than
in `folder`, as soundfonts are few. The valid split is played by a soundfont that training never
hears.

`start=RUN` takes the convolutions of such a run as they are and learns a new last layer, which
reads mean and deviation of what every block makes (`pooling=blocks`): an embedding that keeps what
the last block has dropped.
"""

from ml_collections import ConfigDict

from mclf_jax.common import checks
from mclf_jax.config import base, parse_arg
from mclf_jax.data import published


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(arg, path="", steps=4000, n_channels=32, start="")
    checks.whole("steps", arg.steps, lowest=1)
    checks.whole("n_channels", arg.n_channels, lowest=1)
    config = base()
    config.data.name = "folder"
    published.use(config, "folder", path=arg.path)
    config.features.update({"sample_rate_hz": 22050, "n_mels": 64, "f_max_hz": 8000.0})
    config.features.update({"n_fft": 2048, "hop_length": 512})
    config.augment.update({"gain_db": 12.0, "eq_std_db": 4.0})
    config.augment.update({"num_time_masks": 1, "num_freq_masks": 1})
    config.model.name = "short_chunk_cnn"
    config.model.args = ConfigDict(
        {
            "n_channels": arg.n_channels,
            "num_blocks": 6,
            "pooling": "mean_max",
            "dropout_rate": 0.1,
        }
    )
    config.model.window_s = 3.0
    if arg.start:
        config.init.path = arg.start
        config.init.freeze = ("spec_bn", "layer*")
        config.model.args.pooling = "blocks"
    config.optim.update({"name": "adamw", "learning_rate": 3e-3, "schedule": "cosine"})
    config.optim.update({"warmup_steps": min(500, arg.steps // 10), "weight_decay": 1e-2})
    config.optim.update({"grad_clip_norm": 1.0, "ema_decay": 0.995})
    config.train.update({"batch_size": 32, "num_steps": arg.steps})
    config.eval.every_steps = max(1, arg.steps // 5)
    return config
