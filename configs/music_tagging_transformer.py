"""Music Tagging Transformer (Won et al. 2021), supervised: the teacher, and its student alone.

mclf train --config music_tagging_transformer:data=msd,path=DIR --workdir runs/mtt

Adam at 1e-4, batches of 32, one random window of 10 s of each clip an epoch, until the validation
loss has not fallen for 40 epochs, at most 200. `size=student` is the compact network, attention
64 wide instead of 256, trained on the labels alone. DIR holds the data set as it is distributed or
as `mclf data prepare` wrote it; CALS has 163,504 / 34,730 / 34,913 clips of MSD. With
`layout=manifest` DIR has a manifest.csv instead (`data.readers.folder`), with path, labels
(separated by |, spelled as in `label_lists`), split and group (the artist); with `data=folder`
it is any folder of songs, with labels of its own.

Published ROC-AUC / PR-AUC: .8916 / .3358 on MSD, quoted beside scores on the Last.fm tags, for
which set --config.data.args.labels=lastfm. Scores on CALS, MTAT and MTG-Jamendo are not
published as numbers. What differs here: eight windows stand for a clip. That is the default of
the published code too, but a constant in it leaves only the first 10 s.
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.data import published

_DATA = {"msd": "msd_cals", "mtat": "mtat", "jamendo": "jamendo", "folder": "folder"}


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(
        arg, data=tuple(_DATA), path="", size=("teacher", "student"), layout=published.LAYOUTS
    )
    config = base()
    published.use(config, _DATA[arg.data], path=arg.path, layout=arg.layout)
    config.model.name = "music_tagging_transformer"
    if arg.size == "student":
        config.model.args = ConfigDict({"attention_dim": 64})
    config.optim.update({"name": "adam", "learning_rate": 1e-4})
    config.train.update({"batch_size": 32, "num_epochs": 200.0})
    config.eval.update({"every_epochs": 1.0, "metric": "loss", "patience": 40, "num_windows": 8})
    return config
