"""`songs.csv` of a run: the songs that it began with, so that a change of them is told in words."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mclf_jax.common import files
from mclf_jax.common.text import tables
from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.source import Source
from mclf_jax.data.catalogue.items import UNLABELLED

FILE_NAME = "songs.csv"
_SHOWN = 3


def write(workdir: Path, source: Source) -> None:
    """Write path or id, split and labels of every song; numbers of regression as they are."""
    text = io.StringIO(newline="")
    tables.write_rows(text, [("song", "split", "labels"), *_rows(source)])
    files.write_text(workdir / FILE_NAME, text.getvalue())


def changes(workdir: Path, source: Source) -> list[str]:
    """What is other in a data set than what a run began with, a sentence each.

    Nothing if it is the same, or the run is of a version that did not write its songs down.
    """
    if not (workdir / FILE_NAME).is_file():
        return []
    table = tables.read(workdir / FILE_NAME, columns=("song", "split", "labels"))
    read = {tables.unescaped(c["song"]): (c["split"], c["labels"]) for _, c in table.rows}
    before = {song: (split, tables.unescaped(labels)) for song, (split, labels) in read.items()}
    after = {song: (split, labels) for song, split, labels in _rows(source)}
    both = [song for song in before if song in after]
    relabelled = [
        f"{song} ({before[song][1] or 'none'} -> {after[song][1] or 'none'})"
        for song in both
        if before[song][1] != after[song][1]
    ]
    moved = [
        f"{song} ({before[song][0]} -> {after[song][0]})"
        for song in both
        if before[song][0] != after[song][0]
    ]
    return [
        *_say(relabelled, "changed its label", "changed their labels"),
        *_say([song for song in after if song not in before], "is new", "are new"),
        *_say([song for song in before if song not in after], "is gone", "are gone"),
        *_say(moved, "is in another split", "are in other splits"),
    ]


def _say(songs: Sequence[str], one: str, many: str) -> list[str]:
    if not songs:
        return []
    more = f" and {len(songs) - _SHOWN} more" if len(songs) > _SHOWN else ""
    what = f"1 song {one}" if len(songs) == 1 else f"{len(songs)} songs {many}"
    return [f"{what}: {', '.join(songs[:_SHOWN])}{more}"]


def _rows(source: Source) -> list[tuple[str, str, str]]:
    info = source.info
    split_of = np.full(len(source), "", object)
    for split, items in info.splits.items():
        split_of[np.asarray(items)] = split
    return [
        (source.item_id(i), split, "" if split == UNLABELLED else _labels(source, i))
        for i, split in enumerate(split_of)
    ]


def _labels(source: Source, index: int) -> str:
    info, target = source.info, source.targets[index]
    if not info.labels:
        return ""
    if info.task == "single_label":
        return info.labels[int(target)]
    if info.task == "multi_label":
        return "|".join(info.labels[k] for k in np.flatnonzero(target > 0.5))
    return "|".join(f"{value:.6g}" for value in target_lib.in_own_unit(target, info.unit))
