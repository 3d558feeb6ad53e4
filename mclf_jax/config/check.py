"""Whether the fields of a config make sense together, and if not, which to change."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from mclf_jax import objectives

_CHOICES = {
    "data.level": ("window", "song"),
    "data.short": ("tile", "pad"),
    "data.fraction_unit": ("item", "group"),
    "data.tag_rule": ("mean", "max"),
    "features.on": ("pipeline", "device"),
    "augment.on": ("pipeline", "device"),
    "init.other_features": ("refuse", "allow"),
    "optim.schedule": ("constant", "cosine", "linear"),
    "optim.decay_mask": ("kernels", "all"),
    "objective.pos_weight": ("none", "balanced"),
    "objective.distance": ("squared_error", "cosine"),
    "data.target": ("", "artist", "artist_group", "listening"),
    "parallel.params": ("replicated", "fsdp"),
    "runtime.progress": ("auto", "on", "off"),
}
_POSITIVE = (
    "data.song_s",
    "optim.learning_rate",
    "train.batch_size",
    "eval.batch_size",
    "eval.num_windows",
    "runtime.num_threads",
    "runtime.prefetch",
    "runtime.log_every_steps",
)


def check(config: ConfigDict, flat: Mapping[str, Any]) -> None:
    """Raises ValueError, naming the field, what it holds and what it may hold.

    Args:
        config: complete, as of `config.base`.
        flat: its fields, as of `config.flatten`.
    """
    for field, allowed in _CHOICES.items():
        if flat[field] not in allowed:
            raise ValueError(f"{field} is {flat[field]!r}; allowed: {', '.join(allowed)}")
    for field in _POSITIVE:
        if not flat[field] > 0:
            raise ValueError(f"{field} is {flat[field]}; it must be positive")
    if not 0 <= config.optim.ema_decay < 1:
        raise ValueError(f"optim.ema_decay is {config.optim.ema_decay}; it must be in [0, 1)")
    if config.eval.metric == "last" and config.eval.patience:
        raise ValueError(
            f"eval.patience is {config.eval.patience}, but eval.metric='last' compares nothing; "
            "set it to 0, or choose a metric"
        )
    if config.eval.hop_s is not None and not config.eval.hop_s > 0:
        raise ValueError(f"eval.hop_s is {config.eval.hop_s}; it must be positive, or None")
    if not 0 <= config.objective.label_smoothing < 1:
        raise ValueError(
            f"objective.label_smoothing is {config.objective.label_smoothing}; it must be in [0, 1)"
        )
    _check_augmentation(config)
    _check_training_data(config)
    _check_pairs(config)
    _check_phases(config.optim)
    _check_whole_batches(config)
    if config.data.name == "none":  # made from weights: there is nothing to train
        return
    for first, second in (
        ("train.num_steps", "train.num_epochs"),
        ("eval.every_steps", "eval.every_epochs"),
    ):
        given = [field for field in (first, second) if flat[field] is not None]
        if len(given) != 1:
            raise ValueError(
                f"one of {first} and {second} must be a number and the other None; "
                f"got {flat[first]} and {flat[second]}"
            )
        if flat[given[0]] <= 0:
            raise ValueError(f"{given[0]} is {flat[given[0]]}; it must be positive")


def _check_augmentation(config: ConfigDict) -> None:
    augment = config.augment
    if augment.waveform and augment.chain:
        raise ValueError("augment.waveform and augment.chain: one of them must be empty")
    wanted = augment.waveform or augment.chain
    if wanted and augment.on == "device" and config.features.on == "pipeline":
        raise ValueError(
            "features.on is 'pipeline'; as augment.on is 'device', it must be 'device' too"
        )
    name, traits = config.objective.name, objectives.traits(config.objective.name)
    if wanted and augment.on == "pipeline" and traits.takes_unlabelled:
        raise ValueError(
            f"augment.on is 'pipeline', but {name} needs clean audio beside what is augmented; "
            "set augment.on and features.on to 'device'"
        )
    if (augment.mixup_alpha or augment.cutmix_alpha) and not traits.takes_mixtures:
        raise ValueError(
            "augment.mixup_alpha and augment.cutmix_alpha are for objective.name 'supervised'; "
            f"set them to 0 for {name!r}"
        )


def _check_training_data(config: ConfigDict) -> None:
    allowed = ("train", "unlabelled")
    wanted = tuple(config.data.train_splits)
    if not wanted or set(wanted) - set(allowed) or len(set(wanted)) < len(wanted):
        raise ValueError(
            f"data.train_splits is {wanted}; allowed: ('train',), ('unlabelled',) or both"
        )
    if "unlabelled" in wanted and objectives.traits(config.objective.name).needs_labels:
        raise ValueError(
            f"data.train_splits is {wanted}, but objective.name is {config.objective.name!r}, "
            "which needs labels there; make it ('train',)"
        )
    settings = config.unlabelled
    if not isinstance(settings.ratio, int) or settings.ratio < 1:
        raise ValueError(f"unlabelled.ratio is {settings.ratio}; it must be 1 or more")
    wanted = tuple(settings.splits)
    if not wanted or (not settings.name and set(wanted) - set(allowed)):
        raise ValueError(
            f"unlabelled.splits is {wanted}; allowed: ('unlabelled',), ('train',) or both"
        )
    span_s = config.data.view_span_s
    if span_s is not None and span_s <= 0:
        raise ValueError(f"data.view_span_s is {span_s}; it must be positive, or None")


def _check_pairs(config: ConfigDict) -> None:
    for field, pairs, first, second, example in (
        ("init.unfreeze", config.init.unfreeze, int | float, str, "(from_epoch, 'layer5')"),
        ("init.rename", config.init.rename, str, str, "('encoder.*', '*')"),
        ("optim.rates", config.optim.rates, str, int | float, "('layer1', 0.1)"),
        ("optim.head_rates", config.optim.head_rates, str, int | float, "('predictor', 10.0)"),
    ):
        for number, pair in enumerate(pairs):
            match pair:
                case [one, two] if isinstance(one, first) and isinstance(two, second):
                    continue
            raise ValueError(f"{field}[{number}] is {pair!r}; it must be such as {example}")
    for number, (from_epoch, _) in enumerate(config.init.unfreeze):
        if from_epoch <= 0:
            raise ValueError(f"init.unfreeze[{number}] is at epoch {from_epoch}; it must be later")


def _check_whole_batches(config: ConfigDict) -> None:
    """As the loss does with a batch at hand, but before anything is written."""
    batch_size = config.train.batch_size
    for field, default in objectives.traits(config.objective.name).whole_batches.items():
        if (size := config.objective.args.get(field, default)) % batch_size:
            raise ValueError(
                f"objective.args.{field} is {size}; it must be a multiple of train.batch_size, "
                f"which is {batch_size}"
            )


def _check_phases(optim: ConfigDict) -> None:
    last = 0
    for number, phase in enumerate(optim.phases):
        field = f"optim.phases[{number}]"
        match phase:
            case [int() | float() as from_epoch, str(), int() | float() as learning_rate]:
                pass
            case _:
                raise ValueError(
                    f"{field} is {phase!r}; it must be (from_epoch, name, learning_rate), "
                    "such as (80, 'sgd', 1e-3)"
                )
        if from_epoch <= last:
            raise ValueError(f"{field} starts at epoch {from_epoch}; it must start after {last}")
        if learning_rate <= 0:
            raise ValueError(f"{field} has learning rate {learning_rate}; it must be positive")
        last = from_epoch
    needed = {"schedule": "constant", "warmup_steps": 0, "ema_decay": 0}
    others = [f"optim.{name} is {optim[name]!r}" for name in needed if optim[name] != needed[name]]
    if optim.phases and others:
        raise ValueError(
            "optim.phases needs optim.schedule 'constant', optim.warmup_steps 0 and "
            f"optim.ema_decay 0; but {', '.join(others)}"
        )
