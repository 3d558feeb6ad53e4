"""The evaluation of Won et al. 2020 (SMC): nine networks, three data sets, one training recipe.

mclf train --config won2020:model=fcn,data=mtat,path=DIR --workdir runs/fcn_mtat

Adam at 1e-4 for 80 epochs, then SGD at 1e-3, 1e-4 and 1e-5 from epochs 80, 100 and 120, each from
the best weights so far; L2 of 1e-4 on everything, batches of 16, one random window of each clip an
epoch, 200 epochs. The lowest validation loss decides. Sixteen windows stand for a clip.
`n_mels=128` gives the variants of fcn, musicnn and crnn that were published too; musicnn on MSD
is the large one. DIR holds the data set as it is distributed or as `mclf data prepare` wrote it:
15,244 / 1,529 / 4,332 clips of MTAT, 201,680 / 11,774 / 28,435 of MSD, 32,136 / 10,888 / 11,356 of
MTG-Jamendo (split 0). With `layout=manifest` DIR has a manifest.csv instead
(`data.readers.folder`), with path, labels (separated by |, spelled as in `label_lists`), split
and group (the artist); with `data=folder` it is any folder of songs, with labels of its own.

Published ROC-AUC / PR-AUC, means over 50 tags:

                          MTAT             MSD              MTG-Jamendo
    fcn                   .9005 / .4295    .8744 / .2970    .8255 / .2801
    fcn, 128 mels         .8994 / .4236    .8742 / .2963    .8245 / .2792
    musicnn               .9106 / .4493    .8803 / .2983    .8226 / .2713
    musicnn, 128 mels     .9092 / .4546    .8788 / .3036    .8275 / .2810
    sample_cnn            .9058 / .4422    .8789 / .2959    .8208 / .2742
    sample_cnn_se         .9103 / .4520    .8838 / .3109    .8233 / .2784
    crnn                  .8722 / .3625    .8499 / .2469    .7978 / .2358
    crnn, 128 mels        .8703 / .3601    .8460 / .2330    .7984 / .2378
    cnnsa                 .9077 / .4445    .8810 / .3103    .8261 / .2883
    harmonic_cnn          .9127 / .4611    .8898 / .3298    .8322 / .2956
    short_chunk_cnn       .9126 / .4590    .8883 / .3251    .8324 / .2976
    short_chunk_resnet    .9129 / .4614    .8898 / .3280    .8316 / .2951

What differs here: the sixteen windows reach the end of the clip (there they stop a sixteenth
short of it), and batches go on over the end of an epoch. Windows of 29 s in the 29.1 s clips of
MTAT are nearly the same sixteen times: for fcn and crnn there, --config.eval.num_windows=1 saves
most of the time of an evaluation.
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.data import published

_MODELS = (
    "fcn",
    "musicnn",
    "crnn",
    "sample_cnn",
    "sample_cnn_se",
    "cnnsa",
    "harmonic_cnn",
    "short_chunk_cnn",
    "short_chunk_resnet",
)
_DATA = ("mtat", "msd", "jamendo", "folder")
_ALSO_128_MELS = ("fcn", "musicnn", "crnn")


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(arg, model=_MODELS, data=_DATA, path="", n_mels=0, layout=published.LAYOUTS)
    config = base()
    published.use(config, arg.data, path=arg.path, layout=arg.layout)
    config.model.name = arg.model
    if arg.n_mels:
        if arg.model not in _ALSO_128_MELS:
            raise ValueError(
                f"config argument n_mels={arg.n_mels} with model={arg.model}; it is for "
                f"{', '.join(_ALSO_128_MELS)}"
            )
        config.features.n_mels = arg.n_mels
    if (arg.model, arg.data) == ("musicnn", "msd"):
        config.model.args = ConfigDict({"backend_channels": 512, "dense_units": 500})
    config.optim.update({"name": "adam", "learning_rate": 1e-4})
    config.optim.phases = ((80, "sgd", 1e-3), (100, "sgd", 1e-4), (120, "sgd", 1e-5))
    config.optim.update({"weight_decay": 1e-4, "decay_mask": "all"})
    config.train.update({"batch_size": 16, "num_epochs": 200.0})
    config.eval.update({"every_epochs": 1.0, "metric": "loss", "num_windows": 16})
    return config
