"""Noisy student training of the Music Tagging Transformer (Won et al. 2021).

mclf train --config music_tagging_transformer:data=msd,path=DIR --workdir runs/teacher
mclf train --config noisy_student:path=DIR,teacher=runs/teacher --workdir runs/expanded
mclf train --config noisy_student:path=DIR,teacher=runs/teacher,student=compact \\
    --workdir runs/distilled

Batches of 16 labelled and 16 unlabelled clips of MSD: the 163,504 training clips of the CALS split
and its 516,415 clips without tags. The teacher predicts clean audio, and the student has to say
the same of it with noise, filters, delay, pitch shift and reverb; soft labels, weight 1. Adam at
1e-4 until the validation loss has not fallen for 40 epochs. `student=same` is knowledge expansion,
`student=compact` distillation into attention 64 wide. Another round takes the student as teacher,
which the authors found of no further use.

Their table is a picture, so there are no published numbers to hold this to. What differs here: the
undefined term of the published code on labelled clips is the cross-entropy with the labels; its
other reading is --config.objective.args.labelled_loss=skeptical. Labelled clips are augmented too.
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.data import published


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(arg, path="", teacher="", student=("same", "compact"), layout=published.LAYOUTS)
    config = base()
    published.use(config, "msd_cals", path=arg.path, layout=arg.layout)
    config.features.on = "device"
    config.augment.update({"waveform": "musicnn_noisy_student", "on": "device"})
    config.model.name = "music_tagging_transformer"
    if arg.student == "compact":
        config.model.args = ConfigDict({"attention_dim": 64})
    config.objective.name = "noisy_student"
    config.objective.args = ConfigDict({"teacher": arg.teacher, "targets": "soft", "weight": 1.0})
    config.optim.update({"name": "adam", "learning_rate": 1e-4})
    config.train.update({"batch_size": 16, "num_epochs": 200.0})
    config.eval.update({"every_epochs": 1.0, "metric": "loss", "patience": 40, "num_windows": 8})
    return config
