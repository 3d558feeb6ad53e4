"""Whether the fields of a config make sense together, and if not, which to change."""

from ml_collections import ConfigDict

from mclf_jax import objectives
from mclf_jax.common import checks
from mclf_jax.config.fields import CHECKS, flatten


def validate(config: ConfigDict) -> ConfigDict:
    """The same config, if its fields make sense, each and together.

    Raises:
        ValueError: naming the field, what it holds and what it may hold.
    """
    flat = flatten(config)
    for field, check in CHECKS.items():
        check(field, flat[field])
    if config.eval.metric == "last" and config.eval.patience:
        raise ValueError(
            f"eval.patience is {config.eval.patience}, but eval.metric='last' compares nothing; "
            "set it to 0, or choose a metric"
        )
    _check_augmentation(config)
    _check_training_data(config)
    _check_pairs(config)
    _check_phases(config.optim)
    _check_whole_batches(config)
    _check_parts(config)
    if config.data.name != "none":  # made from weights: there is nothing to train
        for first, second in (
            ("train.num_steps", "train.num_epochs"),
            ("eval.every_steps", "eval.every_epochs"),
        ):
            if (flat[first] is None) == (flat[second] is None):
                raise ValueError(
                    f"one of {first} and {second} must be a number and the other None; "
                    f"got {flat[first]} and {flat[second]}"
                )
    return config


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
    wanted = tuple(settings.splits)
    if not wanted or (not settings.name and set(wanted) - set(allowed)):
        raise ValueError(
            f"unlabelled.splits is {wanted}; allowed: ('unlabelled',), ('train',) or both"
        )


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


def _check_parts(config: ConfigDict) -> None:
    parts, batch_size = config.train.accumulate, config.train.batch_size
    if batch_size % parts:
        raise ValueError(
            f"train.batch_size is {batch_size}; it must be a multiple of train.accumulate, which "
            f"is {parts}"
        )
    if parts == 1:
        return
    name = config.objective.name
    if not objectives.traits(name).by_song:
        allowed = [one for one, traits in objectives.OBJECTIVES.items() if traits.by_song]
        chunks = ", or give it objective.args.num_chunks" * (
            "num_chunks" in objectives.arguments_of(name)
        )
        raise ValueError(
            f"train.accumulate is {parts}, but {name} compares songs of a batch or counts batches, "
            f"which parts would change; it is for {', '.join(allowed)}; make it 1{chunks}"
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
        checks.positive(f"the learning rate of {field}", learning_rate)
        last = from_epoch
    needed = {"schedule": "constant", "warmup_steps": 0, "ema_decay": 0}
    others = [f"optim.{name} is {optim[name]!r}" for name in needed if optim[name] != needed[name]]
    if optim.phases and others:
        raise ValueError(
            "optim.phases needs optim.schedule 'constant', optim.warmup_steps 0 and "
            f"optim.ema_decay 0; but {', '.join(others)}"
        )
