"""Who plays each item of a data set, and what may be learnt of them without hearing the test."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from mclf_jax.data.base.source import Info
from mclf_jax.data.catalogue.items import UNLABELLED

# Columns of which an artist has several, in the order in which they are looked for.
_UNITS = ("album", "album_id", "release", "track_id", "song_id")


@dataclasses.dataclass(frozen=True)
class Pool:
    """Items that a pretext task may use.

    Attributes:
        items: int64 [P], indices, ascending.
        artists: str [P], who plays them.
        note: which of the training items are not among them, as a part of a sentence.
    """

    items: np.ndarray
    artists: np.ndarray
    note: str


def artists_of(info: Info, *, by: str) -> np.ndarray:
    """The artist of each item, str [N], "" where that is not known.

    Args:
        info: of the data set.
        by: "group" for `info.groups`, or a column of `info.columns`.

    Raises:
        ValueError: there is no such column.
    """
    return np.asarray(_column(info, by, argument="by"), dtype=str)


def pool(info: Info, artists: np.ndarray) -> Pool:
    """What is in "train" and "unlabelled", but nothing that valid or test would know again.

    That is neither items of an artist nor of a group of theirs: an embedding can be judged on the
    splits of the data set afterwards, and all of their artists are new to it.

    Args:
        info: of the data set.
        artists: str [N].

    Raises:
        ValueError: nothing is left.
    """

    def items(*splits: str) -> np.ndarray:
        found = [np.asarray(info.splits.get(split, ()), np.int64) for split in splits]
        return np.unique(np.concatenate(found))

    groups, judged, given = np.asarray(info.groups), items("valid", "test"), items("train")
    given = np.union1d(given, items(UNLABELLED))
    known = artists[given] != ""
    heard = np.isin(groups[given], groups[judged])
    heard |= known & np.isin(artists[given], artists[judged])
    kept = given[known & ~heard]
    if not len(kept):
        raise ValueError(
            f"nothing of {info.name} can be used: of {len(given)} items in train and unlabelled,"
            f" {heard.sum()} are of artists in valid or test, {(~known & ~heard).sum()} of none"
            " that is known. Which column is the artist is said by data.target_args.by"
        )
    reasons = {"of artists in valid or test": heard.sum()}
    reasons["of an unknown artist"] = (~known & ~heard).sum()
    parts = [f"{count} {reason}" for reason, count in reasons.items() if count]
    return Pool(kept, artists[kept], ", ".join(parts))


def units_of(info: Info, *, by: str, unit: str = "") -> dict[str, np.ndarray | str]:
    """What of an artist must not be dealt apart, because one recording tells of another.

    Args:
        info: of the data set.
        by: as of `artists_of`.
        unit: "item", "group" or a column; "" for what there is: an album or else a track.

    Returns:
        {"name": which it is, "units": str [N]}.

    Raises:
        ValueError: there is no such column.
    """
    if not unit:
        found = [name for name in _UNITS if name in info.columns and name != by]
        of_group = by != "group" and info.group_kind in ("album", "track", "song", "recording")
        unit = "group" if of_group else (found[0] if found else "item")
    items = np.arange(len(info.groups)).astype(str)
    if unit == "item":
        return {"name": unit, "units": items}
    column = np.asarray(_column(info, unit, argument="unit", more=("item",)), dtype=str)
    alone = np.char.add("item ", items)
    return {
        "name": info.group_kind if unit == "group" else unit,
        "units": np.where(column == "", alone, column),
    }


def deal_units(
    artists: np.ndarray, units: np.ndarray, *, fractions: Mapping[str, float], seed: int
) -> dict[str, np.ndarray]:
    """Units of each artist to splits, so that every artist keeps one in "train".

    Artists come in an order drawn from `seed`, and so do the units of each. A split takes its share
    evenly over all that can be spared, so that it is right even where no artist has enough for it.

    Args:
        artists: str [P], of each item.
        units: str [P], such as albums; the same name of two artists is two units.
        fractions: of the units, for each split but "train".
        seed: of the orders.

    Returns:
        Positions of items in each split and in "train", ascending.
    """
    rng = np.random.default_rng(seed)
    artist = np.unique(artists, return_inverse=True)[1]
    unit = np.unique(units, return_inverse=True)[1]
    pairs, unit_of_item = np.unique(np.stack([artist, unit]), axis=1, return_inverse=True)
    owner, unit_of_item = pairs[0], unit_of_item.reshape(-1)
    counts = np.bincount(owner)
    # Units of an artist one after the other, in an order of chance: their places from 0.
    order = rng.permutation(len(owner))
    order = order[np.argsort(owner[order], kind="stable")]
    place = np.empty(len(owner), np.int64)
    place[order] = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)

    taken = np.zeros(len(counts), np.int64)
    split_of_unit = np.full(len(owner), "train", dtype=object)
    for split, fraction in fractions.items():
        room, queue = counts - 1 - taken, rng.permutation(len(counts))
        wanted = min(round(fraction * len(owner)), room.sum())
        share = np.cumsum(room[queue]) * (wanted / max(1, room.sum()))
        number = np.zeros(len(counts), np.int64)
        # In steps of one room at least, so that nobody gives more than there is room for.
        number[queue] = np.diff(np.floor(share + rng.random()), prepend=0)
        chosen = (place >= taken[owner]) & (place < (taken + number)[owner])
        split_of_unit[chosen] = split
        taken += number
    split_of_item = split_of_unit[unit_of_item]
    return {split: np.flatnonzero(split_of_item == split) for split in ("train", *fractions)}


def _column(info: Info, name: str, *, argument: str, more: tuple[str, ...] = ()):
    if name == "group":
        return info.groups
    if name not in info.columns:
        allowed = ", ".join(("group", *more, *info.columns))
        raise ValueError(
            f"data.target_args.{argument} is {name!r}, which is nothing that is known of the items"
            f" of {info.name}; allowed: {allowed}"
        )
    return info.columns[name]
