"""Myna (Yonay et al. 2025): two crops of a song, a tenth of the patches of each, not augmented.

mclf train --config myna:data=mtat,path=DIR --workdir runs/myna
mclf probe runs/myna
mclf train --config myna:data=folder,path=DIR,patch=vertical --workdir runs/myna_vertical

ViT-S on 6.25 s at 16 kHz, 128 mel bands: 96 patches of 16 x 16, of which 9 of each crop are
encoded (patch=vertical: 98 of all bands and two frames). Temperature .1, Adam at 3e-4 with an L2 of
1e-5, batches of 1,024, 500 epochs. As nothing shifts its pitch, it keeps what a key is told by.

Published, read off a figure of the authors: key of GiantSteps .635 to .64 and MTAT PR-AUC .394;
with half of the patches kept, .583 for the key.

What differs here: InfoNCE over the batch, where their code has SogCLR, a moving average of it; no
layer normalisation around the patch embedding, but statistics of the whole batch; decibels.
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.data import published

_PATCHES = {"square": (16, 16), "vertical": (2, 128)}


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(
        arg,
        data=published.WITHOUT_LABELS,
        path="",
        patch=tuple(_PATCHES),
        layout=published.LAYOUTS,
    )
    config = base()
    published.use_without_labels(config, arg.data, path=arg.path, layout=arg.layout)
    config.features.on = "device"
    config.model.name = "vit"
    config.model.args = ConfigDict({"patch": _PATCHES[arg.patch]})
    config.objective.name = "simclr"
    config.objective.args = ConfigDict(
        {"kept_patches": 0.1, "temperature": 0.1, "projector": (384, 128)}
    )
    config.optim.update({"name": "adam", "learning_rate": 3e-4, "weight_decay": 1e-5})
    config.train.update({"batch_size": 1024, "num_epochs": 500.0})
    config.eval.update({"every_epochs": 10.0, "metric": "loss"})
    return config
