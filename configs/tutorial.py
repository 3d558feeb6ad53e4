"""The first network of the tutorial (chapter 9): five convolutions learn the genres of GTZAN.

mclf train --config configs/tutorial.py:path=DIR --workdir runs/tutorial

Adam at 1e-3, batches of 16, one random window of 29 s of each clip an epoch, 30 epochs; the lowest
validation loss decides. DIR needs a manifest.csv (see `data.folder`) with the columns

    path    of each clip
    label   its genre, as the folders of GTZAN are called
    split   train, valid or test, of the fault-filtered lists: 443 / 197 / 290 clips
    group   the artist (optional: you are told of artists in two splits)

Without a manifest, subfolders are genres and splits are made here; as clips of one artist then
are on both sides, the scores say little.

Published: accuracy .5414 on the 290 clips. What differs here: the tutorial changes the waveforms
in training (polarity, noise, gain, filters, delay, pitch, reverb), this recipe does not; and it
scores the first 29 s of a clip, where here another window reaches its end and the mean
of their probabilities counts.
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(arg, path="")
    config = base()
    config.data.name = "folder"
    config.data.args = ConfigDict({"path": arg.path, "labels": "gtzan"})
    config.model.name = "tutorial_cnn"
    config.optim.update({"name": "adam", "learning_rate": 1e-3})
    config.train.update({"batch_size": 16, "num_epochs": 30.0})
    config.eval.update({"every_epochs": 1.0, "metric": "loss", "hop_s": 29.0})
    return config
