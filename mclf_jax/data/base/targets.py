"""What items are labelled with, in little memory: of thousands of tags, a song has a few.

`Targets` are int32 [N] of single labels, float32 [N, K] of numbers, or `Tags`. All three give rows
when they are indexed; nothing here makes more than a few rows of tags at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # it takes a quarter of a second, and who listens to a song has no need of it
    from scipy import sparse

_BLOCK_VALUES = 1 << 21  # of rows that are made at once


@dataclasses.dataclass(frozen=True)
class Tags:
    """Float32 [N, K] of which a row is one value but for a few entries.

    Attributes:
        entries: [N, K], by rows; what is not stored is `rest`, also where 0 is stored.
        rest: float32 [N], 0, or NaN where only what is stored was looked for.
    """

    entries: sparse.csr_array
    rest: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        return self.entries.shape  # pyright: ignore

    def __len__(self) -> int:
        return len(self.rest)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[item] for item in range(len(self)))

    def __getitem__(self, index) -> np.ndarray:
        """Float32 [K] of an item, or [n, K] of several: a new array."""
        if np.ndim(index) == 0 and not isinstance(index, slice):
            item = range(len(self))[index]
            part = slice(*self.entries.indptr[item : item + 2])
            row = np.full(self.shape[1], self.rest[item])
            row[self.entries.indices[part]] = self.entries.data[part]
            return row
        chosen = self.take(index)
        rows = np.repeat(chosen.rest[:, None], self.shape[1], axis=1)
        rows[rows_of(chosen.entries), chosen.entries.indices] = chosen.entries.data
        return rows

    def take(self, index) -> Tags:
        """The same of some items."""
        items = np.arange(len(self))[index]
        return Tags(self.entries[items], self.rest[items])

    def rest_of_entries(self) -> np.ndarray:
        """What would stand in the place of each entry."""
        return self.rest[rows_of(self.entries)]


Targets = np.ndarray | Tags


def tags(rows: Iterable[tuple[float, Mapping[int, float]]], *, num_labels: int) -> Tags:
    """Tags of what each row is (0 or NaN) but for some columns, {column: value}."""
    from scipy import sparse

    rest, stops, columns, values = [], [0], [], []
    for value, entries in rows:
        rest.append(value)
        columns += sorted(entries)
        values += [entries[column] for column in sorted(entries)]
        stops.append(len(columns))
    return Tags(
        sparse.csr_array(
            (np.array(values, np.float32), np.array(columns, np.int32), np.array(stops)),
            shape=(len(rest), num_labels),
        ),
        np.array(rest, np.float32),
    )


def compact(blocks: Iterable[np.ndarray], *, num_labels: int) -> Tags:
    """Tags of float32 [n, K] in blocks of rows."""
    from scipy import sparse

    rest, entries = [np.zeros(0, np.float32)], [sparse.csr_array((0, num_labels), dtype=np.float32)]
    for block in blocks:
        unknown = np.isnan(block)
        mostly_unknown = unknown.sum(axis=1) > num_labels / 2
        row, column = np.nonzero(np.where(mostly_unknown[:, None], ~unknown, block != 0))
        starts = np.r_[0, np.cumsum(np.bincount(row, minlength=len(block)))]
        of_block = (block[row, column], column.astype(np.int32), starts)
        entries.append(sparse.csr_array(of_block, shape=block.shape))
        rest.append(np.where(mostly_unknown, np.float32(np.nan), np.float32(0)))
    return Tags(sparse.vstack(entries, format="csr"), np.concatenate(rest))


def in_own_unit(values: np.ndarray, unit: Sequence[tuple[float, float]]) -> np.ndarray:
    """Numbers [..., K] as the data have them, by `Info.unit`, in their type; () changes nothing."""
    if not len(unit):
        return values
    scale, offset = np.array(unit, np.float64).T
    return (np.asarray(values, np.float64) * scale + offset).astype(np.asarray(values).dtype)


def blocks(targets: Targets) -> Iterator[np.ndarray]:
    """All rows, one after the other, in arrays of a few megabytes."""
    if isinstance(targets, np.ndarray):
        yield targets
        return
    step = max(1, _BLOCK_VALUES // max(1, targets.shape[1]))
    for start in range(0, len(targets), step):
        yield targets[start : start + step]


def take(targets: Targets, index) -> Targets:
    """Those of some items."""
    return targets[index] if isinstance(targets, np.ndarray) else targets.take(index)


def known(targets: Targets) -> Targets:
    """With 0 for NaN: unknown is as good as absent."""
    if isinstance(targets, np.ndarray):
        return np.nan_to_num(targets)
    entries = targets.entries.copy()
    entries.data = np.nan_to_num(entries.data)
    return Tags(entries, np.zeros_like(targets.rest))


def without(targets: Targets, items: np.ndarray) -> Targets:
    """Nothing is known of some items: NaN, or 0 where labels are single."""
    if isinstance(targets, np.ndarray):
        changed = targets.copy()
        changed[items] = 0 if targets.ndim == 1 else np.nan
        return changed
    rest = targets.rest.copy()
    rest[items] = np.nan
    is_kept = np.ones(len(targets), bool)
    is_kept[items] = False
    return Tags(_chosen(targets.entries, is_kept[rows_of(targets.entries)]), rest)


def any_known(targets: Targets) -> np.ndarray:
    """Bool [N]: whether something is known of an item."""
    if isinstance(targets, np.ndarray):
        return ~np.isnan(targets).all(axis=tuple(range(1, targets.ndim)))
    num_known = np.zeros(len(targets), np.int64)
    np.add.at(num_known, rows_of(targets.entries), ~np.isnan(targets.entries.data))
    num_stored = np.diff(targets.entries.indptr)
    whole_row = ~np.isnan(targets.rest) & (num_stored < targets.shape[1])
    return whole_row | (num_known > 0)


def positives(targets: Targets, *, num_labels: int) -> sparse.csr_array:
    """[N, K] with a 1 stored where an item has a label; of single labels, and of tags."""
    from scipy import sparse

    if isinstance(targets, np.ndarray) and targets.ndim == 1:
        ones = np.ones(len(targets), np.int32)
        parts = (ones, targets.astype(np.int32), np.arange(len(targets) + 1))
        return sparse.csr_array(parts, shape=(len(targets), num_labels))
    entries = targets.entries if isinstance(targets, Tags) else sparse.csr_array(targets)
    there = _chosen(entries, entries.data > 0)  # NaN is not
    there.data = np.ones(len(there.data), np.int32)
    return there


def count_positives(targets: Targets, *, num_labels: int) -> np.ndarray:
    """Int64 [K]: how many items have each label."""
    return np.bincount(positives(targets, num_labels=num_labels).indices, minlength=num_labels)


def count_observed(targets: Targets, *, num_labels: int) -> np.ndarray:
    """Int64 [K]: of how many items it is known whether they have each label, or its number."""
    if isinstance(targets, np.ndarray):
        return np.broadcast_to((~np.isnan(targets)).sum(axis=0), num_labels).copy()
    entry_known, rest_known = ~np.isnan(targets.entries.data), ~np.isnan(targets.rest_of_entries())
    by_column = np.zeros(num_labels, np.int64)
    changes = entry_known.astype(np.int64) - rest_known
    np.add.at(by_column, targets.entries.indices, changes)
    return by_column + np.count_nonzero(~np.isnan(targets.rest))


def rows_of(entries: sparse.csr_array) -> np.ndarray:
    """The row of each entry."""
    return np.repeat(np.arange(entries.shape[0]), np.diff(entries.indptr))  # pyright: ignore


def _chosen(entries: sparse.csr_array, chosen: np.ndarray) -> sparse.csr_array:
    """Some of the entries, bool [number of entries]."""
    from scipy import sparse

    starts = np.concatenate([[0], np.cumsum(chosen)])[entries.indptr]
    parts = (entries.data[chosen], entries.indices[chosen], starts)
    return sparse.csr_array(parts, shape=entries.shape)
