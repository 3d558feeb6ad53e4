"""A data set seen differently: some labels hidden, other folds, one's own taxonomy.

Functions from a `Source` to a `Source`. Items keep their index, audio is not touched.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mclf_jax.data.base.source import Info, Source, read_only
from mclf_jax.data.catalogue.items import SPLITS, UNLABELLED
from mclf_jax.data.splits.few_labels import few_of_each
from mclf_jax.data.splits.folds import k_folds
from mclf_jax.data.splits.fractions import label_fraction
from mclf_jax.data.views import taxonomy as taxonomies

FRACTION_UNITS = ("item", "group")
HIDDEN = "hidden"


class NothingHidden(ValueError):
    """Of data of which all labels are used."""


@dataclasses.dataclass(frozen=True)
class View(Source):
    """Another source with other labels, splits or facts.

    Attributes:
        base: the other one.
        info: what differs from `base.info`, and all the rest of it.
        labels: int32 [N] or float32 [N, K]; those of the base if not given.
    """

    base: Source
    info: Info
    labels: np.ndarray | None = None

    def __post_init__(self):
        labels = self.base.labels if self.labels is None else read_only(self.labels)
        object.__setattr__(self, "labels", labels)

    def read(self, index: int, *, start_sample: int, num_samples: int) -> np.ndarray:
        return self.base.read(index, start_sample=start_sample, num_samples=num_samples)

    def num_samples(self, index: int) -> int:
        return self.base.num_samples(index)

    def item_id(self, index: int) -> str:
        return self.base.item_id(index)


def apply(
    source: Source,
    *,
    taxonomy: str | os.PathLike | Mapping[str, Any] = "",
    num_folds: int = 0,
    fold: int = 0,
    fold_seed: int = 0,
    fraction: float = 1.0,
    fraction_seed: int = 0,
    fraction_unit: str = "item",
    songs_per_label: int = 0,
) -> Source:
    """The source under a taxonomy, then in folds, then with a part of its labels.

    Args:
        source: of which.
        taxonomy: see `with_taxonomy`; empty for none.
        num_folds, fold, fold_seed: see `with_folds`; 0 folds for the splits as they are.
        fraction, fraction_seed, fraction_unit: see `with_label_fraction`; 1.0 for all labels.
        songs_per_label: see `with_few_labels`, with `fraction_seed`; 0 for all labels.

    Returns:
        `source` itself where nothing is asked.

    Raises:
        ValueError: a setting out of range, or not for this source.
    """
    if taxonomy:
        source = with_taxonomy(source, taxonomy)
    if num_folds:
        source = with_folds(source, num_folds=num_folds, fold=fold, seed=fold_seed)
    elif fold:
        raise ValueError(f"fold is {fold}, but num_folds is 0: say of how many folds")
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


def with_label_fraction(
    source: Source, *, fraction: float, seed: int, unit: str = "item"
) -> Source:
    """Training with a fraction of the labels; the other training items become "unlabelled".

    There, their labels are hidden (NaN; 0 for one label of many), so that no method can look.
    Valid and test stay as they are.

    Args:
        source: of which.
        fraction: of the training items, above 0 and up to 1; see `label_fraction`.
        seed: which items; not the seed of training, so that runs differ in that alone.
        unit: "item", or "group": artists or tracks as a whole.

    Raises:
        ValueError: nothing is in train, or a setting out of range.
    """
    if unit not in FRACTION_UNITS:
        raise ValueError(f"fraction unit is {unit!r}; allowed: {', '.join(FRACTION_UNITS)}")
    if fraction == 1:
        return source
    info, train = source.info, _train(source)
    labels = source.labels[train]
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
    labels = source.labels[train]
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
    info, labels = source.info, source.labels.copy()
    hidden = np.setdiff1d(_train(source), used)
    labels[hidden] = 0 if info.task == "single_label" else np.nan
    unlabelled = np.union1d(info.splits.get(UNLABELLED, ()), hidden).astype(np.int64)
    splits = {**info.splits, "train": used, UNLABELLED: unlabelled}
    return derived(source, labels, settings=settings, note=note, splits=splits)


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


def with_folds(source: Source, *, num_folds: int, fold: int, seed: int) -> Source:
    """Cross-validation: test is one fold, valid the next, train all others.

    Folds are of everything that is labelled, by group and in proportion (`k_folds`); the splits
    that the data set came with are not used. Unlabelled items of a group in valid or test are
    left out, because they would tell of it.

    Args:
        source: of which.
        num_folds: k, at least 3.
        fold: which, from 0 to k - 1.
        seed: of the folds; the same for all k, or they are no folds.

    Raises:
        ValueError: a setting out of range, or fewer groups than folds.
    """
    if num_folds < 3:
        raise ValueError(f"num_folds must be at least 3 for test, valid and train, got {num_folds}")
    if not 0 <= fold < num_folds:
        raise ValueError(f"fold must be from 0 to {num_folds - 1}, got {fold}")
    info = source.info
    pool = np.unique(np.concatenate([np.asarray(info.splits.get(s, ()), np.int64) for s in SPLITS]))
    groups = np.asarray(info.groups)
    folds = k_folds(groups[pool], source.labels[pool], num_folds=num_folds, seed=seed)
    splits = {
        "train": np.setdiff1d(pool, pool[np.union1d(folds[fold], folds[(fold + 1) % num_folds])]),
        "valid": pool[folds[(fold + 1) % num_folds]],
        "test": pool[folds[fold]],
    }
    counts = ", ".join(f"{split} {len(items)}" for split, items in splits.items())
    note = f"fold {fold} of {num_folds}, by group with seed {seed}, not the given splits: {counts}"
    if len(unlabelled := np.asarray(info.splits.get(UNLABELLED, ()), np.int64)):
        held_out = groups[np.concatenate([splits["valid"], splits["test"]])]
        splits[UNLABELLED] = unlabelled[~np.isin(groups[unlabelled], held_out)]
        if lost := len(unlabelled) - len(splits[UNLABELLED]):
            note += f"; {lost} unlabelled items left out, of groups in valid or test"
    return derived(
        source, None, settings=["folds", num_folds, fold, seed], note=note, splits=splits
    )


def with_taxonomy(source: Source, taxonomy: str | os.PathLike | Mapping[str, Any]) -> Source:
    """Labels as a taxonomy wants them; see `taxonomy` for its form and `taxonomy.apply`.

    Items of one label of many whose label is dropped are left out, and listed: audio of none of
    the classes teaches a classifier nothing when unlabelled, and in test there is no right answer
    for it. With tags an item stays, because that it has none of them is something to learn.

    Args:
        source: of which.
        taxonomy: a JSON file, or the same as a dict.

    Raises:
        ValueError: the taxonomy does not fit the labels, or leaves nothing to train on.
    """
    info, old = source.info, source.labels
    chosen = taxonomies.read(taxonomy)
    labelled = np.ones(len(source), bool)
    labelled[np.asarray(info.splits.get(UNLABELLED, ()), np.int64)] = False
    new = taxonomies.apply(
        chosen, old, info.labels, task=info.task, labelled=labelled, parents=info.parents
    )
    left_out = np.flatnonzero(new.without)
    splits = {split: np.setdiff1d(items, left_out) for split, items in info.splits.items()}
    if not len(splits.get("train", ())):
        raise ValueError(f"the taxonomy leaves nothing of {info.name} in train: drop fewer labels")
    note = f"taxonomy: {len(info.labels)} labels became {len(new.names)}"
    if len(left_out):
        note += f"; {len(left_out)} items of dropped labels are left out"
    if new.task == info.task == "multi_label":
        emptied = (old > 0).any(axis=1) & ~(new.labels > 0).any(axis=1)
        if emptied.any():
            note += f"; {emptied.sum()} items have none of the remaining tags"
    if new.task != info.task:
        note += "; they are tags now, because a label comes with its parents"
    why = "its label {!r} is dropped by the taxonomy"
    skipped = [(source.item_id(int(i)), why.format(info.labels[old[i]])) for i in left_out]
    return derived(
        source,
        new.labels,
        settings=["taxonomy", dataclasses.asdict(chosen)],
        note=note,
        splits=splits,
        task=new.task,
        labels_in_order=new.names,
        parents=new.parents,
        skipped=(*info.skipped, *skipped),
    )


def derived(
    source: Source,
    labels: np.ndarray | None,
    *,
    settings: Sequence[Any],
    note: str,
    splits: Mapping[str, np.ndarray],
    labels_in_order: tuple[str, ...] | None = None,
    **changes: Any,
) -> View:
    """A view, with a fingerprint of its own.

    Args:
        source: of which.
        labels: of all its items; None for those that it has.
        settings: of JSON types, what was asked for; for the fingerprint.
        note: what came out, a sentence for `info.notes`.
        splits: of the view.
        labels_in_order: label names, where they are others.
        **changes: of other fields of `info`.
    """
    info = source.info
    # Of what came out too: another version of how it is made must not pass for the same data.
    content = hashlib.sha256(json.dumps([info.fingerprint, settings], sort_keys=True).encode())
    for split in sorted(splits):
        content.update(split.encode() + np.asarray(splits[split], np.int64).tobytes())
    if labels is not None:
        content.update(np.ascontiguousarray(labels).tobytes())
    return View(
        base=source,
        info=dataclasses.replace(
            info,
            splits=splits,
            labels=info.labels if labels_in_order is None else labels_in_order,
            fingerprint=content.hexdigest(),
            notes=(*info.notes, note),
            **changes,
        ),
        labels=labels,
    )
