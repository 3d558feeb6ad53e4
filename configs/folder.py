"""Your own songs: a folder with manifest.csv, or with one subfolder per label.

mclf train --config folder:path=DIR --workdir runs/mine

A recipe for small sets (tens to a few thousand songs). It starts from `small`, which comes with the
library (`mclf_jax.weights`), whose layers stay as they are: a last layer learns on many random
windows with strong augmentation, and a second opinion, support vectors on the embedding of the same
songs, is averaged with it in everything that the run is used for. Arguments:

    init       small, or a run of this recipe or of `made_music:start=RUN`, or none: from noise
    layers     frozen; or tuned: all layers learn, a tenth as fast as the last, without a second
               opinion, which may pay for thousands of songs
    steps      of 32 windows each; from noise take 600, and more for more songs
    window_s   length of a window; 1.5 or more if not from noise. Shorter clips are repeated
    beside     mfcc: MFCC statistics and an SVM stand beside the network as a baseline, and from
               noise they are its second opinion; or none: the network alone, to compare networks

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

_SHORTEST_S = 1.5  # 64 frames, which six poolings halve
_WAYS = {"layers": ("frozen", "tuned"), "beside": ("mfcc", "none")}
DATA = ("folder", "prepared", "synthetic", *(name for name in data.READERS if name != "folder"))


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(arg, data=DATA, path="", window_s=3.0, steps=200, init="small", **_WAYS)
    checks.window_s("window_s", arg.window_s)
    checks.whole("steps", arg.steps, lowest=1)
    from_noise = arg.init == "none"
    if not arg.init or (from_noise and arg.layers == "tuned"):
        raise ValueError(
            f"init is {arg.init!r} and layers is {arg.layers!r}; init must be small, a run, or "
            "none, with which all layers learn in any case: leave layers out"
        )
    if not from_noise and arg.window_s < _SHORTEST_S:
        raise ValueError(
            f"window_s is {arg.window_s}; it must be at least {_SHORTEST_S} for a network that "
            f"starts from {arg.init!r}: clips that are shorter are repeated. Or set init=none"
        )
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
    config.features.update({"sample_rate_hz": 22050, "n_mels": 64, "f_max_hz": 8000.0})
    config.augment.update({"gain_db": 6.0, "eq_std_db": 3.0})
    config.augment.update({"num_time_masks": 2, "num_freq_masks": 2})
    config.model.name = "short_chunk_cnn"
    config.model.args = ConfigDict({"num_blocks": 6, "dropout_rate": 0.5})
    config.model.window_s = arg.window_s
    config.objective.label_smoothing = 0.1
    config.optim.update({"name": "adamw", "learning_rate": 2e-3, "schedule": "cosine"})
    config.optim.update({"warmup_steps": arg.steps // 10, "weight_decay": 1e-2})
    config.optim.update({"grad_clip_norm": 1.0, "ema_decay": 0.98})
    config.train.update({"batch_size": 32, "num_steps": arg.steps})
    config.eval.every_steps = max(1, arg.steps // 5)
    if from_noise:
        # At least 100 frames, whatever the length of the window: six poolings halve them.
        hop_length = min(1024, 2 ** max(0, math.floor(math.log2(arg.window_s * 220.5))))
        n_fft = min(2048, max(512, 4 * hop_length))
        config.features.update({"hop_length": hop_length, "n_fft": n_fft})
        config.model.args.update({"n_channels": 24, "pooling": "mean_max"})
        opinion = {"second_opinion": 512, "opinion_on": "mfcc"}
    else:
        config.init.path = arg.init
        config.features.update({"hop_length": 512, "n_fft": 2048})
        config.model.args.update({"n_channels": 32, "pooling": "blocks"})
        opinion = {"second_opinion": 512, "opinion_on": "embedding"}
        if arg.layers == "frozen":
            config.init.freeze = ("*", "!{head}")
        else:
            config.optim.rates = (("*", 0.1), ("{head}", 1.0))
            opinion = {}
    if arg.beside == "mfcc":
        config.eval.baseline = "mfcc"
        config.model.args.update(opinion)
    return config
