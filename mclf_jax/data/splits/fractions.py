"""The part of the labels that is used: 1 %, 10 %, each inside of the larger one.

How much a method needs labels shows in a curve over fractions of them, and the curve is smoother
where each point adds to the last.
"""

from collections.abc import Sequence

import numpy as np

from mclf_jax.common import checks
from mclf_jax.data.splits.grouped import deal
from mclf_jax.data.splits.strata import strata

# Of the parts that a set is cut into again and again: 10 % and 1 % are then as even as can be.
_PARTS = 10


def label_fraction(
    labels: np.ndarray, groups: Sequence[str] | None = None, *, fraction: float, seed: int
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
    member = strata(labels, num_items=len(labels if groups is None else groups))
    if groups is None:
        group_of_item = np.arange(len(member))
    else:
        group_of_item = np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1]
    cutter = _Cutter(member, group_of_item, seed=seed)
    everything = np.arange(len(cutter.sizes))
    chosen = np.zeros(len(everything), bool)
    chosen[_beginning(cutter, everything, (), num_items=fraction * len(member))] = True
    has_stratum = np.zeros((len(everything), member.shape[1]), bool)
    np.logical_or.at(has_stratum, group_of_item, member)
    # Only those of the beginning count: what one label adds must not spare another, or the result
    # of a larger fraction might lack it.
    firsts = [
        _first(cutter, everything, (), wanted=has_stratum[:, s])
        for s in np.flatnonzero(~has_stratum[chosen].any(axis=0))
    ]
    chosen[firsts] = True
    return np.flatnonzero(chosen[group_of_item])


class _Cutter:
    """Cuts sets of groups into parts; the same set is cut once."""

    def __init__(self, member: np.ndarray, group_of_item: np.ndarray, *, seed: int):
        self.sizes = np.bincount(group_of_item)
        self._member, self._group_of_item, self._seed = member, group_of_item, seed
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
        items = np.isin(self._group_of_item, groups)
        member = self._member[items]
        part_of_group = deal(
            member[:, member.any(axis=0)],
            np.searchsorted(groups, self._group_of_item[items]),
            shares=np.full(_PARTS, 1 / _PARTS),
            rng=rng,
        )
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
