"""Configs from files, the command line, JSON and Python, and the arguments of config files."""

import ast
import copy
import difflib
import inspect
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from mclf_jax.common import plugins
from mclf_jax.common.text import documents
from mclf_jax.config.check import validate
from mclf_jax.config.fields import CHECKS, base, flatten
from mclf_jax.config.library import Asked, load_module

# Arguments of which nobody knows before the thing is made which there are.
_LOOKED_UP_LATER = ("unlabelled.args", "features.args", "optim.args", "optim.schedule_args")
_OF_TARGET = "data.target_args"  # the same, where `data.target` is set


def load(path: str, *, overrides: Sequence[str] = ()) -> ConfigDict:
    """The config of a file, with overrides, locked and checked.

    Args:
        path: "x.py" or "x.py:key=value,flag", where what follows the colon is the argument of the
            file's `get_config`. One that ships goes by its name, "folder:path=songs".
        overrides: "--config.optim.learning_rate=1e-3" and the like.

    Raises:
        ValueError: the file is not there, a field is unknown or of another type.
    """
    file, _, arg = path.partition(":")
    module = load_module(file)
    if not hasattr(module, "get_config"):
        raise ValueError(f"--config {file}: it defines no get_config(arg)")
    config = apply_overrides(module.get_config(arg or None), overrides, origin=file)
    return validate(_with_whole_paths(config))


def named(name: str, *, overrides: Mapping[str, Any] | None = None, **arguments: Any) -> ConfigDict:
    """The config of a name or file, locked and checked, as `mclf.config("folder", path="songs")`.

    A field that there is not is refused when it is set.

    Args:
        name: see `library.names`, or a file.
        overrides: fields to change, {"model.args.n_channels": 8}; `override` does it later, too.
        **arguments: of the config, which `mclf configs NAME` lists.

    Raises:
        ValueError: there is no such config, field or argument, or one is of another type.
    """
    config = load(f"{name}:{format_arg(**arguments)}" if arguments else name)
    return override(config, overrides).lock() if overrides else config


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
            raise ValueError(f"{text}: {origin} has no field {field!r}{_hint(field, config)}")
        if value == "None":  # which config_flags cannot read
            config.update_from_flattened_dict({field: None})
        elif "args." in field and known[field] is None:
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
    """A copy with every "SECTION.args.X" of `changes`.

    Those of networks, objectives and data sets are looked up for what `changes` name. A network or
    an objective of another name than before starts without arguments, as those that were set are
    not its own; so do optimisers and schedules. Which arguments the others take is known when they
    are made.
    """
    config = copy.deepcopy(config)  # which leaves fields that hold None their types
    for field, arguments in (("optim.name", "args"), ("optim.schedule", "schedule_args")):
        if changes.get(field, old := flatten(config)[field]) != old:
            with config.unlocked():
                config.optim[arguments] = ConfigDict()
    target = changes.get("data.target", config.data.target)
    later = (*_LOOKED_UP_LATER, _OF_TARGET) if target else _LOOKED_UP_LATER
    for field in changes.keys() - flatten(config).keys():
        for known in later:
            if field.startswith(f"{known}."):
                section, arguments, argument = field.split(".", 2)
                with config.unlocked():
                    config[section][arguments][argument] = None
    for section in ("model", "objective"):
        name = changes.get(f"{section}.name", config[section].name)
        with config.unlocked():
            if name != config[section].name:
                config[section].name, config[section].args = name, ConfigDict()
            for inside in [name for name in config[section].args if name.endswith("_args")]:
                # Another front end than before starts without arguments, too.
                part = inside.removesuffix("_args")
                old = config[section].args.get(part, _taken(section, name).get(part))
                if changes.get(f"{section}.args.{part}", old) != old:
                    del config[section].args[inside]
            wanted = [field for field in changes if field.startswith(f"{section}.args.")]
            for field in set(wanted) - set(flatten(config)):
                known, argument = _taken(section, name), field.split(".", 2)[2]
                outer, _, inner = argument.partition(".")
                if inner and isinstance(known.get(outer), dict):
                    # Of a part of the network, which knows when it is made what it takes.
                    if outer not in config[section].args:
                        config[section].args[outer] = ConfigDict()
                    config[section].args[outer][inner] = None
                elif argument in known:
                    needed = known[argument] is inspect.Parameter.empty
                    config[section].args[argument] = None if needed else known[argument]
    from mclf_jax import data

    name = changes.get("data.name", config.data.name)
    known = data.options_of(name) if name in data.READERS else {}
    for argument, default in known.items():
        if f"data.args.{argument}" in changes and argument not in config.data.args:
            with config.unlocked():
                config.data.args[argument] = default
    return config


def _taken(section: str, name: str) -> dict[str, Any]:
    """The arguments of a network or an objective, with their defaults."""
    from mclf_jax import models, objectives  # import jax

    return {"model": models, "objective": objectives}[section].arguments_of(name)


# What other projects call it: the last word of a field -> that of ours.
_SYNONYMS = {
    "lr": "learning_rate",
    "wd": "weight_decay",
    "bs": "batch_size",
    "batch": "batch_size",
    "epochs": "num_epochs",
    "max_epochs": "num_epochs",
    "steps": "num_steps",
    "max_steps": "num_steps",
    "workers": "num_workers",
    "gpus": "num_devices",
    "devices": "num_devices",
    "optimizer": "optim.name",
    "optimiser": "optim.name",
    "scheduler": "schedule",
    "lr_schedule": "schedule",
    "warmup": "warmup_steps",
    "clip": "grad_clip_norm",
    "grad_clip": "grad_clip_norm",
    "ema": "ema_decay",
    "arch": "model.name",
    "network": "model.name",
    "loss": "objective.name",
    "method": "objective.name",
    "dataset": "data.name",
    "path": "data.args.path",
    "sr": "sample_rate_hz",
    "sample_rate": "sample_rate_hz",
    "mels": "n_mels",
    "hop": "hop_length",
    "fmin": "f_min_hz",
    "fmax": "f_max_hz",
    "precision": "dtype",
    "pretrained": "init.path",
    "checkpoint": "init.path",
    "early_stopping": "patience",
    "monitor": "eval.metric",
    "mixup": "mixup_alpha",
    "random_seed": "seed",
    "window": "window_s",
}


def _hint(field: str, config: ConfigDict) -> str:
    """What may be given in the place of a field that is not there, for messages."""
    section, is_argument, _ = field.partition(".args.")
    if is_argument and section in ("model", "objective"):
        name = config[section].name
        return f"; {name} takes {', '.join(sorted(_taken(section, name))) or 'none'}"
    if field.startswith(f"{_OF_TARGET}."):
        return ": it is of data.target, which is ''; set that, too"
    close = _likely(field, flatten(config))
    return f"; did you mean {' or '.join(close)}?" if close else ""


def _likely(field: str, known: Mapping[str, Any]) -> list[str]:
    """Fields that somebody may have meant, the likeliest first."""
    section, _, last = field.rpartition(".")
    meant = _SYNONYMS.get(last.lower(), last)
    found = [name for name in known if name == meant or name.endswith(f".{meant}")]
    found.sort(key=lambda name: not name.startswith(f"{section}."))
    return found[:3] or difflib.get_close_matches(field, known)


def _literal(text: str) -> Any:
    """Of an argument whose default does not say what it may be: a Python literal, or a word."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def parse_arg(arg: str | None, **defaults: Any) -> ConfigDict:
    """What follows the colon in "configs/x.py:task=tags,small" as typed values.

    Args:
        arg: "key=value,key=value"; a key alone means true, and "\\," is a comma within a value.
        **defaults: the keys that the config knows; their types decide how values are read. A
            tuple of words is a choice, the first of which is the default.

    Raises:
        ValueError: an unknown key, or a value of another type or none of the choice.
        Asked: `arg` is "?".
    """
    if arg == "?":
        raise Asked(defaults)
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


def override(config: ConfigDict, changes: Mapping[str, Any]) -> ConfigDict:
    """A copy with {"model.args.n_channels": 8, ...} set, in any order; checked.

    Raises:
        ValueError: a field is unknown or of another type, or they do not make sense together.
    """
    changed = _with_arguments(config, changes).copy_and_resolve_references()
    flat = flatten(changed)
    for field, value in changes.items():
        if field not in flat:
            raise ValueError(f"override of an unknown field {field!r}{_hint(field, changed)}")
        try:
            changed.update_from_flattened_dict({field: value})
        except TypeError as error:
            raise ValueError(f"override of {field}: {error}") from error
    return validate(_with_whole_paths(changed))


def as_before(config: ConfigDict) -> dict[str, Any]:
    """What versions did that had no field for it: splits, and groups of a folder of songs."""
    groups = {"args": {"groups": "file"}} if config.data.name == "folder" else {}
    return {"data": {"split_rule": "dealt", **groups}}


def _with_whole_paths(config: ConfigDict) -> ConfigDict:
    """The same, where files of other people's code are found from every folder."""

    def whole(value):
        if isinstance(value, str):
            return plugins.with_whole_path(value)
        return tuple(map(whole, value)) if isinstance(value, tuple) else value

    for field, value in flatten(config).items():
        if (changed := whole(value)) != value:
            config.update_from_flattened_dict({field: changed})
    return config


def to_json(config: ConfigDict) -> str:
    """The resolved config, for run directories and for reading."""
    return json.dumps(config.to_dict(), indent=2, sort_keys=True) + "\n"


def from_json(text: str | bytes, *, name: str = "config.json") -> ConfigDict:
    """The config that `to_json` wrote.

    A field that the text lacks came after it, and its default is what the run was made with.

    Args:
        text: what was written.
        name: of its file, for messages.

    Raises:
        ValueError: it is damaged, or a field holds what it cannot; names file and field.
    """
    config = base()  # whose placeholders know the types of fields that are None
    named = {"name": str}
    content = documents.parse(text, {"data": named, "model": named, "objective": named}, name=name)
    documents.check(content, _like(config, content), name=name)
    with config.unlocked():
        config.update(content)
        if "split_rule" not in content["data"]:
            config.update(as_before(config))
    flat = flatten(config)
    for field, check in CHECKS.items():
        check(f"{name}: {field}", flat[field])
    return config


def _like(config: ConfigDict, content: Mapping[str, Any]) -> dict[str, Any]:
    """What those fields of `content` must look like that `config` knows."""
    like: dict[str, Any] = {}
    for field in content.keys() & config.keys():
        kind, inside = config.get_type(field), content[field]
        if kind is ConfigDict:
            like[field] = _like(config[field], inside) if isinstance(inside, dict) else dict
        else:
            kind = list if kind is tuple else kind
            like[field] = kind if config[field] is not None else (kind, None)
    return like


def differences(old: ConfigDict, new: ConfigDict) -> dict[str, dict[str, Any]]:
    """Fields that decide results and differ, as {field: {"old": ..., "new": ...}}.

    Where the data are (`data.args.path`, `unlabelled.args.path`) is not one: whether they are the
    same, their fingerprints say.
    """
    flat_old, flat_new = (json.loads(json.dumps(flatten(c))) for c in (old, new))
    return {
        field: {"old": flat_old.get(field, "absent"), "new": flat_new.get(field, "absent")}
        for field in sorted(flat_old.keys() | flat_new.keys())
        if not field.startswith(("runtime.", "parallel."))
        and field not in ("data.args.path", "unlabelled.args.path")
        and flat_old.get(field, "absent") != flat_new.get(field, "absent")
    }
