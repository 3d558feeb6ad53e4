"""Train, valid and test splits that keep artists, albums or tracks together.

Songs of one artist in both train and test let a model score by recognising the artist (the "album
effect", Flexer and Schnitzer, 2010, "Effects of Album and Artist Filters in Audio Similarity
Computed for Very Large Music Databases"), so groups, not items, are dealt out.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mclf_jax.common import checks
from mclf_jax.data.base.targets import Targets
from mclf_jax.data.splits.strata import Strata, strata


def split_by_group(
    groups: Sequence[str],
    labels: Targets | None,
    *,
    fractions: Mapping[str, float] | Sequence[tuple[str, float]] = (
        ("train", 0.7),
        ("valid", 0.15),
        ("test", 0.15),
    ),
    seed: int,
) -> dict[str, np.ndarray]:
    """Deals whole groups out to splits, each label in proportion as well as the groups allow.

    Greedy: the largest group first, each to the split where it brings the share of every label
    nearest to that split's fraction. Groups of one size come in an order drawn from `seed`. The
    result does not depend on the order of the items.

    Args:
        groups: [N], the group of each item.
        labels: what to stratify by: int [N] for single-label, 0 or 1 [N, K] for multi-label, other
            numbers [N, K] for regression (by quarters of each), NaN where unobserved, None for
            sizes alone; see `strata`.
        fractions: share of the items for each split; together 1.
        seed: of the order among groups of one size.

    Returns:
        For each split its item indices, ascending; no split is empty.

    Raises:
        ValueError: fewer groups than splits, or fractions that are not positive or not 1 together.
    """
    fractions = dict(fractions)
    names = sorted(set(map(str, groups)))
    shares = check_fractions(fractions, groups=names, num_items=len(groups))
    group_of_item = number_groups(groups)
    counts = strata(labels, num_items=len(groups)).by_group(group_of_item)
    split_of_group = deal(
        counts, np.bincount(group_of_item), shares=shares, rng=np.random.default_rng(seed)
    )
    return {
        name: np.flatnonzero(split_of_group[group_of_item] == split)
        for split, name in enumerate(fractions)
    }


def check_fractions(
    fractions: Mapping[str, float], *, groups: Sequence[str], num_items: int
) -> np.ndarray:
    """The fractions [P].

    Raises:
        ValueError: they are not positive, not 1 together, or more than there are groups.
    """
    shares = np.array(list(fractions.values()), np.float64)
    if not len(shares) or (shares <= 0).any() or not math.isclose(shares.sum(), 1, abs_tol=1e-6):
        raise ValueError(f"fractions must be positive and sum to 1, got {dict(fractions)}")
    if len(groups) < len(shares):
        raise ValueError(
            f"{len(shares)} splits ({checks.few(fractions)}) need at least {len(shares)} groups,"
            f" got {len(groups)} ({', '.join(groups[:5]) or 'none'}) for {num_items} items"
        )
    return shares


def number_groups(groups: Sequence[str]) -> np.ndarray:
    """Of each item, int64 [N]: the place of its group in the order of all of them."""
    # An array of text would have room for the longest name everywhere.
    named = list(map(str, groups))
    place = {name: number for number, name in enumerate(sorted(set(named)))}
    return np.array([place[name] for name in named], np.int64)


def deal(
    counts: Strata, sizes: np.ndarray, *, shares: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The split of each group, int [G]; see `split_by_group`.

    Args:
        counts: of the items of each group in strata, of which none is empty.
        sizes: int [G], all items of each group.
        shares: [P], of the items for each split, no more than there are groups.
        rng: of the order among groups of one size.
    """
    shuffled = rng.permutation(len(sizes))
    order = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    split_of_group = _deal_in_order(counts, sizes, shares=shares, order=order)
    _fill_empty(split_of_group, sizes=sizes, order=order, num_splits=len(shares))
    return split_of_group


def _deal_in_order(
    counts: Strata, sizes: np.ndarray, *, shares: np.ndarray, order: np.ndarray
) -> np.ndarray:
    """The split of each group, by its share of all items (column 0) and of each stratum."""
    everything = counts.beside(sizes)
    if everything.most_in_a_row <= 2:
        return _deal_pairs(everything, shares=shares.tolist(), order=order)
    held = np.zeros((len(shares), len(everything.totals)))
    added = np.zeros_like(held)
    split_of_group = np.zeros(len(sizes), np.int64)
    for group in order.tolist():
        columns, number = everything.row(group)
        share = number / everything.totals[columns]
        missing = shares[:, None] - held[:, columns]
        # what the group adds to the squared distance from the fractions, were it to go there
        added[:, columns] = (missing - share) ** 2 - missing**2
        cost = added.sum(axis=1)
        added[:, columns] = 0
        # equal but for rounding is equal: the order of addition must not decide
        split = int((cost <= cost.min() + 1e-9).argmax())
        split_of_group[group] = split
        held[split, columns] += share
    return split_of_group


def _deal_pairs(everything: Strata, *, shares: list[float], order: np.ndarray) -> np.ndarray:
    """The same where a group has one label at most: four times as fast without arrays."""
    held = [[0.0] * len(everything.totals) for _ in shares]
    starts, columns = [*map(int, everything.changes.indptr)], everything.changes.indices
    in_columns = (everything.changes.data / everything.totals[columns]).tolist()
    all_parts = list(zip(columns.tolist(), in_columns, strict=True))
    split_of_group = np.zeros(len(everything), np.int64)
    for group in order.tolist():
        parts, cost = all_parts[starts[group] : starts[group + 1]], []
        for wanted, has in zip(shares, held, strict=True):
            added = 0.0
            for column, share in parts:
                missing = wanted - has[column]
                added += (missing - share) * (missing - share) - missing * missing
            cost.append(added)
        limit = min(cost) + 1e-9
        split = next(split for split, each in enumerate(cost) if each <= limit)
        split_of_group[group] = split
        for column, share in parts:
            held[split][column] += share
    return split_of_group


def _fill_empty(
    split_of_group: np.ndarray, *, sizes: np.ndarray, order: np.ndarray, num_splits: int
) -> None:
    """Gives each empty split the smallest group of the split that has most groups."""
    for split in range(num_splits):
        if (split_of_group == split).any():
            continue
        richest = np.bincount(split_of_group, minlength=num_splits).argmax()
        candidates = order[split_of_group[order] == richest]
        split_of_group[candidates[sizes[candidates].argmin()]] = split
