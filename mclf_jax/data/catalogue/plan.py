"""From a catalogue to arrays: labels in their order, what items have of them, complete splits."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from mclf_jax.common import checks
from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.targets import Targets
from mclf_jax.data.catalogue.items import FRACTIONS, SPLITS, UNLABELLED, Catalogue, Item
from mclf_jax.data.splits.grouped import split_by_group
from mclf_jax.data.splits.hashed import split_by_hash

_SHOWN = 5
NO_SPLITS = "no splits given"
"""How the note begins that says that splits were made here."""
RULES = ("hash", "dealt")
"""How splits are made: songs keep theirs as a data set changes, or labels are in proportion."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is known of the items without decoding them.

    Attributes:
        items: as given.
        labels: the K names in the order of the outputs.
        targets: int32 [N] for `single_label`, tags for `multi_label`, float32 [N, K] for
            `regression`, NaN where nobody looked; 0 for items of the split "unlabelled".
        splits: int64 indices of each split that has items, "unlabelled" too.
        notes: the catalogue's, and what was done here.
    """

    items: tuple[Item, ...]
    labels: tuple[str, ...]
    targets: Targets
    splits: Mapping[str, np.ndarray]
    notes: tuple[str, ...]


def plan(
    catalogue: Catalogue,
    *,
    seed: int = 0,
    split_rule: str = "hash",
    split_fractions: Sequence[float] = FRACTIONS,
) -> Plan:
    """Labels and splits of a catalogue.

    Where no split is given, train, valid and test are made by group; where all but valid is given,
    valid is made from train. With fewer groups than splits, the last ones are left out and a note
    says so: few songs can be looked at.

    Where no item has a label, all are in the split "unlabelled".

    Args:
        catalogue: of a reader.
        seed: of splits that are made.
        split_rule: "hash" (`splits.hashed`), or "dealt" (`splits.grouped`), as up to version 0.1.
        split_fractions: of train, valid and test.

    Raises:
        ValueError: one label is not a choice, or there is no such rule.
    """
    items, title, notes = catalogue.items, catalogue.facts.title, list(catalogue.notes)
    if catalogue.labels is None:
        labelled_items = [item for item in items if item.is_labelled]
        names = {name for i in labelled_items for name in (*i.labels, *(i.observed or ()))}
        names = tuple(sorted(names))
    else:
        names = catalogue.labels
    labelled = any(item.is_labelled for item in items)
    if catalogue.task == "single_label" and labelled and len(names) < 2:
        left_out = f" Left out: {first_reasons(catalogue.skipped)}" if catalogue.skipped else ""
        raise ValueError(
            f"{title} has {len(names)} label(s) with usable audio ({', '.join(names) or 'none'});"
            f" a classifier needs at least two.{left_out}"
        )
    targets = _targets(items, catalogue.task, names)
    if not labelled:  # to learn from without labels
        everything = {UNLABELLED: np.arange(len(items))}
        return Plan(items, names, targets, everything, (*notes, "no item has a label"))
    checks.choice("data.split_rule", split_rule, RULES)
    ones = len(split_fractions) == len(SPLITS) and abs(sum(split_fractions) - 1) < 1e-6
    if not ones or min(split_fractions) < 0 or not split_fractions[0]:
        raise ValueError(
            f"data.split_fractions is {tuple(split_fractions)}; it must be those of train, valid "
            "and test, 1 together, such as (0.7, 0.15, 0.15)"
        )
    how = {"seed": seed, "rule": split_rule, "fractions": split_fractions}
    split_of = _complete_splits(catalogue, targets, notes, **how)
    _note_absent_labels(targets, split_of, catalogue.task, names, notes)
    found = {
        split: np.array([i for i, s in enumerate(split_of) if s == split], np.int64)
        for split in (*SPLITS, UNLABELLED)
        if split in split_of
    }
    return Plan(items, names, targets, found, tuple(notes))


def first(texts: list[str], *, separator: str = ", ") -> str:
    """The first few, and how many more there are."""
    more = [f"and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return separator.join(texts[:_SHOWN] + more)


def first_reasons(skipped) -> str:
    """What was left out, for an error."""
    if not skipped:
        return "nothing was found"
    return first([f"{path}: {reason}" for path, reason in skipped], separator="; ")


def _targets(items: tuple[Item, ...], task: str, names: tuple[str, ...]) -> Targets:
    position = {name: k for k, name in enumerate(names)}
    if task == "single_label":
        return np.array(
            [position[item.labels[0]] if item.is_labelled else 0 for item in items], np.int32
        )
    if task == "regression":
        nothing = (0.0,) * len(names)
        values = [item.values if item.is_labelled else nothing for item in items]
        return np.array(values, np.float32).reshape(len(items), len(names))

    def row(item: Item) -> tuple[float, dict[int, float]]:
        if not item.is_labelled:
            return 0, {}
        there = {position[name]: 1 for name in item.labels}
        if item.observed is None:
            return 0, there
        return np.nan, {position[name]: 0 for name in item.observed} | there

    return target_lib.tags(map(row, items), num_labels=len(names))


def _complete_splits(
    catalogue: Catalogue,
    targets: Targets,
    notes: list[str],
    *,
    seed: int,
    rule: str,
    fractions: Sequence[float],
) -> list[str]:
    """The split of each item: as given, where it is given; the rest by group."""
    items = catalogue.items
    hint = f". {catalogue.split_hint}" if catalogue.split_hint else ""
    split_of = [item.split if item.is_labelled else UNLABELLED for item in items]
    group_of = [item.group or item.item_id for item in items]
    given: dict[str, set[str]] = {}
    for split, group in zip(split_of, group_of, strict=True):
        if split in SPLITS:
            given.setdefault(group, set()).add(split)
    _note_crossing(given, notes, kind=catalogue.facts.group)
    known = target_lib.known(targets)  # to stratify by, unknown is as good as absent

    split_groups = {"hash": split_by_hash, "dealt": split_by_group}[rule]
    by = {"hash": "by a hash of the group", "dealt": "by group"}[rule]
    usual = {n: each for n, each in zip(SPLITS, fractions, strict=True) if each}

    def deal(chosen: list[int], fractions: Mapping[str, float] = usual) -> str:
        groups = [group_of[i] for i in chosen]
        names = list(fractions)[: len(set(groups))]
        total = sum(fractions[name] for name in names)
        shares = {name: fractions[name] / total for name in names}
        chosen_labels = target_lib.take(known, chosen)
        dealt = split_groups(groups, chosen_labels, fractions=shares, seed=seed)
        for split, positions in dealt.items():
            for position in positions.tolist():
                split_of[chosen[position]] = split
        counts = ", ".join(f"{split} {len(positions)}" for split, positions in dealt.items())
        without = [name for name in fractions if name not in names]
        return f"{counts}; too few groups for {' and '.join(without)}{hint}" if without else counts

    open_items = [i for i, split in enumerate(split_of) if not split]
    joining = [i for i in open_items if group_of[i] in given]
    for i in joining:  # into the split of the rest of their group
        split_of[i] = min(given[group_of[i]], key=SPLITS.index)
    free = [i for i in open_items if group_of[i] not in given]
    if free and not given:
        counts = deal(free)
        parts = "/".join(f"{100 * share:.4g}" for share in usual.values())
        notes.append(f"{NO_SPLITS}: made {parts} {by} with seed {seed}: {counts}")
    elif open_items:
        if len({group_of[i] for i in free}) < len(SPLITS):
            for i in free:
                split_of[i] = "train"
            counts = f"train {len(free)}" if free else ""
        else:
            counts = deal(free)
        joined = f"{len(joining)} joined the split of their group" if joining else ""
        notes.append(
            f"{len(open_items)} of {len(items)} rows had no split: "
            + ", ".join(filter(None, (joined, counts and f"{by} with seed {seed}: {counts}")))
        )

    train = [i for i, split in enumerate(split_of) if split == "train"]
    if not train:
        notes.append(
            "no usable labelled item is in the split train (there are: "
            f"{', '.join(sorted(set(split_of)))}), so nothing can be trained on them{hint}"
        )
    elif "valid" not in split_of and given:
        share = usual.get("valid", 0.15) / (usual["train"] + usual.get("valid", 0.15))
        if rule == "dealt":
            share = 0.15
        counts = deal(train, {"train": 1 - share, "valid": share})
        notes.append(f"no valid split given: made from train {by} with seed {seed}: {counts}")
    if "test" not in split_of:
        instead = "evaluate on valid, or mark" if "valid" in split_of else "mark"
        notes.append(f"no test split given: {instead} rows with the split test")
    return split_of


def _note_crossing(given: dict[str, set[str]], notes: list[str], *, kind: str) -> None:
    crossing = sorted(group for group, found in given.items() if len(found) > 1)
    if crossing:
        where = " and ".join(sorted(given[crossing[0]], key=SPLITS.index))
        notes.append(
            f"leakage: {len(crossing)} of the {kind}s in more than one of the given splits, such as"
            f" {crossing[0]!r} in {where}; scores on valid or test will be too good"
        )


def _note_absent_labels(
    targets: Targets, split_of: list[str], task: str, names: tuple[str, ...], notes: list[str]
) -> None:
    if task == "regression":
        return

    def absent(some_splits) -> list[str]:
        some = target_lib.take(targets, [split in some_splits for split in split_of])
        count = target_lib.count_positives(some, num_labels=len(names))
        return [name for name, n in zip(names, count, strict=True) if not n]

    nowhere = absent(SPLITS)  # of a fixed list
    if nowhere:
        notes.append(
            f"{len(nowhere)} of {len(names)} labels have no file and stay as outputs:"
            f" {first(nowhere)}"
        )
    not_in_train = [name for name in absent(("train",)) if name not in nowhere]
    if not_in_train:
        notes.append(
            f"labels that valid or test has and train has not, so cannot be learnt:"
            f" {', '.join(not_in_train)}"
        )
