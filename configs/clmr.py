"""CLMR (Spijkervet and Burgoyne 2021): contrastive learning of musical representations.

mclf train --config clmr:data=mtat,path=DIR --workdir runs/clmr
mclf probe runs/clmr

Two windows of a clip, each through the published chain of augmentations, are to be nearer to each
other than to the windows of all other clips of the batch (NT-Xent, temperature 0.5). SampleCNN on
59,049 samples, a projector of 512 and 64, Adam at 3e-4 (their config has others, which their code
does not read), batches of 96 clips, 10,000 epochs. Labels are not looked at: any folder of songs
will do (data=folder).

Published, linear probe, ROC-AUC / PR-AUC: MTAT .887 / .356, MSD .857 / .250; on GTZAN, accuracy
.552 (tutorial, with the weights of MTAT). With one hidden layer: MTAT .893 / .360.

What differs here: pitch shift and reverb are not sox's own (see `augment.presets`); all devices
share one batch, so that negatives and batch statistics are over all of it.
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.data import published


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(arg, data=published.WITHOUT_LABELS, path="", layout=published.LAYOUTS)
    config = base()
    published.use_without_labels(config, arg.data, path=arg.path, layout=arg.layout)
    config.features.on = "device"
    config.augment.update({"waveform": "clmr", "on": "device"})
    config.model.name = "clmr_sample_cnn"
    config.model.args = ConfigDict({"dropout_rate": 0.0})
    config.objective.name = "simclr"
    config.objective.args = ConfigDict({"temperature": 0.5, "projector": (512, 64)})
    config.optim.update({"name": "adam", "learning_rate": 3e-4})
    config.train.update({"batch_size": 96, "num_epochs": 10_000.0})
    config.eval.update({"every_epochs": 100.0, "metric": "last", "hop_s": 59049 / 22050})
    return config
