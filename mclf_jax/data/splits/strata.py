"""Which strata an item belongs to, whatever its labels are: what splits are stratified by."""

import dataclasses
import functools

import numpy as np
from scipy import sparse

from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.targets import Tags, Targets

_REGRESSION_BINS = 4


@dataclasses.dataclass(frozen=True)
class Strata:
    """How many of the items of each row are in each stratum; a row is an item, or a group of them.

    That is `common` in each stratum that is `usual` and 0 in the others, but for `changes`: neither
    thousands of rare tags nor being known to have none of them takes much memory.

    Attributes:
        changes: int [N, S], what is more or less.
        common: int [N].
        usual: bool [S].
    """

    changes: sparse.csr_array
    common: np.ndarray
    usual: np.ndarray

    def __len__(self) -> int:
        return len(self.common)

    @functools.cached_property
    def totals(self) -> np.ndarray:
        """Int [S]: items in each stratum."""
        return self.changes.sum(axis=0) + self.common.sum() * self.usual

    def dense(self) -> np.ndarray:
        """Int [N, S]."""
        return self.changes.toarray() + self.common[:, None] * self.usual

    def row(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Strata in which a row has items, int [n], and how many, int [n]."""
        part = slice(*self.changes.indptr[row : row + 2])
        columns, counts = self.changes.indices[part], self.changes.data[part]
        if self._has_usual and self.common[row]:
            everywhere = self.common[row] * self.usual
            everywhere[columns] += counts
            columns = np.flatnonzero(everywhere)
            counts = everywhere[columns]
        return columns, counts

    def members(self, stratum: int) -> np.ndarray:
        """Rows that have items in a stratum, ascending."""
        part = slice(*self._by_stratum.indptr[stratum : stratum + 2])
        rows, counts = self._by_stratum.indices[part], self._by_stratum.data[part]
        everywhere = self.common * self.usual[stratum]
        everywhere[rows] += counts
        return np.flatnonzero(everywhere)

    @property
    def most_in_a_row(self) -> int:
        """In how many strata a row has items, at most."""
        return len(self.usual) if self._has_usual else np.diff(self.changes.indptr).max(initial=0)

    @functools.cached_property
    def _has_usual(self) -> bool:
        return bool(self.usual.any())

    @functools.cached_property
    def _by_stratum(self) -> sparse.csc_array:
        return self.changes.tocsc()

    def take(self, rows: np.ndarray) -> "Strata":
        """Some rows, of all strata."""
        return Strata(self.changes[rows], self.common[rows], self.usual)

    def not_empty(self) -> "Strata":
        """Without the strata that no row has items in."""
        kept = np.flatnonzero(self.totals)
        return Strata(self.changes[:, kept], self.common, self.usual[kept])

    def beside(self, sizes: np.ndarray) -> "Strata":
        """With one more before them: that of everything, int [N]."""
        changes = sparse.hstack([sparse.csr_array(sizes[:, None]), self.changes], format="csr")
        return Strata(changes, self.common, np.concatenate([[False], self.usual]))

    def by_group(self, group_of_item: np.ndarray) -> "Strata":
        """Added up over the items of each group, int [N] from 0."""
        where = (group_of_item, np.arange(len(self)))
        sums = sparse.csr_array((np.ones(len(self), np.int32), where))
        changes = sparse.csr_array(sums @ self.changes)
        changes.eliminate_zeros()
        return Strata(changes, sums @ self.common, self.usual)


def strata(labels: Targets | None, *, num_items: int) -> Strata:
    """Membership of each item in each stratum.

    Args:
        labels: int [N] for single-label: a stratum for each. 0 or 1 [N, K] for multi-label: one for
            the items that have a tag and, for a tag that is unobserved (NaN) somewhere, one for
            those known not to have it. Other numbers [N, K] for regression: the quarters of
            each, NaN in none. None: no strata.
        num_items: N.

    Returns:
        A row for each item; no stratum is empty.

    Raises:
        ValueError: labels are not of length N.
    """
    if labels is None:
        return _of_members(sparse.csr_array((num_items, 0), dtype=np.int32))
    labels = labels if isinstance(labels, Tags) else np.asarray(labels)
    if len(labels) != num_items:
        raise ValueError(f"labels and groups must be of one length, got {len(labels)}, {num_items}")
    if isinstance(labels, np.ndarray) and labels.ndim == 1:
        names, number = np.unique(labels, return_inverse=True)
        return _of_members(target_lib.positives(number, num_labels=len(names)))
    if _are_numbers(labels):
        return _of_quarters(labels[:])
    if isinstance(labels, np.ndarray):
        labels = target_lib.compact([labels], num_labels=labels.shape[1])
    return _of_tags(labels).not_empty()


def _are_numbers(labels: Targets) -> bool:
    values = labels if isinstance(labels, np.ndarray) else labels.entries.data
    return not ((values == 0) | (values == 1) | np.isnan(values)).all()


def _of_members(members: sparse.csr_array) -> Strata:
    num_items, num_strata = members.shape  # pyright: ignore
    return Strata(members, np.zeros(num_items, np.int64), np.zeros(num_strata, bool))


def _of_quarters(numbers: np.ndarray) -> Strata:
    unobserved = np.isnan(numbers)
    # NaN is sorted last, which makes its quarter one that is not looked for
    ranks = numbers.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    quarter = ranks * _REGRESSION_BINS // np.maximum(len(numbers) - unobserved.sum(axis=0), 1)
    member = (quarter[:, :, None] == np.arange(_REGRESSION_BINS)).reshape(len(numbers), -1)
    return _of_members(sparse.csr_array(member, dtype=np.int32)).not_empty()


def _of_tags(tags: Tags) -> Strata:
    num_labels = tags.shape[1]
    with_tag = target_lib.positives(tags, num_labels=num_labels)
    partial = target_lib.count_observed(tags, num_labels=num_labels) < len(tags)
    # Who is not looked at for a tag alone is known to be without it, but for what is stored.
    without = tags.entries.copy()
    without.data = (without.data == 0).astype(np.int32) - (tags.rest_of_entries() == 0)
    without = without[:, np.flatnonzero(partial)]
    without.eliminate_zeros()
    usual = np.repeat([False, True], [num_labels, without.shape[1]])
    changes = sparse.hstack([with_tag, without], format="csr")
    return Strata(changes, (tags.rest == 0).astype(np.int64), usual)
