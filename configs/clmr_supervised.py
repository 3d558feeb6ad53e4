"""SampleCNN without pre-training: what CLMR (Spijkervet and Burgoyne 2021) is compared with.

mclf train --config configs/clmr_supervised.py:data=gtzan,path=DIR --workdir runs/supervised

DIR needs a manifest.csv (see `data.folder`) with the columns path; label (a genre of GTZAN), or
labels (tags of MTAT or MSD, separated by |); split (train, valid or test) and, to be told of
artists in two splits, group. Labels are spelled as in the list of `data.label_lists`: gtzan, mtat
or msd_lastfm. Others are dropped, clips with none left are left out. Windows that do not overlap
stand for a clip, and one more that ends where it ends.

data=gtzan: the tutorial, section 15.7, on the fault-filtered lists (443 / 197 / 290 clips). Adam at
3e-4, batches of 16, 15 epochs. Published: accuracy .4966. What differs here: the tutorial takes
the last weights, not those of the lowest validation loss, and scores the first window of a clip.

data=mtat, data=msd: CLMR's own code. SGD with Nesterov momentum .9, L2 of 1e-6, batches of 48.
Published ROC-AUC / PR-AUC: MTAT .886 / .344, MSD .884 / unknown. What differs here:
- The learning rate of these runs is not documented: the code hands SGD the 3e-4 of its contrastive
  training. Chosen here are the stages of SampleCNN's own paper (Lee et al. 2018), where the
  scores are quoted from: .01, then a fifth of it four times. There, and in CLMR's code, a stage
  ends when the validation loss stops falling; here at epochs 20, 30, 40 and 50 of 60.
- MTAT was split as by Pons et al. 2018, with clips that have none of the 50 tags. They are left
  out here, which raises PR-AUC by about .1.
"""

from ml_collections import ConfigDict

from mclf_jax.config import base, parse_arg

_LABELS = {"gtzan": "gtzan", "mtat": "mtat", "msd": "msd_lastfm"}


def get_config(arg: str | None = None) -> ConfigDict:
    arg = parse_arg(arg, data=tuple(_LABELS), path="")
    config = base()
    config.data.name = "folder"
    config.data.args = ConfigDict({"path": arg.path, "labels": _LABELS[arg.data]})
    config.model.name = "clmr_sample_cnn"
    if arg.data == "gtzan":
        config.optim.update({"name": "adam", "learning_rate": 3e-4})
        config.train.update({"batch_size": 16, "num_epochs": 15.0})
    else:
        config.optim.update({"name": "sgd", "learning_rate": 1e-2})
        rates = {20: 2e-3, 30: 4e-4, 40: 8e-5, 50: 1.6e-5}
        config.optim.phases = tuple((epoch, "sgd", rate) for epoch, rate in rates.items())
        config.optim.update({"weight_decay": 1e-6, "decay_mask": "all"})
        config.train.update({"batch_size": 48, "num_epochs": 60.0})
    config.eval.update({"every_epochs": 1.0, "metric": "loss", "hop_s": 59049 / 22050})
    return config
