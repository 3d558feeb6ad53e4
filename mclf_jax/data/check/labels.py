"""How often each label is in each split, and whether that is enough to learn and to score it."""

import dataclasses
import functools
import itertools
from collections.abc import Sequence

import numpy as np
from scipy import sparse

from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.source import Info, Source
from mclf_jax.data.base.targets import Targets
from mclf_jax.data.catalogue.items import SPLITS
from mclf_jax.data.check.finding import Finding, plural
from mclf_jax.data.splits.grouped import number_groups

MIN_POSITIVES = 10
"""In a split that is scored. With n positives, the recall of a label has a standard error of up
to .5/sqrt(n), .16 for ten, and one song more or less moves it by 1/n."""
_WITHOUT = {
    "train": "nothing can be trained on this data set",
    "valid": "no checkpoint is the best while it is trained on",
}

_finding = functools.partial(Finding, "labels")
_RANDOM_SPLITS = 100
_SMALL_DIVERGENCE = 0.01  # bits; below, no label is far off
_MIN_EXPECTED = 5  # positives, below which a ratio of shares is chance
_SHIFT = 0.3  # of a standard deviation, between the means of a target in two splits


@dataclasses.dataclass(frozen=True)
class Counts:
    """Label counts of the labelled splits; S splits, K labels."""

    labels: tuple[str, ...]  # names
    splits: tuple[str, ...]  # names of the labelled splits that there are
    sizes: np.ndarray  # int [S], items
    positives: np.ndarray  # int [S, K]
    observed: np.ndarray  # int [S, K], items of which it is known whether they have the label
    # int [K, K], items that have both labels; the diagonal is the positives
    together: sparse.csr_array

    def share(self) -> np.ndarray:
        """Float [S, K]: positives of what was observed; 0 where nothing was."""
        return self.positives / np.maximum(self.observed, 1)

    def to_dict(self) -> dict:
        return {
            split: {
                label: {"positives": int(p), "observed": int(o)}
                for label, p, o in zip(self.labels, positives, observed, strict=True)
            }
            for split, positives, observed in zip(
                self.splits, self.positives, self.observed, strict=True
            )
        }


@dataclasses.dataclass(frozen=True)
class Labels:
    """The labels of all items in labelled splits."""

    targets: Targets  # int [n] for single labels; [n, K] for tags and numbers
    items: np.ndarray  # int [n], their positions in the source
    split: np.ndarray  # int [n], position of each item's split in `splits`
    splits: tuple[str, ...]  # names


def read(source: Source) -> Labels:
    """The labels of a source."""
    info = source.info
    names = tuple(name for name in SPLITS if len(info.splits.get(name, ())))
    items = np.concatenate([info.splits[name] for name in names] or [np.zeros(0, np.int64)])
    split = np.repeat(np.arange(len(names)), [len(info.splits[name]) for name in names])
    targets = target_lib.take(source.targets, items)
    return Labels(targets=targets, items=items, split=split, splits=names)


def count(info: Info, labels: Labels) -> Counts:
    """Counts of a data set of single labels or tags."""
    of_split = [
        target_lib.take(labels.targets, labels.split == number)
        for number in range(len(labels.splits))
    ]
    size = {"num_labels": len(info.labels)}
    positive = target_lib.positives(labels.targets, **size)
    return Counts(
        labels=info.labels,
        splits=labels.splits,
        sizes=np.array([len(targets) for targets in of_split]),
        positives=np.stack([target_lib.count_positives(each, **size) for each in of_split]),
        observed=np.stack([target_lib.count_observed(each, **size) for each in of_split]),
        together=(positive.T @ positive).tocsr(),
    )


def labels_per_item(info: Info, labels: Labels) -> np.ndarray:
    """Int [n], of single labels or tags."""
    positive = target_lib.positives(labels.targets, num_labels=len(info.labels))
    return np.diff(positive.indptr)


def check(info: Info, labels: Labels, counts: Counts | None) -> list[Finding]:
    """What the labels' numbers say."""
    if not len(labels.items):
        return [_finding("note", "no item is in a labelled split")]
    if counts is None:
        return [*_splits(info), *_targets(info, labels)]
    return [
        *_splits(info),
        *_frequencies(info, labels, counts),
        *_absent(counts),
        *_too_few(counts),
        *_observed(counts),
        *_hierarchy(info, labels),
        *_mismatch(info, labels, counts),
    ]


def _splits(info: Info) -> list[Finding]:
    return [
        _finding("warning", f"no item is in the split {name}: {meaning}")
        for name, meaning in _WITHOUT.items()
        if not len(info.splits.get(name, ()))
    ]


def _frequencies(info: Info, labels: Labels, counts: Counts) -> list[Finding]:
    total = counts.positives.sum(axis=0)
    most, least = int(total.argmax()), int(total.argmin())
    text = plural(len(counts.labels), "label")
    if total[most] == total[least]:
        text += f" of {plural(total[most], 'item')} each"
    else:
        text += (
            f", from {counts.labels[most]!r} with {total[most]} items to {counts.labels[least]!r} "
            f"with {total[least]}"
        )
    if info.task == "single_label":
        share = counts.positives[-1, most] / max(1, counts.sizes[-1])
        text += f"; always saying {counts.labels[most]!r} is right for {share:.1%} of the "
        return [_finding("note", f"{text}{counts.splits[-1]} split")]
    per_item = labels_per_item(info, labels)
    found = [_finding("note", f"{text}; {per_item.mean():.2f} labels an item on average")]
    if without := int((per_item == 0).sum()):
        text = (
            f"{without} of {len(per_item)} items in labelled splits have no label at all: they "
            "count as negatives, and scores with and without them cannot be compared"
        )
        found.append(_finding("note", text))
    return found


def _absent(counts: Counts) -> list[Finding]:
    found = []
    for split, positives in zip(counts.splits, counts.positives, strict=True):
        if names := [name for name, n in zip(counts.labels, positives, strict=True) if not n]:
            text = f"{plural(len(names), 'label')} of {len(counts.labels)} without a positive in "
            meaning = "they cannot be learned" if split == "train" else "they cannot be scored"
            found.append(_finding("warning", f"{text}{split}: {meaning}", (", ".join(names),)))
    return found or [_finding("passed", "every label has positives in every split")]


def _too_few(counts: Counts) -> list[Finding]:
    found = []
    # Too few negatives are as bad.
    of_split = zip(
        counts.splits, np.minimum(counts.positives, counts.observed - counts.positives), strict=True
    )
    for split, fewer in of_split:
        few = [k for k in np.argsort(fewer, kind="stable") if 0 < fewer[k] < MIN_POSITIVES]
        if few and split != "train":
            text = (
                f"{plural(len(few), 'label')} of {len(counts.labels)} with fewer than "
                f"{MIN_POSITIVES} positives (or negatives) in {split}: with n of them a recall is "
                "uncertain by about .5/sqrt(n), .16 for ten; report several splits or folds, or "
                "leave them out of macro averages"
            )
            names = ", ".join(f"{counts.labels[k]} ({fewer[k]})" for k in few)
            found.append(_finding("warning", text, (names,)))
    text = f"every label has at least {MIN_POSITIVES} positives and negatives in each split that "
    return found or [_finding("passed", f"{text}is scored")]


def _observed(counts: Counts) -> list[Finding]:
    known = counts.observed.sum(axis=0) / max(1, counts.sizes.sum())
    if (known == 1).all():
        return []
    order = np.argsort(known, kind="stable")
    least = ", ".join(f"{counts.labels[k]} {known[k]:.1%}" for k in order[:10])
    text = (
        f"labels are partial: {known.mean():.1%} of all item-label pairs are known, by label "
        f"{known.min():.1%} to {known.max():.1%}; the rest is masked in losses and metrics"
    )
    return [_finding("note", text, (f"least known: {least}",))]


def _hierarchy(info: Info, labels: Labels) -> list[Finding]:
    if not info.parents:
        return []
    at = {name: k for k, name in enumerate(info.labels)}
    pairs = [(c, p) for c, p in info.parents.items() if c in at and p in at]
    alone = np.zeros(len(pairs), np.int64)
    children, parents = np.array([(at[c], at[p]) for c, p in pairs], int).reshape(-1, 2).T
    for block in target_lib.blocks(labels.targets):
        alone += ((block[:, children] == 1) & (block[:, parents] == 0)).sum(axis=0)
    broken = [
        f"{child} without {parent}: {plural(int(n), 'item')}"
        for (child, parent), n in zip(pairs, alone, strict=True)
        if n
    ]
    if broken:
        text = f"{len(broken)} of {len(info.parents)} labels stand without their parent"
        return [_finding("warning", text, tuple(broken))]
    return [_finding("passed", f"all {len(info.parents)} parents stand with their children")]


def _mismatch(info: Info, labels: Labels, counts: Counts) -> list[Finding]:
    """Whether splits differ by more than dealing out whole groups at random would make them."""
    found = []
    groups = number_groups([info.groups[i] for i in labels.items])
    positive = target_lib.positives(labels.targets, num_labels=len(info.labels))
    of_group = (np.ones(len(groups), np.int64), (groups, np.arange(len(groups))))
    by_group = sparse.csr_array(of_group) @ positive
    sizes = np.bincount(groups)
    for a, b in itertools.combinations(range(len(labels.splits)), 2):
        inside = np.unique(groups[(labels.split == a) | (labels.split == b)])
        if not counts.positives[[a, b]].any(axis=1).all():
            continue
        measured = divergence(counts.positives[a], counts.positives[b])
        first_size = int(counts.sizes[a])
        by_chance = _random_divergences(by_group[inside], sizes[inside], num_first=first_size)
        limit = float(by_chance.max())
        text = (
            f"{labels.splits[a]} and {labels.splits[b]}: the label distributions differ by "
            f"{measured:.4f} bits (Jensen-Shannon divergence); splits drawn at random by group, by "
            f"{by_chance.mean():.4f} on average and at most {limit:.4f} of {_RANDOM_SPLITS} draws"
        )
        far = measured > limit and measured > _SMALL_DIVERGENCE
        details = _largest_ratios(counts, a, b)
        found.append(_finding("warning" if far else "passed", text, details))
    return found


def divergence(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Jensen-Shannon divergence in bits of the distributions of counts [..., K], 0 to 1.

    Lin, 1991, "Divergence measures based on the Shannon entropy".
    """
    p, q = (x / np.maximum(x.sum(axis=-1, keepdims=True), 1e-12) for x in (p, q))
    middle = (p + q) / 2

    def relative(x: np.ndarray) -> np.ndarray:
        return np.where(x > 0, x * np.log2(np.maximum(x, 1e-12) / np.maximum(middle, 1e-12)), 0)

    return (relative(p) + relative(q)).sum(axis=-1) / 2


def _random_divergences(
    by_group: sparse.csr_array, sizes: np.ndarray, *, num_first: int
) -> np.ndarray:
    """Divergences when groups are dealt at random until the first split is full."""
    rng = np.random.default_rng(0)
    everything = by_group.sum(axis=0)
    found = []
    for _ in range(_RANDOM_SPLITS):
        order = rng.permutation(len(sizes))
        stop = int(np.searchsorted(np.cumsum(sizes[order]), num_first)) + 1
        is_first = np.zeros(len(sizes), np.int64)
        is_first[order[:stop]] = 1
        first = is_first @ by_group
        found.append(divergence(first, everything - first))
    return np.array(found)


def _largest_ratios(counts: Counts, a: int, b: int) -> tuple[str, ...]:
    share = counts.share()
    pooled = (counts.positives[a] + counts.positives[b]) / np.maximum(
        counts.observed[a] + counts.observed[b], 1
    )
    enough = pooled * np.minimum(counts.observed[a], counts.observed[b]) >= _MIN_EXPECTED
    ratio = np.log2(np.maximum(share[b], 1e-9) / np.maximum(share[a], 1e-9)) * enough
    order = np.argsort(-np.abs(ratio), kind="stable")[:3]
    return tuple(
        f"{counts.labels[k]}: {share[a][k]:.1%} of {counts.splits[a]}, {share[b][k]:.1%} of "
        f"{counts.splits[b]}"
        for k in order
        if abs(ratio[k]) >= 0.5
    )


def _targets(info: Info, labels: Labels) -> list[Finding]:
    """Regression: ranges, and whether the splits have other means."""
    found = []
    for k, name in enumerate(info.labels):
        column = labels.targets[:, k].astype(np.float64)
        known = column[~np.isnan(column)]
        if not len(known) or np.ptp(known) == 0:
            found.append(_finding("warning", f"{name} has no two different values: no R2, no R"))
            continue
        deviation = known.std()
        means = {
            split: float(np.nanmean(column[labels.split == s]))
            for s, split in enumerate(labels.splits)
            if (~np.isnan(column[labels.split == s])).any()
        }
        shift = (max(means.values()) - min(means.values())) / deviation
        listed = ", ".join(f"{split} {mean:.3g}" for split, mean in means.items())
        text = (
            f"{name}: {known.min():.3g} to {known.max():.3g}, mean {known.mean():.3g}, standard "
            f"deviation {deviation:.3g}, known for {len(known) / len(column):.1%} of the items; "
            f"means by split {listed}"
        )
        if shift > _SHIFT:
            text += f", {shift:.2f} standard deviations apart"
        found.append(_finding("warning" if shift > _SHIFT else "passed", text))
    return found


def label_text(source: Source, index: int, *, names: Sequence[str]) -> str:
    """The labels of one item, for people; "" without any."""
    label = source.targets[index]
    if source.info.task == "single_label":
        return names[int(label)]
    if source.info.task == "regression":
        return ""
    return ", ".join(name for name, value in zip(names, label, strict=True) if value == 1)
