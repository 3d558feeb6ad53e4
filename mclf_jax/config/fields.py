"""The fields of an experiment, their defaults, and what each of them may hold."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from mclf_jax.common import checks, plugins


def base() -> ConfigDict:
    """Every field there is, with defaults; an experiment changes what it is about.

    A field that holds None takes the model's published value (features, model.window_s) or
    leaves the choice to its neighbour (num_steps or num_epochs). Only fields of `runtime`
    and `parallel` may differ when a run is continued: they never change results, but for rounding.
    """
    config = ConfigDict()
    config.seed = 0

    config.data = ConfigDict()
    config.data.name = "synthetic"
    config.data.args = ConfigDict()  # keyword arguments of the data set, see `data.SOURCES`
    config.data.level = "window"  # "song": train on whole clips of data.song_s
    config.data.song_s = 30.0
    config.data.short = "tile"  # a clip shorter than its window is tiled, or "pad": with zeros
    config.data.taxonomy = (
        ""  # "lastfm", or a JSON file that merges, renames, drops labels: `data.views.taxonomy`
    )
    config.data.split_rule = "hash"  # of splits that are made; "dealt": labels in proportion
    config.data.split_fractions = (0.7, 0.15, 0.15)  # of train, valid and test, if they are made
    config.data.num_folds = 0  # then the splits are made anew: fold `fold` is the test split
    config.data.fold = 0
    config.data.fold_seed = 0
    config.data.fraction = 1.0  # of the training labels; the other songs become unlabelled
    config.data.fraction_seed = 0
    config.data.fraction_unit = "item"  # or "group": whole artists
    config.data.songs_per_label = 0  # in place of a fraction: of each label so many songs
    config.data.sampling = ""  # or by "label", "group" or a column: rare values more often
    config.data.balance = 1.0  # 0: as often as they are, 1: all values equally often
    config.data.tag_rule = "mean"  # of the rarities of a song's tags, or "max"
    config.data.train_splits = ("train",)  # self-supervised: "unlabelled" too
    config.data.view_span_s = placeholder(float)  # windows of one song are so near; None: anywhere
    config.data.target = ""  # in place of labels, such as "artist": `data.views.pretext.TARGETS`
    config.data.target_args = ConfigDict()  # see `data.views.pretext`

    config.unlabelled = ConfigDict()  # of semi-supervised objectives
    config.unlabelled.name = ""  # a data set of its own; "": the one of `data`
    config.unlabelled.args = ConfigDict()  # keyword arguments of it
    config.unlabelled.splits = ("unlabelled",)  # and "train": labelled songs without their labels
    config.unlabelled.ratio = 1  # unlabelled rows of a batch for each labelled one

    config.features = ConfigDict()
    config.features.on = "pipeline"  # or "device": inside the jitted step
    config.features.kind = placeholder(str)  # "mfcc", "cqt", ..., see `features.KINDS`
    config.features.args = ConfigDict()  # fields of a kind from outside that are not below
    config.features.sample_rate_hz = placeholder(int)
    config.features.n_fft = placeholder(int)
    config.features.hop_length = placeholder(int)
    config.features.win_length = placeholder(int)
    config.features.window = placeholder(str)
    config.features.framing = placeholder(str)
    config.features.pad_mode = placeholder(str)
    config.features.preemphasis = placeholder(float)
    config.features.power = placeholder(float)
    config.features.n_mels = placeholder(int)
    config.features.f_min_hz = placeholder(float)
    config.features.f_max_hz = placeholder(float)
    config.features.mel_scale = placeholder(str)
    config.features.mel_norm = placeholder(str)
    config.features.compression = placeholder(str)
    config.features.amin = placeholder(float)
    config.features.db_ref = placeholder(str)
    config.features.top_db = placeholder(float)
    config.features.normalization = placeholder(str)
    config.features.mean = placeholder(float)
    config.features.std = placeholder(float)
    config.features.n_mfcc = placeholder(int)
    config.features.lifter = placeholder(float)
    config.features.num_bins = placeholder(int)  # of the CQT, as the three below
    config.features.bins_per_octave = placeholder(int)
    config.features.filter_scale = placeholder(float)
    config.features.norm = placeholder(str)

    config.augment = ConfigDict()  # in training, in this order; see `augment.build`
    config.augment.waveform = ""  # a chain of `augment.PRESETS`, such as "clmr"
    config.augment.chain = ()  # or one's own: ("noise", 0.5, {"min_snr_db": 3.0, ...}), ...
    config.augment.on = "pipeline"  # for waveforms; or "device", where features.on must be
    config.augment.gain_db = 0.0  # of spectrograms, as all below it; 0: off
    config.augment.eq_std_db = 0.0
    config.augment.frame_shift_fraction = 0.0
    config.augment.num_time_masks = 0
    config.augment.time_mask_fraction = 0.1
    config.augment.num_freq_masks = 0
    config.augment.freq_mask_bands = 8
    config.augment.mixup_alpha = 0.0  # across the batch, of the network's inputs; 0: off
    config.augment.cutmix_alpha = 0.0  # with both, each example draws one of them

    config.model = ConfigDict()
    config.model.name = "short_chunk_cnn"
    config.model.args = ConfigDict()  # attributes of the module, such as n_channels
    config.model.window_s = placeholder(float)
    config.model.dtype = "float32"  # or "bfloat16" for the blocks; parameters stay float32
    config.model.remat = "none"  # "blocks": less memory for more time, see `models.build`

    config.init = ConfigDict()
    config.init.path = ""  # run, exported file or weights to start from, see `transfer`
    config.init.freeze = ()  # patterns of names, such as ("*", "!{head}"), see `models.names`
    config.init.unfreeze = ()  # then (from_epoch, pattern), ...
    config.init.rename = ()  # (there, here), ...; here "" leaves it out
    config.init.other_features = "refuse"  # or "allow" weights trained on other features

    config.objective = ConfigDict()
    config.objective.name = "supervised"
    config.objective.label_smoothing = 0.0  # single-label
    config.objective.pos_weight = "none"  # multi-label; "balanced": negatives / positives of each
    config.objective.distance = "squared_error"  # of numbers; or "cosine" between vectors
    config.objective.num_sampled = 0  # single-label with very many: labels drawn a step; 0: all
    config.objective.args = ConfigDict()  # of the others, such as temperature for "simclr"

    config.optim = ConfigDict()
    config.optim.name = "adam"  # see `optim.OPTIMIZERS`; or "optax:adafactor" and the like
    config.optim.args = ConfigDict()  # such as b2 of "adam"
    config.optim.learning_rate = 1e-3
    config.optim.batch_rule = "none"  # or "linear", "sqrt": that is for `base_batch_size` songs
    config.optim.base_batch_size = 256
    config.optim.schedule = "constant"  # or "cosine", "linear", both down to zero; or "optax:..."
    config.optim.schedule_args = ConfigDict()  # see `optim.schedule`
    config.optim.warmup_steps = 0
    config.optim.phases = ()  # then (from_epoch, name, learning_rate), ..., see `optim.build`
    config.optim.layer_decay = 1.0  # of the learning rate from a layer to the one before it
    config.optim.rates = ()  # (pattern of names, factor of the learning rate), ...
    config.optim.head_rates = ()  # the same of an objective's own parts, as ("predictor", 10.0)
    config.optim.weight_decay = 0.0
    config.optim.decay_mask = "kernels"  # or "all": biases and normalisation too
    config.optim.grad_clip_norm = 0.0  # 0: no clipping
    config.optim.ema_decay = 0.0  # 0: evaluate the weights themselves, not their average

    config.train = ConfigDict()
    config.train.batch_size = 16  # over all devices
    config.train.accumulate = 1  # parts of a batch, one after another, whose gradients add up
    config.train.num_steps = placeholder(int)
    config.train.num_epochs = placeholder(float)

    config.eval = ConfigDict()
    config.eval.every_steps = placeholder(int)  # and save a checkpoint
    config.eval.every_epochs = placeholder(float)
    config.eval.metric = "loss"  # decides which checkpoint is the best; "last": none does
    config.eval.metrics = ()  # beside those of the task: ("lwlrap", "file.py:metric")
    config.eval.patience = 0  # stop after so many evaluations without a better one; 0: never
    config.eval.batch_size = 32
    config.eval.num_windows = 16  # evenly spaced in a song
    config.eval.hop_s = placeholder(float)  # or a window every so many seconds
    config.eval.aggregation = "mean"  # of its windows: max, median, vote, noisy_or
    config.eval.baseline = "none"  # "mfcc": an SVM on MFCCs of the same songs beside the network

    config.parallel = ConfigDict()
    config.parallel.params = "replicated"  # or "fsdp": large arrays split over the devices

    config.runtime = ConfigDict()
    config.runtime.num_devices = 0  # 0: all
    config.runtime.num_groups = 0  # of near devices for "fsdp"; 0: a host with GPUs, a TPU slice
    config.runtime.num_workers = 0  # processes that decode and transform; 0: threads only
    config.runtime.num_threads = 2
    config.runtime.prefetch = 8  # examples a thread pool may be ahead
    config.runtime.log_every_steps = 20
    config.runtime.writers = ("tensorboard",)  # and "csv", "wandb", "mlflow", see `run.writers`
    config.runtime.keep_last = 2  # states to go on from
    config.runtime.keep_every_steps = placeholder(int)  # and for good one each so many steps
    config.runtime.keep_best = 1  # weights of so many of the best evaluations
    config.runtime.progress = "auto"  # a bar on terminals; "on", "off"
    return config


_fraction = partial(checks.within, low=0, high=1, ends="[)")
_whole = partial(checks.whole, lowest=1)
_whole_or_0 = partial(checks.whole, lowest=0)
_seed = partial(checks.whole, lowest=0, highest=2**63 - 1)
_share = partial(checks.within, low=0, high=1)
_at_least_0 = partial(checks.within, low=0, high=math.inf, ends="[)")


def _one_of(*allowed: str) -> Callable[[str, Any], None]:
    return partial(checks.choice, allowed=allowed)


def _positive(field: str, value: Any) -> None:
    """Of a field whose default is a number, so that None is none of its values."""
    if value is None:
        raise ValueError(f"{field} is None; it must be positive")
    checks.positive(field, value)


def _schedule(field: str, value: Any) -> None:
    if ":" not in value and value not in plugins.declared("schedules"):
        checks.choice(field, value, ("constant", "cosine", "linear", "package.module:name"))


def _folds(field: str, value: Any) -> None:
    checks.whole(field, value, lowest=0)
    if value in (1, 2):
        raise ValueError(
            f"{field} is {value}; it must be at least 3, for train, valid and test, or 0"
        )


# What a field holds, beside the type of its default: field -> check (field, value). Fields whose
# default is None may hold None. What names of networks, data sets and the like there are, those who
# look them up say; what fields mean for each other, `check` does.
CHECKS = {
    "seed": _seed,
    "data.level": _one_of("window", "song"),
    "data.song_s": _positive,
    "data.split_rule": _one_of("hash", "dealt"),
    "data.short": _one_of("tile", "pad"),
    "data.num_folds": _folds,
    "data.fold": _whole_or_0,
    "data.fold_seed": _seed,
    "data.fraction": partial(checks.within, low=0, high=1, ends="(]"),
    "data.fraction_seed": _seed,
    "data.songs_per_label": _whole_or_0,
    "data.balance": _share,
    "data.fraction_unit": _one_of("item", "group"),
    "data.tag_rule": _one_of("mean", "max"),
    "data.view_span_s": checks.positive,
    "data.target": _one_of("", "artist", "artist_group", "embedding", "listening", "column"),
    "unlabelled.ratio": _whole,
    "features.on": _one_of("pipeline", "device"),
    "augment.on": _one_of("pipeline", "device"),
    "augment.gain_db": _at_least_0,
    "augment.eq_std_db": _at_least_0,
    "augment.frame_shift_fraction": _share,
    "augment.num_time_masks": _whole_or_0,
    "augment.time_mask_fraction": _share,
    "augment.num_freq_masks": _whole_or_0,
    "augment.freq_mask_bands": _whole_or_0,
    "augment.mixup_alpha": _at_least_0,
    "augment.cutmix_alpha": _at_least_0,
    "model.window_s": checks.window_s,
    "init.other_features": _one_of("refuse", "allow"),
    "objective.label_smoothing": _fraction,
    "objective.pos_weight": _one_of("none", "balanced"),
    "objective.distance": _one_of("squared_error", "cosine"),
    "objective.num_sampled": _whole_or_0,
    "optim.learning_rate": _positive,
    "optim.batch_rule": _one_of("none", "linear", "sqrt"),
    "optim.base_batch_size": _whole,
    "optim.warmup_steps": _whole_or_0,
    "optim.layer_decay": _positive,
    "optim.weight_decay": _at_least_0,
    "optim.grad_clip_norm": _at_least_0,
    "optim.schedule": _schedule,
    "optim.decay_mask": _one_of("kernels", "all"),
    "optim.ema_decay": _fraction,
    "train.batch_size": _whole,
    "train.accumulate": _whole,
    "train.num_steps": checks.positive,
    "train.num_epochs": checks.positive,
    "eval.every_steps": checks.positive,
    "eval.every_epochs": checks.positive,
    "eval.patience": _whole_or_0,
    "eval.batch_size": _whole,
    "eval.num_windows": _whole,
    "eval.hop_s": checks.positive,
    "eval.aggregation": _one_of("mean", "max", "median", "vote", "noisy_or"),
    "eval.baseline": _one_of("none", "mfcc"),
    "parallel.params": _one_of("replicated", "fsdp"),
    "runtime.num_devices": _whole_or_0,
    "runtime.num_groups": _whole_or_0,
    "runtime.num_workers": _whole_or_0,
    "runtime.num_threads": _whole,
    "runtime.prefetch": _whole,
    "runtime.log_every_steps": _whole,
    "runtime.keep_last": partial(checks.whole, lowest=2),
    "runtime.keep_every_steps": checks.positive,
    "runtime.keep_best": _whole,
    "runtime.progress": _one_of("auto", "on", "off"),
}


def flatten(config: Mapping[str, Any] | ConfigDict, prefix: str = "") -> dict[str, Any]:
    """Nested fields as {"optim.learning_rate": 1e-3, ...}."""
    flat = {}
    for key, value in config.items():
        if isinstance(value, Mapping | ConfigDict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
