"""A few labelled songs of each label, the protocol of FixMatch and its kin; nested as they grow."""

import itertools
from collections.abc import Sequence

import numpy as np

from mclf_jax.common import checks
from mclf_jax.data.base.targets import Targets
from mclf_jax.data.splits.strata import strata


def few_of_each(
    labels: Targets, groups: Sequence[str] | None = None, *, num_songs: int, seed: int
) -> np.ndarray:
    """Songs whose labels are used: so many of each label, or all where there are fewer.

    In rounds, each of which adds a song of every label that has not got one in it; so what is
    chosen for a smaller number is among what is chosen for a larger one. A song with several tags
    counts for each. Of a label, songs of a group that it has none of yet come first.

    Args:
        labels: int [N] or 0, 1 and NaN [N, K]; of other numbers, quarters are what labels are.
        groups: [N]; None if each item is its own.
        num_songs: of each label, at least 1.
        seed: of the choice.

    Returns:
        Int [M], ascending.

    Raises:
        ValueError: `num_songs` is below 1, or labels and groups differ in length.
    """
    checks.at_least("num_songs", num_songs, 1)
    groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
    counts = strata(labels, num_items=len(groups))
    # The rarest label chooses first: its songs are wanted anyway.
    order = np.argsort(counts.totals, kind="stable")
    members = [counts.members(label) for label in order]
    queues = [
        _one_of_each_group_first(items, groups, seed=[seed, int(label)])
        for label, items in zip(order, members, strict=True)
    ]
    chosen = np.zeros(len(groups), bool)
    for round_number, (items, queue) in itertools.product(
        range(1, num_songs + 1), list(zip(members, queues, strict=True))
    ):
        if chosen[items].sum() < round_number:
            chosen[queue[~chosen[queue]][:1]] = True
    return np.flatnonzero(chosen)


def _one_of_each_group_first(
    items: np.ndarray, groups: np.ndarray, *, seed: Sequence[int]
) -> np.ndarray:
    items = np.random.default_rng(seed).permutation(items)
    seen: dict = {}
    nth = []
    for item in items:
        nth.append(seen.get(groups[item], 0))
        seen[groups[item]] = nth[-1] + 1
    return items[np.argsort(nth, kind="stable")]
