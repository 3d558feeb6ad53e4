"""The part of the labels that is used: 1 %, 10 %, each inside of the larger one.

How much a method needs labels shows in a curve over fractions of them, and the curve is smoother
where each point adds to the last.
"""

from collections.abc import Sequence

import numpy as np

from mclf_jax.common import checks
from mclf_jax.data.base.targets import Targets
from mclf_jax.data.splits.grouped import deal, number_groups
from mclf_jax.data.splits.strata import Strata, strata

# Of the parts that a set is cut into again and again: 10 % and 1 % are then as even as can be.
_PARTS = 10


def label_fraction(
    labels: Targets, groups: Sequence[str] | None = None, *, fraction: float, seed: int
) -> np.ndarray:
    """Items whose labels are used, the same for the same arguments in every run and process.

    All items stand in one order that `labels`, `groups` and `seed` decide, made by cutting the set
    into tenths in which labels are in proportion, those into tenths, and so on. The result is the
    beginning of that order and, so that every label that there is can be learnt, for each label
    that is not in the beginning its first item. A larger fraction contains a smaller one.

    Args:
        labels: int [N], or 0, 1 and NaN [N, K], or other numbers [N, K]; see `strata`.
        groups: [N], whole groups of which are taken; None for items one by one.
        fraction: share of the items, above 0 and up to 1.
        seed: of the order.

    Returns:
        Int [M], ascending. M is the nearest to `fraction` that whole groups allow, and more where
        labels are rare.

    Raises:
        ValueError: a fraction out of range, or labels and groups of different length.
    """
    checks.within("fraction", fraction, 0, 1, ends="(]")
    num_items = len(labels if groups is None else groups)
    group_of_item = np.arange(num_items)
    if groups is not None:
        group_of_item = number_groups(groups)
    counts = strata(labels, num_items=num_items).by_group(group_of_item)
    cutter = _Cutter(counts, np.bincount(group_of_item), seed=seed)
    everything = np.arange(len(counts))
    beginning = _beginning(cutter, everything, (), num_items=fraction * num_items)
    # Only those of the beginning count: what one label adds must not spare another, or the result
    # of a larger fraction might lack it.
    firsts = []
    for stratum in np.flatnonzero(counts.take(np.array(beginning, np.int64)).totals == 0):
        wanted = np.zeros(len(counts), bool)
        wanted[counts.members(stratum)] = True
        firsts.append(_first(cutter, everything, (), wanted=wanted))
    chosen = np.zeros(len(counts), bool)
    chosen[[*beginning, *firsts]] = True
    return np.flatnonzero(chosen[group_of_item])


class _Cutter:
    """Cuts sets of groups into parts; the same set is cut once."""

    def __init__(self, counts: Strata, sizes: np.ndarray, *, seed: int):
        self.sizes = sizes
        self._counts, self._seed = counts, seed
        self._known: dict[tuple[int, ...], list[np.ndarray]] = {}

    def parts(self, groups: np.ndarray, path: tuple[int, ...]) -> list[np.ndarray]:
        """The parts, in order, of the set that stands at `path`; `groups` ascend."""
        if path not in self._known:
            self._known[path] = self._cut(groups, np.random.default_rng([self._seed, *path]))
        return self._known[path]

    def _cut(self, groups: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
        if len(groups) <= _PARTS:
            shuffled = rng.permutation(groups)
            groups = shuffled[np.argsort(self.sizes[shuffled], kind="stable")]
            return np.split(groups, range(1, len(groups)))
        counts = self._counts.take(groups).not_empty()
        shares = np.full(_PARTS, 1 / _PARTS)
        part_of_group = deal(counts, self.sizes[groups], shares=shares, rng=rng)
        parts = [groups[part_of_group == part] for part in rng.permutation(_PARTS)]
        # A large group must not be all there is in a small fraction.
        return sorted(parts, key=lambda part: self.sizes[part].max())


def _beginning(
    cutter: _Cutter, groups: np.ndarray, path: tuple[int, ...], *, num_items: float
) -> list[int]:
    if len(groups) == 1:
        return groups.tolist() if num_items >= cutter.sizes[groups[0]] / 2 else []
    taken: list[int] = []
    for number, part in enumerate(cutter.parts(groups, path)):
        size = cutter.sizes[part].sum()
        if size > num_items + 1e-6:
            return taken + _beginning(cutter, part, (*path, number), num_items=num_items)
        taken += part.tolist()
        num_items -= size
    return taken


def _first(
    cutter: _Cutter, groups: np.ndarray, path: tuple[int, ...], *, wanted: np.ndarray
) -> int:
    if len(groups) == 1:
        return int(groups[0])
    for number, part in enumerate(cutter.parts(groups, path)):
        if wanted[part].any():
            return _first(cutter, part, (*path, number), wanted=wanted)
    raise AssertionError("a stratum that is not empty has a group")
