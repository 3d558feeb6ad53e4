"""An experiment's settings: the fields with their defaults, overrides, and checks in words."""

import ast
import copy
import difflib
import importlib.util
import inspect
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from mclf_jax.config.check import check


def base() -> ConfigDict:
    """Every field there is, with defaults; an experiment changes what it is about.

    A field that holds None takes the model's published value (features, model.window_s) or
    leaves the choice to its neighbour (num_steps or num_epochs). Only fields of `runtime`
    may differ when a run is continued: they never change results.
    """
    config = ConfigDict()
    config.seed = 0

    config.data = ConfigDict()
    config.data.name = "synthetic"
    config.data.args = ConfigDict()  # keyword arguments of the data set, see `data.SOURCES`
    config.data.level = "window"  # "song": train on whole clips of data.song_s
    config.data.song_s = 30.0
    config.data.short = "tile"  # a clip shorter than its window is tiled, or "pad": with zeros
    config.data.taxonomy = ""  # JSON file that merges, renames, drops labels, see `data.taxonomy`
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
    config.data.target = ""  # "artist", "artist_group", "listening" in place of labels
    config.data.target_args = ConfigDict()  # see `data.pretext`

    config.unlabelled = ConfigDict()  # of semi-supervised objectives
    config.unlabelled.name = ""  # a data set of its own; "": the one of `data`
    config.unlabelled.args = ConfigDict()  # keyword arguments of it
    config.unlabelled.splits = ("unlabelled",)  # and "train": labelled songs without their labels
    config.unlabelled.ratio = 1  # unlabelled rows of a batch for each labelled one

    config.features = ConfigDict()
    config.features.on = "pipeline"  # or "device": inside the jitted step
    config.features.kind = placeholder(str)  # "mfcc", "cqt", ..., see `features.KINDS`
    config.features.sample_rate_hz = placeholder(int)
    config.features.n_fft = placeholder(int)
    config.features.hop_length = placeholder(int)
    config.features.win_length = placeholder(int)
    config.features.window = placeholder(str)
    config.features.framing = placeholder(str)
    config.features.pad_mode = placeholder(str)
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
    config.init.path = ""  # run or file of weights to start from, see `transfer`
    config.init.freeze = ()  # patterns of names, such as ("*", "!{head}"), see `parameter_names`
    config.init.unfreeze = ()  # then (from_epoch, pattern), ...
    config.init.rename = ()  # (there, here), ...; here "" leaves it out
    config.init.other_features = "refuse"  # or "allow" weights trained on other features

    config.objective = ConfigDict()
    config.objective.name = "supervised"
    config.objective.label_smoothing = 0.0  # one label of many
    config.objective.pos_weight = "none"  # tags; "balanced": negatives / positives of each
    config.objective.distance = "squared_error"  # of numbers; or "cosine" between vectors
    config.objective.num_sampled = 0  # one label of very many: labels drawn a step; 0: all
    config.objective.args = ConfigDict()  # of the others, such as temperature for "simclr"

    config.optim = ConfigDict()
    config.optim.name = "adam"  # see `optim.OPTIMIZERS`
    config.optim.learning_rate = 1e-3
    config.optim.schedule = "constant"  # or "cosine", "linear", both down to zero
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
    config.train.num_steps = placeholder(int)
    config.train.num_epochs = placeholder(float)

    config.eval = ConfigDict()
    config.eval.every_steps = placeholder(int)  # and save a checkpoint
    config.eval.every_epochs = placeholder(float)
    config.eval.metric = "loss"  # decides which checkpoint is the best; "last": none does
    config.eval.patience = 0  # stop after so many evaluations without a better one; 0: never
    config.eval.batch_size = 32
    config.eval.num_windows = 16  # evenly spaced in a song
    config.eval.hop_s = placeholder(float)  # or a window every so many seconds

    config.parallel = ConfigDict()
    config.parallel.params = "replicated"  # or "fsdp": large arrays split over the devices

    config.runtime = ConfigDict()
    config.runtime.num_devices = 0  # 0: all
    config.runtime.num_workers = 0  # processes that decode and transform; 0: threads only
    config.runtime.num_threads = 2
    config.runtime.prefetch = 8  # examples a thread pool may be ahead
    config.runtime.log_every_steps = 20
    config.runtime.progress = "auto"  # a bar on terminals; "on", "off"
    return config


def validate(config: ConfigDict) -> ConfigDict:
    """The same config, if its fields make sense together.

    Raises:
        ValueError: naming the field, what it holds and what it may hold.
    """
    check(config, flatten(config))
    return config


def load(path: str, *, overrides: Sequence[str] = ()) -> ConfigDict:
    """The config of a file, with overrides, locked and checked.

    Args:
        path: "configs/x.py" or "configs/x.py:key=value,flag", where what follows the colon
            is the argument of the file's `get_config`.
        overrides: "--config.optim.learning_rate=1e-3" and the like.

    Raises:
        ValueError: the file is not there, a field is unknown or of another type.
    """
    file, _, arg = path.partition(":")
    module = load_module(file)
    if not hasattr(module, "get_config"):
        raise ValueError(f"--config {file}: it defines no get_config(arg)")
    return validate(apply_overrides(module.get_config(arg or None), overrides, origin=file))


def apply_overrides(config: ConfigDict, overrides: Sequence[str], *, origin: str) -> ConfigDict:
    """The config with "--config.optim.learning_rate=1e-3" and the like, locked, not checked yet.

    Args:
        config: whose fields and types decide what is taken.
        overrides: as typed on the command line.
        origin: of the config, for messages.

    Raises:
        ValueError: a field is unknown or of another type.
    """
    # Slow to import, and only the command line needs it.
    from absl import flags
    from ml_collections import config_flags

    pairs = [text.removeprefix("--config.").partition("=") for text in overrides]
    config = _with_arguments(config, {field: value for field, _, value in pairs})
    known, argv = flatten(config), ["mclf"]
    for text, (field, _, value) in zip(overrides, pairs, strict=True):
        if field not in known:
            close = difflib.get_close_matches(field, known)
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            raise ValueError(f"{text}: {origin} has no field {field!r}{hint}")
        if value == "None":  # which config_flags cannot read
            config.update_from_flattened_dict({field: None})
        elif ".args." in field and known[field] is None:
            config.update_from_flattened_dict({field: _literal(value)})
        else:
            argv.append(text)
    values = flags.FlagValues()
    try:
        config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=argv)
        values(argv)
    except (flags.Error, TypeError, ValueError) as error:
        raise ValueError(f"--config of {origin}: {error}") from error
    return values.config


def _with_arguments(config: ConfigDict, changes: Mapping[str, Any]) -> ConfigDict:
    """A copy with every "model.args.X", "objective.args.X" and "unlabelled.args.X" of `changes`.

    They are looked up for the network and the objective that `changes` name. One of another name
    than before starts without arguments, as those that were set are not its own. Which ones the
    data set of unlabelled songs takes is known when it is opened.
    """
    config = copy.deepcopy(config)  # which leaves fields that hold None their types
    for field in changes.keys() - flatten(config).keys():
        if field.startswith("unlabelled.args."):
            with config.unlocked():
                config.unlabelled.args[field.split(".", 2)[2]] = None
    for section in ("model", "objective"):
        name = changes.get(f"{section}.name", config[section].name)
        with config.unlocked():
            if name != config[section].name:
                config[section].name, config[section].args = name, ConfigDict()
            wanted = [field for field in changes if field.startswith(f"{section}.args.")]
            for field in set(wanted) - set(flatten(config)):
                from mclf_jax import models, objectives  # import jax

                module = {"model": models, "objective": objectives}[section]
                known, argument = module.arguments_of(name), field.split(".", 2)[2]
                if argument in known:
                    needed = known[argument] is inspect.Parameter.empty
                    config[section].args[argument] = None if needed else known[argument]
    return config


def _literal(text: str) -> Any:
    """Of an argument whose default does not say what it may be: a Python literal, or a word."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def load_module(file: str) -> ModuleType:
    """The Python module of a config file.

    Raises:
        ValueError: there is no such file.
    """
    if not Path(file).is_file():
        raise ValueError(f"--config {file}: no such file")
    spec = importlib.util.spec_from_file_location("mclf_config", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def parse_arg(arg: str | None, **defaults: Any) -> ConfigDict:
    """What follows the colon in "configs/x.py:task=tags,small" as typed values.

    Args:
        arg: "key=value,key=value"; a key alone means true, and "\\," is a comma within a value.
        **defaults: the keys that the config knows; their types decide how values are read. A
            tuple of words is a choice, the first of which is the default.

    Raises:
        ValueError: an unknown key, or a value of another type or none of the choice.
    """
    choices = {key: value for key, value in defaults.items() if isinstance(value, tuple)}
    defaults |= {key: words[0] for key, words in choices.items()}
    values = ConfigDict(defaults)
    for part in re.split(r"(?<!\\),", arg) if arg else ():
        key, _, text = part.replace("\\,", ",").partition("=")
        if key not in defaults:
            raise ValueError(
                f"config argument {key!r}; allowed: {', '.join(defaults)}. "
                "A comma within a value, such as a path, is written \\,"
            )
        kind = type(defaults[key])
        try:
            values[key] = (text or "true").lower() == "true" if kind is bool else kind(text)
        except ValueError as error:
            raise ValueError(f"config argument {key}={text!r} is no {kind.__name__}") from error
        if values[key] not in choices.get(key, (values[key],)):
            allowed = ", ".join(choices[key])
            raise ValueError(f"config argument {key}={text!r}; allowed: {allowed}")
    return values


def format_arg(**values: Any) -> str:
    """What `parse_arg` reads these values from, for a config that builds on another one."""
    return ",".join(f"{key}={value}".replace(",", "\\,") for key, value in values.items())


def flatten(config: Mapping[str, Any] | ConfigDict, prefix: str = "") -> dict[str, Any]:
    """Nested fields as {"optim.learning_rate": 1e-3, ...}."""
    flat = {}
    for key, value in config.items():
        if isinstance(value, Mapping | ConfigDict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def override(config: ConfigDict, changes: Mapping[str, Any]) -> ConfigDict:
    """A copy with {"model.args.n_channels": 8, ...} set, in any order; checked.

    Raises:
        ValueError: a field is unknown or of another type, or they do not make sense together.
    """
    changed = _with_arguments(config, changes).copy_and_resolve_references()
    flat = flatten(changed)
    for field, value in changes.items():
        if field not in flat:
            raise ValueError(f"override of an unknown field {field!r}; known: {', '.join(flat)}")
        try:
            changed.update_from_flattened_dict({field: value})
        except TypeError as error:
            raise ValueError(f"override of {field}: {error}") from error
    return validate(changed)


def to_json(config: ConfigDict) -> str:
    """The resolved config, for run directories and for reading."""
    return json.dumps(config.to_dict(), indent=2, sort_keys=True) + "\n"


def from_json(text: str) -> ConfigDict:
    """The config that `to_json` wrote.

    A field that the text lacks came after it, and its default is what the run was made with.
    """
    config = base()  # whose placeholders know the types of fields that are None
    with config.unlocked():
        config.update(json.loads(text))
    return config


def to_steps(config: ConfigDict, name: str, *, batch_size: int, num_examples: int) -> float:
    """A duration given as `{name}_steps` or as `{name}_epochs`, in steps; not rounded."""
    steps, epochs = config[f"{name}_steps"], config[f"{name}_epochs"]
    return steps if steps is not None else epochs * num_examples / batch_size


def evaluation_steps(config: ConfigDict, *, num_examples: int) -> list[int]:
    """The steps after which a run is evaluated and saved, rising; the last one ends the run."""
    sizes = {"batch_size": config.train.batch_size, "num_examples": num_examples}
    total = max(1, round(to_steps(config.train, "num", **sizes)))
    every = max(1.0, to_steps(config.eval, "every", **sizes))
    steps = {round(every * count) for count in range(1, int(total / every) + 1)}
    steps |= set(phase_steps(config, num_examples=num_examples))
    return sorted({step for step in steps if step < total} | {total})


def phase_steps(config: ConfigDict, *, num_examples: int) -> list[int]:
    """The steps after which the phases of `optim.phases` start; at least 1."""
    steps_per_epoch = num_examples / config.train.batch_size
    return [max(1, round(steps_per_epoch * phase[0])) for phase in config.optim.phases]


def unfreeze_steps(config: ConfigDict, *, num_examples: int) -> list[tuple[int, str]]:
    """`init.unfreeze` in steps: (steps taken before it, pattern), ..."""
    steps_per_epoch = num_examples / config.train.batch_size
    return [
        (max(1, round(steps_per_epoch * epoch)), pattern) for epoch, pattern in config.init.unfreeze
    ]


def differences(old: ConfigDict, new: ConfigDict) -> dict[str, dict[str, Any]]:
    """Fields that decide results and differ, as {field: {"old": ..., "new": ...}}.

    Where the data are (`data.args.path`, `unlabelled.args.path`) is not one: whether they are the
    same, their fingerprints say.
    """
    flat_old, flat_new = (json.loads(json.dumps(flatten(c))) for c in (old, new))
    return {
        field: {"old": flat_old.get(field, "absent"), "new": flat_new.get(field, "absent")}
        for field in sorted(flat_old.keys() | flat_new.keys())
        if not field.startswith("runtime.")
        and field not in ("data.args.path", "unlabelled.args.path")
        and flat_old.get(field, "absent") != flat_new.get(field, "absent")
    }
