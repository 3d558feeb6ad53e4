"""Data sets of mirdata (Bittner et al. 2019), read by its loaders.

mirdata knows where the files of some sixty data sets are and what is annotated in them; `loader`
names one (https://mirdata.readthedocs.io lists them), `path` is its `data_home`. It has to be
downloaded by mirdata before, the index at least:

    mirdata.initialize("beatport_key", data_home=DIR).download()

Data sets that this package reads itself come with their published splits and known faults; take
those readers for them.
"""

import importlib
import math
import numbers
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mclf_jax.common import checks
from mclf_jax.data.base.source import TASKS
from mclf_jax.data.catalogue import layout, manifest
from mclf_jax.data.catalogue.items import Catalogue, Facts, Item

FACTS = Facts(
    name="mirdata",
    title="mirdata",
    contents="whatever a loader of mirdata reads: loader=NAME",
    tasks={"task=auto": "what the annotation says"},
    licence="of the data set, see mirdata",
    citation=(
        "R. M. Bittner, M. Fuentes, D. Rubinstein, A. Jansson, K. Choi and T. Kell, mirdata:"
        " Software for Reproducible Usage of Datasets, ISMIR 2019"
    ),
    url="https://github.com/mir-dataset-loaders/mirdata",
    faults=("Splits are made by group where the loader has none, and not those of a paper.",),
)

_LABELS = ("genre", "genres", "tags", "key", "instrument", "instruments", "mood", "emotion")
_LABELS += ("style", "style_name", "tempo", "singer", "player", "artist")
_GROUPS = ("artist", "artist_id", "artists", "artist_name", "composer", "singer", "singer_id")
_GROUPS += ("player", "player_id", "album", "drummer", "performer")


def catalogue(
    path: str | os.PathLike = "",
    *,
    loader: str = "",
    label: str = "auto",
    task: str = "auto",
    group: str = "auto",
    audio: str = "audio_path",
    version: str = "default",
) -> Catalogue:
    """Reads the tracks of a loader.

    Args:
        path: `data_home`; mirdata's own place when empty.
        loader: such as "beatport_key".
        label: attribute of a track that is learnt: words, several words, or a number; "auto" takes
            the first of genre, tags, key, instrument, mood and the like that tracks have. Those
            that are None or empty leave a track unlabelled.
        task: one of `data.base.source.TASKS`, or "auto": by what the attribute is.
        group: attribute that must not be in two splits, or "auto": the first of artist, composer,
            singer, player and the like; "" for none.
        audio: attribute with the path of the audio.
        version: of the data set, as mirdata has it.

    Raises:
        ValueError: mirdata is not installed, has no such loader or no index for it, or tracks have
            no such attribute.
    """
    checks.choice("task", task, ("auto", *TASKS))
    data = _open(loader, os.fspath(path), version=version)
    try:
        tracks = [data.track(track_id) for track_id in data.track_ids]
    except (FileNotFoundError, AttributeError, NotImplementedError) as error:
        raise ValueError(
            f"loader {loader!r} of mirdata cannot list tracks: {error} Once, in Python:"
            f" mirdata.initialize({loader!r}, data_home={data.data_home!r}).download()"
        ) from error
    label = _attribute("label", label, tracks, _LABELS)
    group = _attribute("group", group, tracks, _GROUPS, needed="no")
    values = [_value(track, label) for track in tracks]
    if task == "auto":
        task = _task_of(values)
    items, skipped, unknown = [], [], set()
    for track, value in zip(tracks, values, strict=True):
        file, split = getattr(track, audio, None), str(getattr(track, "split", "") or "")
        if not file:
            skipped.append((str(track.track_id), f"mirdata has no {audio} of it"))
            continue
        if split.lower() not in manifest.SPLITS and split:
            unknown.add(split)
        words = _words(value)
        # Several labels for one would be an arbitrary choice.
        if task == "single_label" and len(words) > 1:
            skipped.append((str(track.track_id), f"{label} is several: {', '.join(words)}"))
            continue
        items.append(
            Item(
                item_id=str(track.track_id),
                file=str(file),
                labels=() if task == "regression" else words,
                values=(float(value),) if task == "regression" and _is_number(value) else (),
                split=manifest.SPLITS.get(split.lower(), ""),
                group="|".join(_words(_value(track, group))) if group else "",
                columns=_columns(track),
            )
        )
    notes = [f"mirdata {loader} {data.version}: labels are {label}, groups {group or 'none'}"]
    if unknown:
        notes.append(f"splits of mirdata that are none of ours: {', '.join(sorted(unknown))}")
    return layout.make_catalogue(
        Facts(
            name="mirdata",
            title=f"{loader} of mirdata",
            group=group or "track",
            version=str(data.version),
            licence=str(getattr(data, "_license_info", None) or "unknown"),
            citation=str(data.bibtex or ""),
            url=f"https://mirdata.readthedocs.io ({loader})",
            faults=FACTS.faults,
        ),
        items,
        looked_in=Path(data.data_home),
        task=task,
        labels=(label,) if task == "regression" else None,
        skipped=skipped,
        notes=notes,
    )


def _open(loader: str, path: str, *, version: str) -> Any:
    try:
        mirdata = importlib.import_module("mirdata")
    except ImportError as error:
        raise ValueError(
            "data.name 'mirdata' needs the package mirdata: pip install 'mclf-jax[mirdata]'"
        ) from error
    if loader not in (known := mirdata.list_datasets()):
        raise ValueError(f"loader is {loader!r}; mirdata has {', '.join(known)}")
    home = os.path.expanduser(path) if path else None
    return mirdata.initialize(loader, data_home=home, version=version)


def _attribute(
    option: str, name: str, tracks: Iterable[Any], usual: Iterable[str], *, needed: str = "yes"
) -> str:
    """The attribute that is meant: the named one, or the first usual one that tracks have."""
    first = next(iter(tracks), None)
    if name not in ("", "auto") and _has(first, name):
        return name
    if name == "auto":
        found = [one for one in usual if _has(first, one)]
        if found or needed == "no":
            return found[0] if found else ""
    elif not name and needed == "no":
        return ""
    names = [n for n in dir(first) if not n.startswith("_") and n not in ("get_path", "to_jams")]
    raise ValueError(f"{option} is {name!r}, which tracks have not; there are {', '.join(names)}")


def _has(track: Any, name: str) -> bool:
    """Without computing it: a property may open a file."""
    return hasattr(type(track), name) or hasattr(track, name)


def _value(track: Any, name: str) -> Any:
    """Of an annotation whose file is not there: None."""
    try:
        value = getattr(track, name)
    except (OSError, AttributeError, TypeError):
        return None
    if isinstance(value, Mapping):  # such as genres and sub_genres: the first of them
        return next(iter(value.values()), None)
    return value


def _is_number(value: Any) -> bool:
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return number and math.isfinite(float(value))


def _words(value: Any) -> tuple[str, ...]:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ()
    if isinstance(value, list | tuple | set):
        return tuple(sorted({word for each in value for word in _words(each)}))
    return (str(value).strip(),) if str(value).strip() else ()


def _task_of(values: Iterable[Any]) -> str:
    there = [value for value in values if value is not None]
    if any(isinstance(value, list | tuple | set) for value in there):
        return "multi_label"
    return "regression" if there and all(map(_is_number, there)) else "single_label"


def _columns(track: Any) -> dict[str, str]:
    """What is known of a track without opening a file."""
    own = {k: v for k, v in vars(track).items() if not k.startswith("_")}
    return {
        name: str(value)
        for name, value in own.items()
        if not name.endswith("_path") and name != "split" and isinstance(value, str | int | float)
    }
