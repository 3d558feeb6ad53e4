"""The VGG of musicnn (Pons and Serra 2019), trained as in jordipons/musicnn-training.

mclf train --config musicnn_training:data=mtat,path=DIR --workdir runs/vgg_mtat

Adam at 1e-3, L2 of 1e-5 on kernels, batches of 32, one random window of 3 s of each clip an epoch,
600 epochs; the lowest validation loss decides. Windows that do not overlap stand for a clip, and
one more that ends where it ends. DIR holds the data set as it is distributed or as
`mclf data prepare` wrote it. With `layout=manifest` it has a manifest.csv instead
(`data.readers.folder`), with path, labels (separated by |, spelled as in `label_lists`), split
and group (the artist); with `data=folder` it is any folder of songs, with labels of its own.

Published ROC-AUC / PR-AUC: MTAT .9030 / .3823, MSD .8768 / .2819. MTAT is split as there, with
clips that have none of the 50 tags; without them PR-AUC is higher by about .1. What differs here:
there the learning rate is halved whenever 75 epochs, not all in a row, have brought no lower
validation loss; here every 100 epochs, and from the best weights so far.
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.data import published

_DATA = {"mtat": "mtat_pons", "msd": "msd", "folder": "folder"}


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(arg, data=tuple(_DATA), path="", layout=published.LAYOUTS)
    config = base()
    published.use(config, _DATA[arg.data], path=arg.path, layout=arg.layout)
    config.model.name = "vgg_ish"
    config.optim.update({"name": "adam", "learning_rate": 1e-3, "weight_decay": 1e-5})
    config.optim.phases = tuple((100 * i, "adam", 1e-3 / 2**i) for i in range(1, 6))
    config.train.update({"batch_size": 32, "num_epochs": 600.0})
    # A spectrogram of 187 frames after another.
    config.eval.update({"every_epochs": 1.0, "metric": "loss", "hop_s": 187 * 256 / 16000})
    return config
