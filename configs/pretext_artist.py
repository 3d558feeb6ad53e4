"""Transfer learning from artists: who plays this song? (Park et al. 2017)

mclf train --config pretext_artist:data=jamendo,path=DIR --workdir runs/artist
mclf probe runs/artist
mclf train --config transfer:run=runs/artist,path=DIR --workdir runs/tuned

Every artist of the training split with enough songs is a label, and some of each one's albums are
kept for validation. Songs without tags count, too. The data set's own valid and test splits, of
other artists, are not used, so `mclf probe` is on artists whom the network never heard: how well
its embedding tells tags, and whether two songs are by one artist.

`sampled=N` draws N artists for each step in place of the softmax over all, for tens of thousands;
validation stays over all. Groups of MagnaTagATune are albums: there the artist is a column. The
network and its training are ours, not those of the paper.
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.data import published

_DATA = {"jamendo": "jamendo", "msd": "msd_cals", "mtat": "mtat"}


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(arg, data=(*_DATA, "fma", "synthetic"), path="", min_items=2, sampled=0)
    config = base()
    if arg.data in _DATA:
        published.use(config, _DATA[arg.data], path=arg.path)
    elif arg.data == "fma":
        config.data.name = "fma"
        config.data.args = ConfigDict({"path": arg.path})
    else:
        config.data.args = ConfigDict({"num_songs": 1000})
    config.data.target = "artist"
    config.data.target_args = ConfigDict(
        {
            "by": "artist" if arg.data == "mtat" else "group",
            "min_items": arg.min_items,
            "unit": "",
            "valid_fraction": 0.1,
            "test_fraction": 0.05,
            "seed": 0,
        }
    )
    config.augment.update({"gain_db": 6.0, "num_time_masks": 1, "num_freq_masks": 1})
    config.model.name = "short_chunk_cnn"
    config.model.args = ConfigDict({"n_channels": 128, "dropout_rate": 0.5})
    config.objective.num_sampled = arg.sampled
    config.optim.update({"name": "adamw", "learning_rate": 1e-3, "schedule": "cosine"})
    config.optim.update({"weight_decay": 1e-2, "grad_clip_norm": 1.0})
    config.optim.warmup_steps = 0 if arg.data == "synthetic" else 1000  # which may be all steps
    config.train.update({"batch_size": 64, "num_epochs": 50.0})
    config.eval.every_epochs = 5.0
    config.eval.num_windows = 4
    return config
