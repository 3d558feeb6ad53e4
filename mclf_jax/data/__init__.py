"""Data sets by name. A source gives songs by index; the pipeline makes batches of them."""

import functools
import importlib
import inspect
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from mclf_jax.common import checks, files, plugins
from mclf_jax.data.base.source import Source
from mclf_jax.data.catalogue.items import FRACTIONS, Catalogue, Facts, Item

READERS = (
    "gtzan",
    "gtzan_speech_music",
    "magnatagatune",
    "msd",
    "fma",
    "mtg_jamendo",
    "audioset",
    "nsynth",
    "giantsteps_key",
    "vocalset",
    "openmic",
    "irmas",
    "emomusic",
    "deam",
    "mirdata",
    "folder",
)
"""Data sets of audio files on disk: `mclf_jax.data.readers.NAME.catalogue` reads them."""

# name -> module with a function of the same name; imported when asked for.
SOURCES = {
    "prepared": "mclf_jax.data.prepare.reader",
    "synthetic": "mclf_jax.data.synthesis.songs",
}


def build(
    name: str,
    *,
    sample_rate_hz: int,
    split_rule: str = "hash",
    split_fractions: Sequence[float] = FRACTIONS,
    **arguments: Any,
) -> Source:
    """The data set `name`, yielding audio at `sample_rate_hz`.

    Args:
        name: one of `READERS` or `SOURCES`, "tfds:NAME" for what TensorFlow Datasets prepared, or
            a function from outside (`common.plugins`) that returns a `Catalogue`; or a `Source`,
            which takes `sample_rate_hz`.
        sample_rate_hz: what the model's features take.
        split_rule, split_fractions: of splits that are made, see `catalogue.plan`; for data sets
            that have splits of their own they say nothing.
        **arguments: `config.data.args`: the data set's own, and for files those of
            `sources.files.open_catalogue`.

    Raises:
        ValueError: an unknown name or argument, or a data set that cannot be used.
    """
    if name == "none":
        raise ValueError(
            "data.name is 'none': this run was made from weights by `mclf convert` and has no "
            "data set to train on or to score; predict, embed and taggram work on it"
        )
    checks.positive("sample_rate_hz", sample_rate_hz, unit="Hz")
    splits = {"split_rule": split_rule, "split_fractions": split_fractions}
    if name.startswith("tfds:"):
        from mclf_jax.data.tfds.source import tfds

        of_tfds = functools.partial(tfds, name.removeprefix("tfds:"))
        _check_arguments(name, arguments, of_tfds)
        return of_tfds(sample_rate_hz=sample_rate_hz, **splits, **arguments)
    if name in SOURCES:
        function = getattr(importlib.import_module(SOURCES[name]), name)
    else:
        function = _catalogue_of(name)
    if "sample_rate_hz" in _parameters(function):
        _check_arguments(name, arguments, function)
        return _of_type(Source, function(sample_rate_hz=sample_rate_hz, **arguments), name)
    from mclf_jax.data.sources.files import open_catalogue

    path = arguments.get("path", "")
    songs_too = name == "folder" and not files.is_remote(path)
    if is_prepared(path) and not (songs_too and _has_songs(Path(path).expanduser())):
        return _build_prepared(name, sample_rate_hz=sample_rate_hz, path=arguments["path"])
    _check_arguments(name, arguments, function, open_catalogue)
    of_reader = {k: v for k, v in arguments.items() if k in _parameters(function)}
    of_files = {k: v for k, v in arguments.items() if k not in of_reader}
    items = _of_type(Catalogue, function(**of_reader), name)
    return open_catalogue(items, sample_rate_hz=sample_rate_hz, **splits, **of_files)


def catalogue(name: str, **arguments: Any) -> Catalogue:
    """What the files of data set `name` are, read from its metadata alone.

    Args:
        name: one of `READERS`, or one from outside.
        **arguments: of the reader, such as `path`.

    Raises:
        ValueError: an unknown name or argument, or not that data set.
    """
    function = _catalogue_of(name)
    _check_arguments(name, arguments, function)
    files.refuse_remote(
        "path", arguments.get("path"), instead="audio files are read there alone; copy them first"
    )
    return _of_type(Catalogue, function(**arguments), name)


def is_prepared(path: str | os.PathLike) -> bool:
    """Whether a folder is what `mclf data prepare` writes, and not a data set as distributed.

    On object storage there is nothing else.
    """
    from mclf_jax.data.prepare.meta import META

    if files.is_remote(path):
        return True  # or nothing that can be read there
    root = Path(path).expanduser()
    return bool(path) and any(any(root.glob(f"{below}{META}")) for below in ("", "*/", "*/*/"))


def _has_songs(root: Path) -> bool:
    """Whether there is audio, beside what may have been prepared of it."""
    from mclf_jax.data.catalogue.layout import walk_audio

    return any(True for _ in walk_audio(root))


def _build_prepared(name: str, *, sample_rate_hz: int, path: str | os.PathLike) -> Source:
    from mclf_jax.data.prepare.reader import prepared

    source = prepared(path=path, sample_rate_hz=sample_rate_hz)
    if source.info.name != name:
        raise ValueError(f"data.name is {name!r}, but {path} has {source.info.name} prepared")
    return source


def options_of(name: str) -> dict[str, Any]:
    """The arguments that choose among what a data set has, with their defaults.

    Raises:
        ValueError: there is no such data set.
    """
    if name == "prepared":
        return {}
    return {
        key: parameter.default
        for key, parameter in _parameters(_catalogue_of(name)).items()
        if parameter.default is not parameter.empty
    }


def facts() -> dict[str, Facts]:
    """What is published about each data set that can be read."""
    return {name: _reader(name).FACTS for name in READERS}


def _catalogue_of(name: str) -> Callable:
    """The function of a name: `catalogue` of a reader, or one from outside."""
    if name in READERS:
        return _reader(name).catalogue
    known = (*sorted((*READERS, *SOURCES)), "tfds:NAME")
    found = plugins.find("data", name, field="data.name", known=known)
    if not callable(found):
        raise ValueError(
            f"data.name is {name!r}, which is {found!r}; it must be a function that returns a "
            "mclf_jax.data.Catalogue, or, of sample_rate_hz, a mclf_jax.data.Source"
        )
    return found


def _of_type(wanted: type, made: Any, name: str) -> Any:
    if not isinstance(made, wanted):
        got = type(made).__name__
        raise ValueError(f"data.name is {name!r}, which returns {got}; wanted: {wanted.__name__}")
    return made


def _reader(name: str) -> ModuleType:
    return importlib.import_module(f"mclf_jax.data.readers.{name}")


def _check_arguments(name: str, arguments: dict[str, Any], *functions: Callable) -> None:
    known = {parameter: p for f in functions for parameter, p in _parameters(f).items()}
    for elsewhere in ("sample_rate_hz", "catalogue", "split_rule", "split_fractions"):
        known.pop(elsewhere, None)
    checks.arguments("data.args", arguments, known, of=name)


def _parameters(function: Callable) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function).parameters)
