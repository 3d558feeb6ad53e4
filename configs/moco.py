"""MoCo (He et al. 2020; Chen et al. 2020): contrast with a queue of earlier clips, on music.

mclf train --config moco:data=mtat,path=DIR --workdir runs/moco
mclf probe runs/moco

The queue, key encoder, temperature, head and optimiser are those of the papers (ImageNet): 65,536
keys, momentum .999; v2: temperature .2, a hidden layer in the head, cosine; v1: temperature .07, a
linear head, a tenth of the learning rate at epochs 120 and 160. SGD at .03, L2 of 1e-4, batches of
256, 200 epochs. Encoder, windows and augmentation are CLMR's, so that the methods can be compared.

What differs here: batch statistics are over the global batch instead of shuffled between devices
(see `objectives.self_supervised.moco`).
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.data import published


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(
        arg, data=published.WITHOUT_LABELS, path="", version=("v2", "v1"), layout=published.LAYOUTS
    )
    config = base()
    published.use_without_labels(config, arg.data, path=arg.path, layout=arg.layout)
    config.features.on = "device"
    config.augment.update({"waveform": "clmr", "on": "device"})
    config.model.name = "clmr_sample_cnn"
    config.model.args = ConfigDict({"dropout_rate": 0.0})
    config.objective.name = "moco"
    config.optim.update({"name": "momentum", "learning_rate": 0.03, "weight_decay": 1e-4})
    config.optim.decay_mask = "all"
    if arg.version == "v2":
        config.objective.args = ConfigDict({"temperature": 0.2, "head": "mlp"})
        config.optim.schedule = "cosine"
    else:
        config.objective.args = ConfigDict({"temperature": 0.07, "head": "linear"})
        config.optim.phases = ((120, "momentum", 3e-3), (160, "momentum", 3e-4))
    config.train.update({"batch_size": 256, "num_epochs": 200.0})
    # A loss against what moves, too, does not say which weights are the better ones.
    config.eval.update({"every_epochs": 10.0, "metric": "last", "hop_s": 59049 / 22050})
    return config
