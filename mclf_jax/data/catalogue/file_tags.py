"""Artist and album from the tags of files, as groups that must not cross splits.

Songs of one artist in train and test let a network score by recognising the artist.
"""

import collections
import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from mclf_jax.common import files, threads
from mclf_jax.data.catalogue.items import Item

GROUPS = ("tags", "file")
_TAGGED = {".mp3", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".aif", ".aiff"}
# Who is named so made none of the songs, or all.
_NOBODY = {"", "various artists", "various", "va", "v.a.", "unknown artist", "unknown"}
_NOBODY |= {"unknown album", "no artist", "untitled"}
_FORMAT = "1"


@dataclasses.dataclass(frozen=True)
class Grouped:
    """Items with groups of their tags, or as they were.

    Attributes:
        items: in the same order.
        note: what was done, in words; "" where no file has such tags.
    """

    items: tuple[Item, ...]
    note: str = ""


def group(items: Sequence[Item]) -> Grouped:
    """Give each song the group of its artist, else of its album.

    Neither is taken where one group would have more than half of the songs, or where the songs of
    most labels are all of one group, as of labels that are artists: nothing could be learnt then.
    Songs without such a tag are groups of their own.
    """
    items = tuple(items)
    tags = _read([item.file for item in items])
    why = []
    for number, kind in enumerate(("artist", "album")):
        names = [tags.get(item.file, ("", ""))[number] for item in items]
        found = collections.Counter(name for name in names if name)
        if not found:
            continue
        largest, size = found.most_common(1)[0]
        if size > len(items) / 2:
            why.append(f"the {kind} {largest!r} has {size} of {len(items)} songs")
        elif _says_the_label(items, names):
            why.append(f"the {kind} says the label")
        else:
            changed = tuple(
                dataclasses.replace(item, group=name) if name else item
                for item, name in zip(items, names, strict=True)
            )
            return Grouped(
                changed,
                f"songs of one {kind} stay in one split, by the tags of {sum(found.values())} of "
                f"{len(items)} files ({len(found)} {kind}s); data.args.groups='file' for single "
                "files",
            )
    return Grouped(items, f"tags of files make no groups: {'; '.join(why)}" if why else "")


def _says_the_label(items: Sequence[Item], names: Sequence[str]) -> bool:
    groups, songs = collections.defaultdict(set), collections.Counter()
    for item, name in zip(items, names, strict=True):
        for label in item.labels:
            songs[label] += 1
            groups[label].add(name or item.file)
    several = [label for label in groups if songs[label] > 1]
    alone = [label for label in several if len(groups[label]) == 1]
    return len(alone) > len(several) / 2


def _read(paths: Sequence[str]) -> Mapping[str, tuple[str, str]]:
    """Artist and album of files that have such tags, kept for the next start."""
    wanted = [path for path in paths if os.path.splitext(path)[1].lower() in _TAGGED]
    if not wanted:
        return {}
    common = hashlib.sha256(os.fsencode(os.path.commonprefix(wanted))).hexdigest()[:12]
    cache_file = files.cache_folder() / f"tags-{common}.json"
    kept = files.read_cache(cache_file, _FORMAT)
    kept = kept if isinstance(kept, dict) else {}
    stamps = {path: _stamp(path) for path in wanted}
    todo = [path for path in wanted if not _is_of(kept.get(path), stamps[path])]
    if todo:
        many = {"total": len(todo), "title": "reading tags", "num_workers": None}
        found = dict(threads.each(_tags_of, todo, **many, progress="auto"))
        kept |= {path: [stamps[path], *found[path]] for path in todo}
        files.write_cache(cache_file, _FORMAT, kept)
    return {path: (kept[path][1], kept[path][2]) for path in wanted}


def _is_of(entry: Any, stamp: list[int]) -> bool:
    """Whether an entry of the cache is of the file as it is."""
    is_entry = isinstance(entry, list) and [type(one) for one in entry] == [list, str, str]
    return is_entry and entry[0] == stamp


def _stamp(path: str) -> list[int]:
    with contextlib.suppress(OSError):
        status = os.stat(path)
        return [status.st_size, status.st_mtime_ns]
    return []


def _tags_of(path: str) -> tuple[str, str]:
    import mutagen

    with contextlib.suppress(Exception):  # damaged tags are none; what decodes is another matter
        if (tags := mutagen.File(path, easy=True)) is not None:
            artist = _first(tags, "albumartist") or _first(tags, "artist")
            album = _first(tags, "album")
            return artist, f"{artist} / {album}".removeprefix(" / ") if album else ""
    return "", ""


def _first(tags: Mapping[str, Sequence[str]], name: str) -> str:
    value = " ".join(str(next(iter(tags.get(name) or ()), "")).split())
    return "" if value.lower() in _NOBODY else value
