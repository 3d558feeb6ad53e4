"""Transfer: a network that was trained on other music, a new head for the labels of your songs.

mclf convert best_model.pth --model musicnn --labels mtat --out runs/musicnn_mtat
mclf train --config transfer:run=runs/musicnn_mtat,path=DIR --workdir runs/tuned
mclf sweep --config transfer:run=runs/musicnn_mtat,path=DIR --workdir runs/transfer

RUN is any run directory: converted, supervised or pretrained. Its network, features and windows
are used, with the data, augmentation and training of `configs/folder.py` on DIR; where it takes
waveforms, they are made louder, softer and upside down instead of masked. `data=NAME` takes a
public data set in place of a folder, in its own splits. `how` is tuned
(everything learns, below the new head a tenth as fast), frozen (the head alone learns) or scratch
(the same network untrained). `keep` is a part that stays as it is where the others are tuned: of
MusiCNN, keep=layers.* saves more than half of the time. The sweep compares some, how=tuned+frozen;
a seed stands for the initial values of what is new and, of a folder, for a fold by group (three of
five).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from mclf_jax.audio.features import Features
from mclf_jax.config import format_arg, load_module, parse_arg
from mclf_jax.run.directory import read_config
from mclf_jax.run.experiment import features_of
from mclf_jax.sweep import Setting

_FOLDER = Path(__file__).with_name("folder.py")
_HOW = ("tuned", "frozen", "scratch")
_WITHOUT_SPLITS = ("folder", "synthetic")


def _parsed(arg: str | None) -> ConfigDict:
    known = {"data": load_module(str(_FOLDER)).DATA, "keep": "", "steps": 300, "seeds": 3}
    arg = parse_arg(arg, run="", path="", how="+".join(_HOW), **known)
    if unknown := set(arg.how.split("+")) - set(_HOW):
        raise ValueError(f"config argument how has {sorted(unknown)}; allowed: {', '.join(_HOW)}")
    if not arg.run and arg.how != "scratch":
        raise ValueError(f"config argument run is '', which how={arg.how} starts from: a directory")
    return arg


def get_config(arg: str | None = None) -> ConfigDict:
    arg = _parsed(arg)
    config = load_module(str(_FOLDER)).get_config(
        format_arg(
            data=arg.data,
            path=arg.path,
            window_s=5.0,
            steps=arg.steps,
            init="none",
            beside="none",
        )
    )
    if arg.run:
        trained = read_config(Path(arg.run))
        config.features, config.model = trained.features, trained.model
        if "second_opinion" in config.model.args:
            config.model.args.second_opinion = 0  # ways of transfer are compared, not it
        config.augment.update(_fitting(features_of(config)))
    config.train.batch_size = 16
    config.update_from_flattened_dict(_changes(arg.how.split("+")[0], arg))
    return config


def sweep(arg: str | None = None) -> Iterator[Setting]:
    arg = _parsed(arg)
    for how in arg.how.split("+"):
        for seed in range(arg.seeds):
            changes = _changes(how, arg) | {"seed": seed}
            if arg.data in _WITHOUT_SPLITS:
                changes |= {"data.num_folds": 5, "data.fold": seed % 5}
            yield f"{how},seed={seed}", changes


def _fitting(features: Features) -> dict[str, Any]:
    """What has to differ in the augmentation of `configs/folder.py`, which is of decibels."""
    changes = {} if features.unit == "dB" else {"gain_db": 0.0, "eq_std_db": 0.0}
    if features.kind == "waveform":
        changes |= {"num_time_masks": 0, "num_freq_masks": 0}
        louder = ("gain", 1.0, {"min_db": -6.0, "max_db": 6.0})
        changes["chain"] = (louder, ("polarity_inversion", 0.5, {}))
    return changes


def _changes(how: str, arg: ConfigDict) -> dict[str, Any]:
    changes = {"init.path": arg.run, "init.freeze": (), "optim.rates": ()}
    if how == "tuned":
        changes["init.freeze"] = (arg.keep,) if arg.keep else ()
        changes["optim.rates"] = (("*", 0.1), ("{head}", 1.0))
    elif how == "frozen":
        changes["init.freeze"] = ("*", "!{head}")
    else:
        changes["init.path"] = ""
    return changes
