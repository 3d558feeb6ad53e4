"""CPC (van den Oord et al. 2018) on music: the latents to come are told from others.

mclf train --config cpc:data=mtat,path=DIR --workdir runs/cpc
mclf probe runs/cpc

Sizes of the first version of CLMR's code: seven convolutions of 512 channels with a hop of 480
samples, a GRU of 256, one linear predictor for 20 steps ahead, 15 negatives of the batch for a
stretch of 81 latents. Adam at 3e-4, batches of 48, 100 epochs.
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.data import published


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(arg, data=published.WITHOUT_LABELS, path="", layout=published.LAYOUTS)
    config = base()
    published.use_without_labels(config, arg.data, path=arg.path, layout=arg.layout)
    config.model.name = "cpc"
    config.objective.name = "cpc"
    config.optim.update({"name": "adam", "learning_rate": 3e-4})
    config.train.update({"batch_size": 48, "num_epochs": 100.0})
    config.eval.update({"every_epochs": 1.0, "metric": "loss", "hop_s": 59049 / 22050})
    return config
