r"""Transfer learning from listening: who would like this song? (van den Oord et al. 2013)

pip install 'mclf-jax[listening]'
mclf train --config pretext_listening:path=DIR,plays=train_triplets.txt,key=song_id \
    --workdir runs/listening
mclf probe runs/listening

Item vectors of collaborative filtering are told from the sound. `plays` is a table of user, item
and count, such as the Taste Profile of the Million Song Dataset as it is distributed, whose items
are the songs of unique_tracks.txt (key=song_id); or any table by the ids of a data set (key=id).
Vectors of length 1 are compared by their cosine; with `distance=squared_error` factors have mean 0
and variance 1, and errors are squared as in the paper. Network and training are ours.
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.data import published

_DATA = {"msd": "msd_cals", "jamendo": "jamendo", "mtat": "mtat", "folder": "folder"}


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(
        arg,
        data=tuple(_DATA),
        path="",
        plays="",
        key="id",
        factors=50,
        distance=("cosine", "squared_error"),
    )
    config = base()
    published.use(config, _DATA[arg.data], path=arg.path)
    config.data.target = "listening"
    config.data.target_args = ConfigDict(
        {
            "path": arg.plays,
            "key": arg.key,
            "num_factors": arg.factors,
            "scaling": "unit" if arg.distance == "cosine" else "standard",
            "valid_fraction": 0.1,
            "test_fraction": 0.05,
            "seed": 0,
        }
    )
    config.augment.update({"gain_db": 6.0, "num_time_masks": 1, "num_freq_masks": 1})
    config.model.name = "short_chunk_cnn"
    config.model.args = ConfigDict({"n_channels": 128, "dropout_rate": 0.5})
    config.objective.distance = arg.distance
    config.optim.update({"name": "adamw", "learning_rate": 1e-3, "schedule": "cosine"})
    config.optim.update({"weight_decay": 1e-2, "grad_clip_norm": 1.0})
    config.optim.warmup_steps = 0 if arg.data == "folder" else 1000  # which may be all steps
    config.train.update({"batch_size": 64, "num_epochs": 50.0})
    config.eval.every_epochs = 5.0
    config.eval.num_windows = 4
    return config
