"""Your own songs: a folder with manifest.csv, or with one subfolder per label.

mclf train --config folder:path=DIR --workdir runs/mine

A recipe for small sets (tens to a few thousand songs): short training on many random windows,
strong augmentation, averaged weights, and a second opinion: support vectors on MFCC statistics,
fitted on the same songs, whose scores are averaged with the network's, in everything that the run
is used for. Arguments: `window_s`, the length of a window, at most that of your clips; `steps` of
32 windows each, more for more songs; `beside=none`, the network alone, with no second opinion and
no baseline beside it, where networks are compared. On two CPU cores:

    soundtracks (86 songs to train on)    path=DIR                 6 labels
    single notes (267)                    path=DIR,window_s=3      9 labels
    speech, music, silence (72)           path=DIR,window_s=1      3 labels

`data=NAME` takes a public data set as it is distributed (`mclf data list`), with its options as
--config.data.args.X=..., `data=prepared` what `mclf data prepare` wrote, and `data=synthetic` songs
that the library composes.
"""

import math

from ml_collections import ConfigDict

from mclf_jax import data
from mclf_jax.common import checks
from mclf_jax.config import base, parse_arg
from mclf_jax.data import published

DATA = ("folder", "prepared", "synthetic", *(name for name in data.READERS if name != "folder"))


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(arg, data=DATA, path="", window_s=5.0, steps=600, beside=("mfcc", "none"))
    checks.window_s("window_s", arg.window_s)
    checks.whole("steps", arg.steps, lowest=1)
    config = base()
    config.data.name = arg.data
    if arg.data == "folder":
        published.use(config, "folder", path=arg.path)
    elif arg.data == "synthetic":
        config.data.args = ConfigDict(
            {"task": "style", "num_songs": 1000, "song_s": 12.0, "seed": 0}
        )
    else:
        config.data.args = ConfigDict({"path": arg.path, **data.options_of(arg.data)})
    # At least 100 frames, whatever the length of the window: six poolings halve them.
    hop_length = min(1024, 2 ** max(0, math.floor(math.log2(arg.window_s * 220.5))))
    config.features.update({"sample_rate_hz": 22050, "n_mels": 64, "f_max_hz": 8000.0})
    config.features.update({"hop_length": hop_length, "n_fft": min(2048, max(512, 4 * hop_length))})
    config.augment.update({"gain_db": 6.0, "eq_std_db": 3.0})
    config.augment.update({"num_time_masks": 2, "num_freq_masks": 2})
    config.model.name = "short_chunk_cnn"
    config.model.args = ConfigDict(
        {"n_channels": 24, "num_blocks": 6, "pooling": "mean_max", "dropout_rate": 0.5}
    )
    config.model.window_s = arg.window_s
    config.objective.label_smoothing = 0.1
    config.optim.update({"name": "adamw", "learning_rate": 2e-3, "schedule": "cosine"})
    config.optim.update({"warmup_steps": arg.steps // 10, "weight_decay": 1e-2})
    config.optim.update({"grad_clip_norm": 1.0, "ema_decay": 0.98})
    config.train.update({"batch_size": 32, "num_steps": arg.steps})
    config.eval.every_steps = max(1, arg.steps // 5)
    if arg.beside == "mfcc":
        config.model.args.second_opinion = 512
        config.eval.baseline = "mfcc"
    return config
