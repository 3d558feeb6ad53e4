"""The first network of the tutorial (chapter 9): five convolutions learn the genres of GTZAN.

mclf train --config configs/tutorial.py:path=DIR --workdir runs/tutorial

Adam at 1e-3, batches of 16, one random window of 29 s of each clip an epoch, changed by the
tutorial's own chain (polarity, noise, gain, filters, delay, pitch, reverb), 30 epochs; the lowest
validation loss decides. On an accelerator, add --config.features.on=device
--config.augment.on=device: pitch shifts are most of the pipeline's work.

DIR needs a manifest.csv (see `data.folder`) with the columns

    path    of each clip
    label   its genre, as the folders of GTZAN are called
    split   train, valid or test, of the fault-filtered lists: 443 / 197 / 290 clips
    group   the artist (optional: you are told of artists in two splits)

Without a manifest, subfolders are genres and splits are made here; as clips of one artist then
are on both sides, the scores say little.

Published: accuracy .5414 on the 290 clips. What differs here: pitch shift and reverb are not sox's
own (see `augment.presets`); and the tutorial scores the first 29 s of a clip, where here another
window reaches its end and the mean of their probabilities counts.
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(arg, path="")
    config = base()
    config.data.name = "folder"
    config.data.args = ConfigDict({"path": arg.path, "labels": "gtzan"})
    config.augment.waveform = "tutorial"
    config.model.name = "tutorial_cnn"
    config.optim.update({"name": "adam", "learning_rate": 1e-3})
    config.train.update({"batch_size": 16, "num_epochs": 30.0})
    config.eval.update({"every_epochs": 1.0, "metric": "loss", "hop_s": 29.0})
    return config
