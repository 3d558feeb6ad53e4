"""PASE (Pascual et al. 2019) and PASE+ (Ravanelli et al. 2020) on music: many workers, one encoder.

mclf train --config pase:data=mtat,path=DIR --workdir runs/pase
mclf train --config pase:data=mtat,path=DIR,version=plus --workdir runs/pase_plus
mclf probe runs/pase

The encoder's latents must tell waveform, spectra, cepstra and prosody of the window, and which
other windows are of the same song. Adam at 5e-4, halved every 30 epochs of 150, batches of 32
windows of 1 s; plus: batches of 16 windows of 2 s, distorted as published, 400 epochs, at 1e-3 for
the encoder and 5e-4 for the workers, falling linearly (there: the power .9 of that line). What else
differs is said in `models.pase` and `objectives.pase`.
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.data import published


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(
        arg,
        data=published.WITHOUT_LABELS,
        path="",
        version=("pase", "plus"),
        layout=published.LAYOUTS,
    )
    config = base()
    published.use_without_labels(config, arg.data, path=arg.path, layout=arg.layout)
    config.features.on = "device"
    config.model.name = "pase"
    config.objective.name = "pase"
    config.eval.update({"every_epochs": 5.0, "metric": "loss"})
    if arg.version == "pase":
        config.model.window_s = 1.0
        config.optim.update({"name": "adam", "learning_rate": 5e-4})
        config.optim.phases = tuple((30 * i, "adam", 5e-4 / 2**i) for i in range(1, 5))
        config.train.update({"batch_size": 32, "num_epochs": 150.0})
        return config
    # Imports jax, and other configs do not need it.
    from mclf_jax.models.encoders.pase import PLUS as ENCODER
    from mclf_jax.objectives.pase.objective import PLUS as WORKERS

    config.model.args = ConfigDict(ENCODER)
    config.objective.args = ConfigDict(WORKERS)
    config.augment.update({"waveform": "pase_plus", "on": "device"})
    config.model.window_s = 2.0
    config.optim.update({"name": "adam", "learning_rate": 1e-3, "schedule": "linear"})
    config.optim.head_rates = (("workers", 0.5),)
    config.train.update({"batch_size": 16, "num_epochs": 400.0})
    return config
