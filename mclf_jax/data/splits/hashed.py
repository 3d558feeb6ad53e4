"""Splits that stay as they are: each group has its place by a hash of its name.

A song that is added, or one whose label is corrected, does not move the others, as it would if
groups were dealt out in an order that depends on all of them; test songs stay test songs while a
data set grows. The price is that shares are only near to what was asked for: of n groups, a split
of share p has n p, give or take twice the root of n p (1 - p), in 95 of 100 data sets. And a song
of a label that would be missing from a split has to move: of 100 songs with 6 labels, in 6 of 100
corrections one or two of the others do, of 300 songs with 8 labels in 0.3.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from mclf_jax.data.base.targets import Targets
from mclf_jax.data.splits.grouped import check_fractions, number_groups
from mclf_jax.data.splits.strata import Strata, strata

# A split holds at least half and at most twice its share of the items.
_NARROWEST, _WIDEST = 0.5, 2.0
# Groups of a label from which on it is in every split; with fewer, it is in the first one, train.
_EVERYWHERE_FROM = 5


def split_by_hash(
    groups: Sequence[str], labels: Targets | None, *, fractions: Mapping[str, float], seed: int
) -> dict[str, np.ndarray]:
    """Puts whole groups into splits by a hash of their names.

    Groups move from where their hash puts them only where otherwise a split would hold less than
    half or more than twice its share of the items, or a label of at least five groups would be
    missing from a split, or any label from the first one. These are as few and as small as will do.

    Args:
        groups: [N], the group of each item.
        labels: int [N] for single-label, 0 or 1 [N, K] for multi-label, NaN where unobserved;
            numbers, or None: for none.
        fractions: share of the items for each split, together 1; train first.
        seed: of the hash.

    Returns:
        For each split its item indices, ascending; no split is empty.

    Raises:
        ValueError: fewer groups than splits, or fractions that are not positive or not 1 together.
    """
    names, group_of_item = sorted(set(map(str, groups))), number_groups(groups)
    shares = check_fractions(fractions, groups=names, num_items=len(groups))
    places = np.array([_place(name, seed) for name in names])
    split_of = np.searchsorted(np.cumsum(shares)[:-1], places, side="right")
    sizes = np.bincount(group_of_item)
    _mend_shares(split_of, sizes=sizes, shares=shares, places=places)
    if labels is not None:
        counts = strata(labels, num_items=len(groups)).by_group(group_of_item)
        _mend_labels(split_of, counts, sizes=sizes, places=places, num_splits=len(shares))
    return {name: np.flatnonzero(split_of[group_of_item] == s) for s, name in enumerate(fractions)}


def _place(name: str, seed: int) -> float:
    """In [0, 1), the same on every machine."""
    text = f"{seed}/{name}".encode(errors="surrogateescape")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) / 2**64


def _mend_shares(
    split_of: np.ndarray, *, sizes: np.ndarray, shares: np.ndarray, places: np.ndarray
) -> None:
    """Moves groups, one at a time, from the split that holds most of its share to the one that
    holds least of it, while one of them is out of bounds and that brings both nearer."""
    wanted = shares * sizes.sum()
    for _ in range(len(sizes)):
        held = np.bincount(split_of, sizes, minlength=len(shares))
        num_groups = np.bincount(split_of, minlength=len(shares))
        filled = held / wanted
        filled[num_groups == 0] = 0
        to = int(filled.argmin())
        can_give = num_groups > 1
        can_give[to] = False
        if not can_give.any() or (filled[to] >= _NARROWEST and filled.max() <= _WIDEST):
            return
        giver = int(np.where(can_give, filled, -1).argmax())
        there = np.flatnonzero(split_of == giver)
        off = np.abs(held[to] + sizes[there] - wanted[to])
        off += np.abs(held[giver] - sizes[there] - wanted[giver])
        now = abs(held[to] - wanted[to]) + abs(held[giver] - wanted[giver])
        best = there[np.lexsort((places[there], off))[0]]
        if num_groups[to] and off.min() >= now:
            return
        split_of[best] = to


def _mend_labels(
    split_of: np.ndarray,
    counts: Strata,
    *,
    sizes: np.ndarray,
    places: np.ndarray,
    num_splits: int,
) -> None:
    """Gives each split that lacks a label the smallest group with it of the split that has most."""
    for label in range(len(counts.totals)):
        groups = counts.members(label)
        for split in range(num_splits if len(groups) >= _EVERYWHERE_FROM else 1):
            there = np.bincount(split_of[groups], minlength=num_splits)
            if there[split] or not len(groups):
                continue
            richest = groups[split_of[groups] == there.argmax()]
            chosen = richest[np.lexsort((places[richest], sizes[richest]))[0]]
            if (split_of == split_of[chosen]).sum() > 1:  # no split becomes empty
                split_of[chosen] = split
