"""Transfer learning from groups of artists: whose kind of music is this? (after Kim et al. 2018)

mclf train --config pretext_artist_group:data=msd,path=DIR --workdir runs/groups
mclf probe runs/groups

Where artists are too many, or have too few songs each, groups of similar artists are the labels:
clusters (k-means) of the TF-IDF weights of their songs' tags, `groups` of them. The paper finds
them by topic models of several kinds of words about an artist; tags are what the data sets have.
Validation is on artists whom training does not have, and `mclf probe` on those of the data set's
own test split.
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.data import published

_DATA = {"jamendo": "jamendo", "msd": "msd_cals", "mtat": "mtat"}


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(arg, data=(*_DATA, "fma", "synthetic"), path="", groups=40)
    config = base()
    if arg.data in _DATA:
        published.use(config, _DATA[arg.data], path=arg.path)
    elif arg.data == "fma":
        config.data.name = "fma"
        config.data.args = ConfigDict({"path": arg.path})
    else:
        config.data.args = ConfigDict({"num_songs": 1000, "task": "instruments"})
    config.data.target = "artist_group"
    config.data.target_args = ConfigDict(
        {
            "num_groups": arg.groups,
            "by": "artist" if arg.data == "mtat" else "group",
            "tags": "label",
            "valid_fraction": 0.1,
            "test_fraction": 0.05,
            "seed": 0,
        }
    )
    config.augment.update({"gain_db": 6.0, "num_time_masks": 1, "num_freq_masks": 1})
    config.model.name = "short_chunk_cnn"
    config.model.args = ConfigDict({"n_channels": 128, "dropout_rate": 0.5})
    config.optim.update({"name": "adamw", "learning_rate": 1e-3, "schedule": "cosine"})
    config.optim.update({"weight_decay": 1e-2, "grad_clip_norm": 1.0})
    config.optim.warmup_steps = 0 if arg.data == "synthetic" else 1000  # which may be all steps
    config.train.update({"batch_size": 64, "num_epochs": 50.0})
    config.eval.update({"every_epochs": 5.0, "metric": "accuracy", "num_windows": 4})
    return config
