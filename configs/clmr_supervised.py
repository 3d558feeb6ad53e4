"""SampleCNN without pre-training: what CLMR (Spijkervet and Burgoyne 2021) is compared with.

mclf train --config clmr_supervised:data=gtzan,path=DIR --workdir runs/supervised

DIR holds the data set as it is distributed or as `mclf data prepare` wrote it. With
`layout=manifest` it has a manifest.csv instead (`data.readers.folder`), with path; label, or labels
separated by |, spelled as in `label_lists`; split and group (the artist). Windows that do not
overlap stand for a clip, and one more that ends where it ends.

data=gtzan: the tutorial, section 15.7, on the fault-filtered lists (443 / 197 / 290 clips). Adam at
3e-4, batches of 16, 15 epochs, the last weights. Published: accuracy .4966. What differs here: the
tutorial scores the first window of a clip. data=folder is trained in the same way: any folder of
songs, with labels of its own.

data=mtat, data=msd: CLMR's own code. SGD with Nesterov momentum .9, L2 of 1e-6, batches of 48.
Published ROC-AUC / PR-AUC: MTAT .886 / .344, MSD .884 / unknown. What differs here:
- The learning rate of these runs is not documented: the code hands SGD the 3e-4 of its contrastive
  training. Chosen here are the stages of SampleCNN's own paper (Lee et al. 2018), where the
  scores are quoted from: .01, then a fifth of it four times. There, and in CLMR's code, a stage
  ends when the validation loss stops falling; here at epochs 20, 30, 40 and 50 of 60.
- Not the data: MTAT is split as by Pons et al. 2018, with clips that have none of the 50
  tags. Without them PR-AUC is higher by about .1.
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg
from mclf_jax.data import published

_DATA = {"gtzan": "gtzan", "mtat": "mtat_pons", "msd": "msd", "folder": "folder"}


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(arg, data=tuple(_DATA), path="", layout=published.LAYOUTS)
    config = base()
    published.use(config, _DATA[arg.data], path=arg.path, layout=arg.layout)
    config.model.name = "clmr_sample_cnn"
    few_songs = arg.data in ("gtzan", "folder")
    if few_songs:
        config.optim.update({"name": "adam", "learning_rate": 3e-4})
        config.train.update({"batch_size": 16, "num_epochs": 15.0})
    else:
        config.optim.update({"name": "sgd", "learning_rate": 1e-2})
        rates = {20: 2e-3, 30: 4e-4, 40: 8e-5, 50: 1.6e-5}
        config.optim.phases = tuple((epoch, "sgd", rate) for epoch, rate in rates.items())
        config.optim.update({"weight_decay": 1e-6, "decay_mask": "all"})
        config.train.update({"batch_size": 48, "num_epochs": 60.0})
    metric = "last" if few_songs else "loss"
    config.eval.update({"every_epochs": 1.0, "metric": metric, "hop_s": 59049 / 22050})
    return config
