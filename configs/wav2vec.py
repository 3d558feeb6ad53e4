"""wav2vec (Schneider et al. 2019) on music: CPC with a context of causal convolutions.

mclf train --config wav2vec:data=mtat,path=DIR --workdir runs/wav2vec
mclf probe runs/wav2vec

Sizes and loss as published: 12 steps ahead, each with an affine map of its own, 10 negatives of the
same clip, yes or no for each. Adam with a warm-up of 500 steps from nearly 0 to 5e-3, then a cosine
to nearly 0, 400,000 steps. A batch there is at most 1.5 million samples on a device: ten windows.
Small versions do not leave the start with this loss and do with
--config.objective.args.criterion=nce, which compares with chance.
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.data import published


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(arg, data=published.WITHOUT_LABELS, path="", layout=published.LAYOUTS)
    config = base()
    published.use_without_labels(config, arg.data, path=arg.path, layout=arg.layout)
    config.model.name = "wav2vec"
    config.objective.name = "cpc"
    config.objective.args = ConfigDict(
        {
            "num_steps_ahead": 12,
            "num_negatives": 10,
            "negatives": "same_clip",
            "subsample": 0,
            "criterion": "binary",
            "predictor": "affine",
        }
    )
    config.optim.update({"name": "adam", "learning_rate": 5e-3, "schedule": "cosine"})
    config.optim.warmup_steps = 500
    config.train.update({"batch_size": 80, "num_steps": 400_000})
    config.eval.update({"every_steps": 10_000, "metric": "loss"})
    return config
