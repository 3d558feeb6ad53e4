"""BYOL (Grill et al. 2020) on music: one view predicts another, without negatives.

mclf train --config byol:data=mtat,path=DIR --workdir runs/byol
mclf probe runs/byol

Projector and predictor of 4,096 and 256 with batch norm, a target that follows with momentum .99,
as in the first version of CLMR's code (the paper raises it from .996 to 1:
--config.objective.args.momentum=.996 --config.objective.args.momentum_schedule=cosine). Encoder,
windows, augmentation, Adam at 3e-4 and batches of 96 are CLMR's, so that the methods can be
compared; scores are not published.
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
    config.objective.name = "byol"
    config.objective.args = ConfigDict({"momentum": 0.99, "momentum_schedule": "constant"})
    config.optim.update({"name": "adam", "learning_rate": 3e-4})
    config.train.update({"batch_size": 96, "num_epochs": 1000.0})
    # A loss against what moves, too, does not say which weights are the better ones.
    config.eval.update({"every_epochs": 10.0, "metric": "last", "hop_s": 59049 / 22050})
    return config
