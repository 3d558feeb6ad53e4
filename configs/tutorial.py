"""The first network of the tutorial (chapter 9): five convolutions learn the genres of GTZAN.

mclf train --config tutorial:path=DIR --workdir runs/tutorial

Adam at 1e-3, batches of 16, one random window of 29 s of each clip an epoch, changed by the
tutorial's own chain (polarity, noise, gain, filters, delay, pitch, reverb), 30 epochs; the lowest
validation loss decides. On an accelerator, add --config.features.on=device
--config.augment.on=device: pitch shifts are most of the pipeline's work.

DIR holds GTZAN as it is distributed (genres/blues/blues.00000.wav, ...) or as `mclf data prepare`
wrote it, split by the fault-filtered lists: 443 / 197 / 290 clips. With `layout=manifest` it has a
manifest.csv instead (`data.readers.folder`), with path, label, split and group (the artist); with
`data=folder` it is any folder of songs, with labels of its own.

Published: accuracy .5414 on the 290 clips. What differs here: pitch shift and reverb are not sox's
own (see `augment.presets`); and the tutorial scores the first 29 s of a clip, where here another
window reaches its end and the mean of their probabilities counts.
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.data import published


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(arg, data=("gtzan", "folder"), path="", layout=published.LAYOUTS)
    config = base()
    published.use(config, arg.data, path=arg.path, layout=arg.layout)
    config.augment.waveform = "tutorial"
    config.model.name = "tutorial_cnn"
    config.optim.update({"name": "adam", "learning_rate": 1e-3})
    config.train.update({"batch_size": 16, "num_epochs": 30.0})
    config.eval.update({"every_epochs": 1.0, "metric": "loss", "hop_s": 29.0})
    return config
