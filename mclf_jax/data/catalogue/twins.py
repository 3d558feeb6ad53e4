"""Labels that people read as one and that are two, such as Rock and rock: told of, or merged."""

import collections
import dataclasses
import functools
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence

from mclf_jax.data.catalogue.items import UNLABELLED, Item

MERGING = ("off", "twins")
_SHOWN = 5
# Characters without a shape that Unicode does not call formats: fillers, selectors of variants.
_NO_SHAPE = ("Cc", "Cf")
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\ufe00-\ufe0f]")
_SAME_SHAPE = str.maketrans("\u2018\u2019\u02bc\u2010\u2011\u2012\u2013\u2014", "'''-----")


@functools.lru_cache(maxsize=1 << 16)
def seen(label: str) -> str:
    """What people see of a label: without case, forms of Unicode and what has no shape."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", label).casefold())
    if not text.isascii():
        text = _INVISIBLE.sub("", text).translate(_SAME_SHAPE)
    if not text.isprintable():
        text = "".join(c for c in text if c.isspace() or unicodedata.category(c) not in _NO_SHAPE)
    return " ".join(text.split())


def find(items: Sequence[Item], *, known: Collection[str] = ()) -> list[dict[str, int]]:
    """Spellings of one label, {spelling: number of items with it}, for each that has several.

    The first is the one to keep: that of `known` labels, else the most frequent one, else the first
    by name.
    """
    labelled = [item for item in items if item.split != UNLABELLED]
    counts = collections.Counter(dict.fromkeys(known, 0))
    counts.update(label for item in labelled for label in item.labels)
    counts.update(dict.fromkeys({name for item in labelled for name in item.observed or ()}, 0))
    return spellings(counts, known=known)


def spellings(counts: Mapping[str, int], *, known: Collection[str] = ()) -> list[dict[str, int]]:
    """As `find`, of names and how often each is there."""
    groups: dict[str, dict[str, int]] = {}
    for label in sorted(counts, key=lambda name: (name not in known, -counts[name], name)):
        groups.setdefault(seen(label), {})[label] = counts[label]
    return [found for _, found in sorted(groups.items()) if len(found) > 1]


def merge(items: Sequence[Item], found: Sequence[Mapping[str, int]]) -> tuple[Item, ...]:
    """The items with one spelling of each label, the first of those that `find` gave."""
    kept = {label: next(iter(spellings)) for spellings in found for label in spellings}

    def respelled(labels: Collection[str]) -> tuple[str, ...]:
        return tuple(sorted({kept.get(label, label) for label in labels}))

    return tuple(
        dataclasses.replace(
            item,
            labels=respelled(item.labels),
            observed=None if item.observed is None else respelled(item.observed),
        )
        if not kept.keys().isdisjoint((*item.labels, *(item.observed or ())))
        else item
        for item in items
    )


def describe(found: Sequence[Mapping[str, int]], *, merged: str) -> str:
    """A sentence on twins, for the notes of a data set; `merged` is one of `MERGING`."""
    groups = [
        " and ".join(
            f"{_visibly(label)} ({count} file{'s' * (count != 1)})"
            for label, count in spellings.items()
        )
        for spellings in found[:_SHOWN]
    ]
    if len(found) > _SHOWN:
        groups.append(f"and {len(found) - _SHOWN} more")
    listed = "; ".join(groups)
    if merged == "twins":
        return f"labels that look the same, merged into the first spelling of each: {listed}"
    return (
        f"labels that look the same and count as different: {listed}."
        " data.args.merge_labels='twins' makes one of each"
    )


def _visibly(label: str) -> str:
    """With escapes for what cannot be seen."""
    return repr(label) if unicodedata.normalize("NFKC", label) == label else ascii(label)
