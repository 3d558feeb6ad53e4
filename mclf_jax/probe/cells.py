"""Which songs and labels a probe gets: seeds, folds, fractions of the labels."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.source import Source
from mclf_jax.data.catalogue.items import SPLITS, UNLABELLED
from mclf_jax.data.views.apply import apply
from mclf_jax.data.views.hidden import with_few_labels, with_label_fraction
from mclf_jax.shallow.embeddings import keep_labelled, labelled_songs


@dataclasses.dataclass(frozen=True)
class Cell:
    """What all fits of one seed, fold and fraction share.

    Attributes:
        source: in whose split "train" are the songs of which the labels may be used.
        seed, fold, fraction, songs_per_label: which they are; with `songs_per_label` so many songs
            of each label, where the fraction is 1, and all of the fraction with 0.
    """

    source: Source
    seed: int
    fold: int
    fraction: float
    songs_per_label: int = 0

    @property
    def amount(self) -> tuple[int, float]:
        """As of a `result.Record`."""
        return self.songs_per_label, self.fraction

    def split(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """See `keep_labelled`."""
        return keep_labelled(self.source, self.source.info.splits.get(name, ()))

    def unlabelled(self) -> np.ndarray:
        """See `find_unlabelled`; songs whose labels the fraction has hidden are among them."""
        return find_unlabelled(self.source)


def deal_cells(
    source: Source,
    *,
    seeds: Sequence[int],
    num_folds: int,
    fractions: Sequence[float],
    songs_per_label: Sequence[int] = (),
) -> Iterator[Cell]:
    """Every combination; the songs of a fraction are among those of the next larger one, and so
    are those of a number of songs."""
    for seed in seeds:
        for fold in range(num_folds or 1):
            dealt = apply(source, num_folds=num_folds, fold=fold, fold_seed=seed)
            for count in sorted(songs_per_label):
                used = with_few_labels(dealt, songs_per_label=count, seed=seed)
                yield Cell(used, seed, fold, 1.0, count)
            for fraction in sorted(fractions):
                used = with_label_fraction(dealt, fraction=fraction, seed=seed)
                yield Cell(used, seed, fold, fraction)


def find_unlabelled(source: Source) -> np.ndarray:
    """Songs that can be learnt from without labels, int [N]: of "unlabelled", and of train.

    In train are those of which no label is known. None is in valid or test.
    """
    splits = source.info.splits
    train = np.asarray(splits.get("train", ()), np.int64)
    candidates = np.union1d(train, np.asarray(splits.get(UNLABELLED, ()), np.int64))
    others = [labelled_songs(source, train), *(splits.get(split, ()) for split in SPLITS[1:])]
    return np.setdiff1d(candidates, np.concatenate(others))


def find_missing_labels(all_cells: Sequence[Cell]) -> list[str]:
    """A sentence for each split that lacks songs of a label: nothing learns it, or tests it."""
    found = []
    for split in SPLITS:
        counts: dict[str, int] = {}
        for cell in all_cells:
            there = _labels_there(cell, split)
            for label in cell.source.info.labels:
                counts[label] = counts.get(label, 0) + (label not in there)
        shown = [
            f"{label} ({count} of {len(all_cells)})" if count < len(all_cells) else label
            for label, count in counts.items()
            if count
        ]
        if shown:
            found.append(f"Labels without a song in {split} (in how many choices of songs): ")
            found[-1] += f"{', '.join(shown)}."
    return found


def _labels_there(cell: Cell, split: str) -> set[str]:
    info = cell.source.info
    songs = labelled_songs(cell.source, info.splits.get(split, ()))
    targets = target_lib.take(cell.source.targets, songs)
    count = target_lib.count_positives
    if info.task == "regression":
        count = target_lib.count_observed
    there = count(targets, num_labels=len(info.labels)) > 0
    return {label for label, found in zip(info.labels, there, strict=True) if found}
