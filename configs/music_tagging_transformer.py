"""Music Tagging Transformer (Won et al. 2021), supervised: the teacher, and its student alone.

mclf train --config configs/music_tagging_transformer.py:data=msd,path=DIR --workdir runs/mtt

Adam at 1e-4, batches of 32, one random window of 10 s of each clip an epoch, until the validation
loss has not fallen for 40 epochs, at most 200. `size=student` is the compact network, attention
64 wide instead of 256, trained on the labels alone. DIR needs a manifest.csv (see `data.folder`)
with the columns

    path    of each clip
    labels  its tags, separated by |, as spelled in the list of `data.label_lists`: mtat, msd_cals
            or jamendo_top50. Others are dropped, clips with none left are left out
    split   train, valid or test; CALS has 163,504 / 34,730 / 34,913 clips of MSD
    group   the artist (optional: you are told of artists in two splits)

Published ROC-AUC / PR-AUC: .8916 / .3358 on MSD, quoted beside scores on the Last.fm tags, for
which set --config.data.args.labels=msd_lastfm. Scores on CALS, MTAT and MTG-Jamendo are not
published as numbers. What differs here: eight windows stand for a clip. That is the default of
the published code too, but a constant in it leaves only the first 10 s.
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg

_LABELS = {"msd": "msd_cals", "mtat": "mtat", "jamendo": "jamendo_top50"}


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(arg, data=tuple(_LABELS), path="", size=("teacher", "student"))
    config = base()
    config.data.name = "folder"
    config.data.args = ConfigDict({"path": arg.path, "labels": _LABELS[arg.data]})
    config.model.name = "music_tagging_transformer"
    if arg.size == "student":
        config.model.args = ConfigDict({"attention_dim": 64})
    config.optim.update({"name": "adam", "learning_rate": 1e-4})
    config.train.update({"batch_size": 32, "num_epochs": 200.0})
    config.eval.update({"every_epochs": 1.0, "metric": "loss", "patience": 40, "num_windows": 8})
    return config
