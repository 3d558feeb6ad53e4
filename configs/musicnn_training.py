"""The VGG of musicnn (Pons and Serra 2019), trained as in jordipons/musicnn-training.

mclf train --config configs/musicnn_training.py:data=mtat,path=DIR --workdir runs/vgg_mtat

Adam at 1e-3, L2 of 1e-5 on kernels, batches of 32, one random window of 3 s of each clip an epoch,
600 epochs; the lowest validation loss decides. Windows that do not overlap stand for a clip, and
one more that ends where it ends. DIR needs a manifest.csv (see `data.folder`) with the columns

    path    of each clip
    labels  its tags, separated by |, as spelled in the list of `data.label_lists`: mtat or
            msd_lastfm. Others are dropped, clips with none left are left out
    split   train, valid or test
    group   the artist (optional: you are told of artists in two splits)

Published ROC-AUC / PR-AUC: MTAT .9030 / .3823, MSD .8768 / .2819. What differs here:
- There the learning rate is halved whenever 75 epochs, not all in a row, have brought no lower
  validation loss; here every 100 epochs, and from the best weights so far.
- Their MTAT has clips with none of the 50 tags. They are left out here, which raises PR-AUC by
  about .1.
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg

_LABELS = {"mtat": "mtat", "msd": "msd_lastfm"}


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(arg, data=tuple(_LABELS), path="")
    config = base()
    config.data.name = "folder"
    config.data.args = ConfigDict({"path": arg.path, "labels": _LABELS[arg.data]})
    config.model.name = "vgg_ish"
    config.optim.update({"name": "adam", "learning_rate": 1e-3, "weight_decay": 1e-5})
    config.optim.phases = tuple((100 * i, "adam", 1e-3 / 2**i) for i in range(1, 6))
    config.train.update({"batch_size": 32, "num_epochs": 600.0})
    # A spectrogram of 187 frames after another.
    config.eval.update({"every_epochs": 1.0, "metric": "loss", "hop_s": 187 * 256 / 16000})
    return config
