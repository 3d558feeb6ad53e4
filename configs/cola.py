"""COLA (Saeed et al. 2021): two crops of one clip are recognised as such, without augmentation.

mclf train --config cola:data=mtat,path=DIR --workdir runs/cola
mclf probe runs/cola

Crops of .96 s as 64 mel bands at 16 kHz (25 ms every 10 ms), a projector of 512 with layer norm and
tanh, bilinear similarity, softmax over the batch. The encoder there is EfficientNet-B0, trained on
AudioSet; here it is the short-chunk CNN. Adam at 1e-4; their batches of 1,024 fit on accelerators
(--config.objective.args.num_chunks=8 where they do not).
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.data import published


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(arg, data=published.WITHOUT_LABELS, path="", layout=published.LAYOUTS)
    config = base()
    published.use_without_labels(config, arg.data, path=arg.path, layout=arg.layout)
    config.features.update({"n_fft": 400, "hop_length": 160, "n_mels": 64})
    config.model.name = "short_chunk_cnn"
    config.model.args = ConfigDict({"num_blocks": 6, "dropout_rate": 0.0})
    config.model.window_s = 0.96
    config.objective.name = "simclr"
    config.objective.args = ConfigDict(
        {"similarity": "bilinear", "projector": (512,), "temperature": 1.0}
    )
    config.optim.update({"name": "adam", "learning_rate": 1e-4})
    config.train.update({"batch_size": 1024, "num_epochs": 1000.0})
    config.eval.update({"every_epochs": 10.0, "metric": "loss"})
    return config
