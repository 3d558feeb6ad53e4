"""The baseline without pretraining: the same network, supervised from its first step."""

import hashlib
import json
from pathlib import Path

from ml_collections import ConfigDict

from mclf_jax import config as config_lib
from mclf_jax import metrics
from mclf_jax.common.interrupt import Interrupted
from mclf_jax.data.views.apply import fields_of
from mclf_jax.data.views.hidden import ALL_LABELS
from mclf_jax.evaluation.evaluate import evaluate_once
from mclf_jax.probe.cells import Cell
from mclf_jax.probe.result import END_TO_END, Record
from mclf_jax.train import train

MIN_STEPS, MIN_EPOCHS, NUM_EVALUATIONS = 600, 15, 12


def default_config(config: ConfigDict, *, task: str, num_train: int) -> ConfigDict:
    """How a network is trained from scratch where nobody says it.

    Adam 1e-3 down to zero by a cosine, batch 16, no augmentation, 15 epochs as in the tutorial but
    600 steps at least, twelve evaluations of which the best on the valid split counts.

    Args:
        config: of the run, which decides data, features, network, windows and runtime.
        task: of the data.
        num_train: labelled songs in train, all of them: a fraction gets as many steps.
    """
    made = config_lib.base()
    for section in ("data", "features", "model", "parallel", "runtime"):
        made[section] = config[section].copy_and_resolve_references()
    made.data.update({"train_splits": ("train",), "view_span_s": None})
    made.data.update({"sampling": "", "balance": 1.0, "tag_rule": "mean"})
    made.optim.update({"name": "adam", "learning_rate": 1e-3, "schedule": "cosine"})
    made.train.batch_size = 16
    made.train.num_steps = max(MIN_STEPS, -(-MIN_EPOCHS * num_train // 16))
    made.eval.update({name: config.eval[name] for name in ("num_windows", "hop_s", "batch_size")})
    made.eval.every_steps = -(-made.train.num_steps // NUM_EVALUATIONS)
    made.eval.metric = metrics.HEADLINES[task][0]
    return made


def restrict(config: ConfigDict, cell: Cell, *, data: ConfigDict, num_folds: int) -> ConfigDict:
    """A config on the data of a probe, so that it sees the labels that a fit of the probe sees.

    Args:
        config: how to train.
        cell: of the fit; its seed is that of folds, of the fraction and of training.
        data: the section `data` that says which data set.
        num_folds: as in `data.views.apply`.
    """
    config = config.copy_and_resolve_references()
    config.seed = cell.seed
    with config.unlocked():
        config.data.args, config.data.target_args = data.args, data.target_args
    config.data.update({"name": data.name, "target": data.target, **fields_of(data), **ALL_LABELS})
    if num_folds:
        config.data.update({"num_folds": num_folds, "fold": cell.fold, "fold_seed": cell.seed})
    config.data.update({"fraction": cell.fraction, "fraction_seed": cell.seed})
    config.data.songs_per_label = cell.songs_per_label
    return config_lib.validate(config)


def fit_network(config: ConfigDict, cell: Cell, *, directory: Path) -> Record:
    """Train in a folder of its own, going on where that was stopped, and score the test split.

    The folder is named after the config, so that nothing is trained twice.

    Args:
        config: of `restrict`.
        cell: of the fit.
        directory: of the folder.

    Raises:
        Interrupted: training was stopped by a signal, and has saved its state.
        TrainingError: it broke down.
    """
    content = {k: v for k, v in config.to_dict().items() if k != "runtime"}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    data = config.data
    used = f"songs{cell.songs_per_label}" if cell.songs_per_label else f"fraction{data.fraction:g}"
    name = f"seed{config.seed}-fold{data.fold}-{used}-{digest[:8]}"
    outcome = train(config, workdir=directory / name)
    if outcome.status == "interrupted":
        raise Interrupted(f"{directory / name} is stopped at step {outcome.step}")
    report = evaluate_once(directory / name, split="test")
    return Record(
        encoder="scratch",
        kind=END_TO_END,
        fraction=cell.fraction,
        seed=cell.seed,
        fold=cell.fold,
        num_train=len(cell.split("train")[0]),
        num_test=len(report.items),
        values=dict(report.metrics),
        intervals={name: report.intervals[name] for name in metrics.HEADLINES[report.task]},
        setting={"step": report.meta["step"]},
        songs_per_label=cell.songs_per_label,
    )
