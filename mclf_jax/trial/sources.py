"""The data that a model is tried on: a name, a folder or an open source, and which songs of it."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mclf_jax import data as data_lib
from mclf_jax.common import checks, files
from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.source import Info, Source
from mclf_jax.data.catalogue.items import SPLITS
from mclf_jax.data.catalogue.plan import NO_SPLITS
from mclf_jax.data.published import PUBLISHED

ALL = "all"


def open_data(
    data: str | os.PathLike | Source,
    *,
    path: str | os.PathLike | None,
    arguments: Mapping[str, Any],
    sample_rate_hz: int,
) -> Source:
    """The data set, at the rate of a model.

    Args:
        data: one of `data.READERS`, or of recipes ("mtat", "jamendo", see `data.published`), with
            its published split; or a folder, with songs or prepared; or an open source.
        path: where it is on disk; of a name.
        arguments: of its reader.
        sample_rate_hz: of the model.

    Raises:
        ValueError: there is no such data set, it is at another rate, or it has no labels.
    """
    if isinstance(data, Source):
        if path is not None or arguments:
            raise ValueError("data is an open source, which has its path and arguments already")
        if data.info.sample_rate_hz != sample_rate_hz:
            raise ValueError(
                f"data is a source at {data.info.sample_rate_hz} Hz; it must be at "
                f"{sample_rate_hz} Hz, as the features of the model are"
            )
        source = data
    else:
        name, given = os.fspath(data), dict(arguments)
        if _is_folder(name) and path is not None:
            raise ValueError(
                f"data is the folder {name}, and path is {path}: leave one of them out"
            )
        if _is_folder(name):
            given["path"] = name
            name = "prepared" if data_lib.is_prepared(name) else "folder"
        elif name in PUBLISHED:
            given = {**PUBLISHED[name].arguments, **given}
            name = PUBLISHED[name].reader
        if path is not None:
            given["path"] = os.fspath(path)
        source = data_lib.build(name, sample_rate_hz=sample_rate_hz, **given)
    if not source.info.labels:
        raise ValueError(f"{source.info.name} has no labels, so there is nothing to score")
    return source


def name_of(data: str | os.PathLike | Source, info: Info, path: str | os.PathLike | None) -> str:
    """What the data are called: their name, or that of the folder if it says more."""
    folder = path if isinstance(data, Source) or path else data
    return (
        Path(folder).expanduser().resolve().name
        if info.name == "folder" and isinstance(folder, str | Path)
        else info.name
    )


def place_of(data: str | os.PathLike | Source, info: Info, path: str | os.PathLike | None) -> str:
    """The folder that data are, as it is called on this machine; "" of what is known by a name."""
    if isinstance(data, Source):
        return ""
    named = path if info.name == "folder" else None
    folder = os.fspath(data) if _is_folder(os.fspath(data)) else named
    if folder is None or files.is_remote(folder):
        return os.fspath(folder or "")
    return str(Path(folder).expanduser().resolve())


def _is_folder(name: str) -> bool:
    """Whether that is a folder, and none of the names of data sets."""
    known = {*data_lib.READERS, *data_lib.SOURCES, *PUBLISHED}
    return name not in known and (files.is_remote(name) or Path(name).expanduser().is_dir())


def mark_of(place: str, arguments: Mapping[str, Any]) -> str:
    """What tells the data apart from others of their name; "" where the name is all there is.

    Two folders may be called "songs", and one data set has subsets: eight digits of a digest of
    where they are and of what their reader was asked for.
    """
    if not place and not arguments:
        return ""
    told = json.dumps([place, arguments], sort_keys=True, default=str)
    return f"-{hashlib.sha256(told.encode(errors='surrogateescape')).hexdigest()[:8]}"


def songs_of(source: Source, split: str | None) -> tuple[str, np.ndarray]:
    """Name and songs of a split: of its own where the data set has some, else of all labelled ones.

    Args:
        source: of which.
        split: "test" and the like, or "all", those of train, valid and test together; when not
            given, "test" of splits that came with the data, and "all" of those that are made here,
            which mean nothing to a model that never saw them.

    Raises:
        ValueError: there is none of them.
    """
    splits = source.info.splits
    made = any(note.startswith(NO_SPLITS) for note in source.info.notes)
    if split is None:
        split = "test" if len(splits.get("test", ())) and not made else ALL
    checks.choice("split", split, (*splits, ALL))
    names = SPLITS if split == ALL else (split,)
    songs = np.concatenate([np.asarray(splits.get(name, ()), np.int64) for name in names])
    songs = songs[target_lib.any_known(target_lib.take(source.targets, songs))]
    if not len(songs):
        raise ValueError(f"not one song of {source.info.name} in split {split!r} has a label")
    return split, np.sort(songs)
