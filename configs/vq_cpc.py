"""VQ-CPC (van Niekerk et al. 2020) on music: CPC on latents from a codebook.

mclf train --config vq_cpc:data=mtat,path=DIR --workdir runs/vq_cpc
mclf probe runs/vq_cpc

512 codes of 64 numbers, which follow the latents they stand for; six steps ahead, 17 negatives of
the same clip, scaled dot products, each step with an affine map of its own. Adam at 4e-4 after a
warm-up, batches of 64, 25,000 epochs. What differs here: they read log-mel spectrograms with an
LSTM, draw negatives of the same speaker and lower the rate at epoch 20,000; here the encoder is
that of `configs/cpc.py`.
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.data import published


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(arg, data=published.WITHOUT_LABELS, path="", layout=published.LAYOUTS)
    config = base()
    published.use_without_labels(config, arg.data, path=arg.path, layout=arg.layout)
    config.model.name = "cpc"
    config.model.args = ConfigDict({"num_codes": 512, "code_dim": 64})
    config.objective.name = "cpc"
    config.objective.args = ConfigDict(
        {
            "num_steps_ahead": 6,
            "num_negatives": 17,
            "negatives": "same_clip",
            "subsample": 0,
            "score": "scaled_dot",
            "predictor": "affine",
        }
    )
    config.optim.update({"name": "adam", "learning_rate": 4e-4, "warmup_steps": 1000})
    config.train.update({"batch_size": 64, "num_epochs": 25_000.0})
    config.eval.update({"every_epochs": 100.0, "metric": "loss", "hop_s": 59049 / 22050})
    return config
