"""A part of the labels is used; the other training songs are there without theirs."""

import dataclasses
import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from mclf_jax.common import checks
from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.source import Source
from mclf_jax.data.catalogue.items import UNLABELLED
from mclf_jax.data.splits.few_labels import few_of_each
from mclf_jax.data.splits.fractions import label_fraction
from mclf_jax.data.views.base import View, derived

FRACTION_UNITS = ("item", "group")
HIDDEN = "hidden"


class NothingHidden(ValueError):
    """Of data of which all labels are used."""


def use_labels(
    source: Source,
    *,
    fraction: float = 1.0,
    fraction_seed: int = 0,
    fraction_unit: str = "item",
    songs_per_label: int = 0,
) -> Source:
    """A part of the labels of the training songs.

    Args:
        source: of which.
        fraction, fraction_seed, fraction_unit: see `with_label_fraction`; 1.0 for all labels.
        songs_per_label: see `with_few_labels`, with `fraction_seed`; 0 for all labels.

    Raises:
        ValueError: both are asked for, or a setting is out of range.
    """
    if not songs_per_label:
        return with_label_fraction(
            source, fraction=fraction, seed=fraction_seed, unit=fraction_unit
        )
    if fraction != 1:
        raise ValueError(
            f"fraction and songs_per_label are {fraction} and {songs_per_label}: one of them says "
            "which labels are used; make fraction 1, or songs_per_label 0"
        )
    return with_few_labels(source, songs_per_label=songs_per_label, seed=fraction_seed)


ALL_LABELS = {
    name: field.default
    for name, field in inspect.signature(use_labels).parameters.items()
    if name != "source"
}
"""The fields of `config.data` that `use_labels` takes, as they are where all labels are used."""


def with_label_fraction(
    source: Source, *, fraction: float, seed: int, unit: str = "item"
) -> Source:
    """Training with a fraction of the labels; the other training items become "unlabelled".

    There, their labels are hidden (NaN; 0 for single-label), so that no method can look.
    Valid and test stay as they are.

    Args:
        source: of which.
        fraction: of the training items, above 0 and up to 1; see `label_fraction`.
        seed: which items; not the seed of training, so that runs differ in that alone.
        unit: "item", or "group": artists or tracks as a whole.

    Raises:
        ValueError: nothing is in train, or a setting out of range.
    """
    checks.choice("fraction_unit", unit, FRACTION_UNITS)
    if fraction == 1:
        return source
    info, train = source.info, _train(source)
    labels = target_lib.take(source.targets, train)
    groups = [info.groups[i] for i in train] if unit == "group" else None
    used = train[label_fraction(labels, groups, fraction=fraction, seed=seed)]
    note = (
        f"labels of {fraction:.4g} of train are used, by {unit} with seed {seed}: {len(used)} of"
        f" {len(train)} items; {len(train) - len(used)} are in the split {UNLABELLED}"
    )
    if len(used) > max(1, 1.1 * fraction * len(train)):
        whole = ", and groups are whole" if groups else ""
        note += f". More than asked, because every label keeps an item{whole}"
    return _hidden(source, used, settings=["fraction", fraction, seed, unit], note=note)


def with_few_labels(source: Source, *, songs_per_label: int, seed: int) -> Source:
    """Training with a few songs of each label; the others become "unlabelled", as above.

    Args:
        source: of which.
        songs_per_label: at least 1; see `few_of_each`.
        seed: which songs.

    Raises:
        ValueError: nothing is in train, or `songs_per_label` is out of range.
    """
    info, train = source.info, _train(source)
    labels = target_lib.take(source.targets, train)
    groups = [info.groups[i] for i in train]
    used = train[few_of_each(labels, groups, num_songs=songs_per_label, seed=seed)]
    note = (
        f"labels of {songs_per_label} songs of each label are used, with seed {seed}: {len(used)} "
        f"of {len(train)} items; {len(train) - len(used)} are in the split {UNLABELLED}"
    )
    return _hidden(source, used, settings=["few", songs_per_label, seed], note=note)


def _train(source: Source) -> np.ndarray:
    train = np.asarray(source.info.splits.get("train", ()), np.int64)
    if not len(train):
        raise ValueError(f"{source.info.name} has nothing in train to take some labels of")
    return train


def _hidden(source: Source, used: np.ndarray, *, settings: Sequence[Any], note: str) -> View:
    """Training items without the `used` ones become "unlabelled", and their labels are hidden."""
    info, hidden = source.info, np.setdiff1d(_train(source), used)
    targets = target_lib.without(source.targets, hidden)
    unlabelled = np.union1d(info.splits.get(UNLABELLED, ()), hidden).astype(np.int64)
    splits = {**info.splits, "train": used, UNLABELLED: unlabelled}
    return derived(source, targets, settings=settings, note=note, splits=splits)


def revealed(source: Source) -> Source:
    """With the labels that `with_label_fraction` or `with_few_labels` hid, in the split "hidden".

    They are there to be compared with, not to be learnt from.

    Raises:
        NothingHidden: a ValueError; all labels are used.
    """
    base = source.base if isinstance(source, View) else source
    unlabelled, before = (one.info.splits.get(UNLABELLED, ()) for one in (source, base))
    hidden = np.setdiff1d(unlabelled, before).astype(np.int64)
    if not len(hidden):
        raise NothingHidden(
            "no labels are hidden: data.fraction is 1 and data.songs_per_label 0, or all are used"
        )
    splits = {**source.info.splits, HIDDEN: hidden}
    return View(base=base, info=dataclasses.replace(source.info, splits=splits))
