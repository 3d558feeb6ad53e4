"""One's own labels from those of a data set: renamed, merged, dropped, and with parents.

A taxonomy is a small JSON file, or the same as a dict; every part may be left out:

    {"rename":  {"hip hop": "hip-hop"},
     "merge":   {"vocals": ["vocal", "voice", "singing"]},
     "drop":    ["weird"],
     "parents": {"death metal": "metal", "metal": "rock"}}

The first three name labels of the data set, each at most once; `parents` names what they become.
"lastfm" in place of a file makes one for whatever tags there are, by the rules of `tags`.
"""

import dataclasses
import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mclf_jax.common import checks
from mclf_jax.common.text import documents
from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.source import Source
from mclf_jax.data.base.targets import Tags, Targets
from mclf_jax.data.catalogue.items import UNLABELLED
from mclf_jax.data.views import tags as tag_rules
from mclf_jax.data.views.base import View, derived

_PARTS = ("rename", "merge", "drop", "parents")


@dataclasses.dataclass(frozen=True)
class Taxonomy:
    """What becomes of labels; see the head of this file.

    Attributes:
        rename: {label: new name}.
        merge: {new name: labels}.
        drop: labels.
        parents: {label: parent}, of new names. A parent may be a label, or only a parent.
    """

    rename: Mapping[str, str] = dataclasses.field(default_factory=dict)
    merge: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    drop: tuple[str, ...] = ()
    parents: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Relabelled:
    """Labels after a taxonomy.

    Attributes:
        task: as before, but "multi_label" where single labels got parents.
        names: [K], in the order of the data set, parents that are new behind them.
        targets: int32 [N], float32 [N, K] or tags.
        parents: {label: parent}.
        without: bool [N], items whose label was dropped; never with tags, which may be none.
    """

    task: str
    names: tuple[str, ...]
    targets: Targets
    parents: Mapping[str, str]
    without: np.ndarray


def read(
    taxonomy: str | os.PathLike | Mapping[str, Any], *, labels: Sequence[str] = ()
) -> Taxonomy:
    """A taxonomy from a JSON file or a dict, or one of `tags.SHIPPED` for some labels.

    Raises:
        ValueError: there is no such file, it is not JSON, or not of the form that is described at
            the head of this file.
    """
    where = "taxonomy"
    if isinstance(taxonomy, str) and taxonomy in tag_rules.SHIPPED:
        taxonomy = tag_rules.named(taxonomy, labels)
    if not isinstance(taxonomy, Mapping):
        where = os.fspath(taxonomy)
        try:
            taxonomy = documents.read(Path(where).expanduser(), origin="theirs")
        except OSError as error:
            raise ValueError(
                f"taxonomy {where!r} cannot be read: {error.strerror}; it is a JSON file, or one of"
                f" {', '.join(tag_rules.SHIPPED)}"
            ) from error
        except ValueError as error:
            raise ValueError(f"taxonomy {where!r} is not JSON: {error}") from error
    if not isinstance(taxonomy, Mapping):
        raise ValueError(f"{where} must be a dict of {', '.join(_PARTS)}, got {taxonomy!r}")
    checks.only_known(where, taxonomy, _PARTS, of="a taxonomy")
    for part, kind in (("rename", _is_text), ("parents", _is_text), ("merge", _is_texts)):
        given = taxonomy.get(part, {})
        if not isinstance(given, Mapping) or not all(map(kind, given.values())):
            to = "names" if kind is _is_text else "lists of names"
            raise ValueError(f"{where}: {part} must be a dict of names to {to}, got {given!r}")
    if not _is_texts(taxonomy.get("drop", ())):
        raise ValueError(f"{where}: drop must be a list of names, got {taxonomy['drop']!r}")
    return Taxonomy(
        rename=dict(taxonomy.get("rename", {})),
        merge={name: tuple(labels) for name, labels in taxonomy.get("merge", {}).items()},
        drop=tuple(taxonomy.get("drop", ())),
        parents=dict(taxonomy.get("parents", {})),
    )


def apply(
    taxonomy: Taxonomy,
    targets: Targets,
    names: tuple[str, ...],
    *,
    task: str,
    labelled: np.ndarray,
    parents: Mapping[str, str] | None = None,
) -> Relabelled:
    """Labels and their names as a taxonomy wants them.

    Of merged tags an item has the new one if it has any of them; not, if all were looked for and
    none is there; else it is unobserved (NaN). So it is with a new parent and its children; a
    parent that is a label itself keeps what it says where no child is there.

    Args:
        taxonomy: what to do.
        targets: int [N], or float [N, K] or tags with NaN where unobserved.
        names: [K].
        task: one of `data.base.source.TASKS`.
        labelled: bool [N]; the label of other items means nothing.
        parents: that labels have already.

    Raises:
        ValueError: unknown or contradictory names, parents in a circle, fewer than two classes
            left or no tag; or numbers that are to be merged or have parents.
    """
    new_name = _new_names(taxonomy, names)
    tree = _tree(taxonomy, new_name, parents or {})
    if task == "regression" and (taxonomy.merge or tree):
        raise ValueError(
            "targets of regression can be renamed and dropped; merge and parents are for labels"
        )
    kept = tuple(dict.fromkeys(new for name in names if (new := new_name[name]) is not None))
    if len(kept) < (2 if task == "single_label" else 1):
        raise ValueError(
            f"the taxonomy leaves {len(kept)} label(s) of {len(names)}:"
            f" {', '.join(kept) or 'none'}; drop or merge fewer"
        )
    position = {name: k for k, name in enumerate(kept)}
    target = np.array([position.get(new_name[name], -1) for name in names])  # pyright: ignore
    if task == "single_label":
        old = np.where(labelled, targets[:], 0)
        new = np.where(labelled, target[old], 0)
        without = new < 0
        new = np.maximum(new, 0).astype(np.int32)
        if not tree:
            return Relabelled(task, kept, new, {}, without)
        entries = target_lib.positives(new, num_labels=len(kept)).astype(np.float32)
        tags = Tags(entries, np.zeros(len(new), np.float32))
        blocks = target_lib.blocks(target_lib.without(tags, ~labelled | without))
    else:
        without = np.zeros(len(targets), bool)
        of_new = [np.flatnonzero(target == k) for k in range(len(kept))]
        blocks = (
            np.stack([_union(block[:, old]) for old in of_new], axis=1).astype(np.float32)
            for block in target_lib.blocks(targets)
        )
    if task == "regression":
        return Relabelled(task, kept, np.concatenate(list(blocks)), {}, without)
    all_names = tuple(dict.fromkeys((*kept, *tree.values())))
    closed = (_close(block, kept, tree, all_names) for block in blocks)
    tags = target_lib.compact(closed, num_labels=len(all_names))
    return Relabelled("multi_label", all_names, tags, tree, without)


def with_taxonomy(source: Source, taxonomy: str | os.PathLike | Mapping[str, Any]) -> View:
    """Labels as a taxonomy wants them; see the head of this file for its form, and `apply`.

    Single-label items whose label is dropped are left out, and listed: audio of none of
    the classes teaches a classifier nothing when unlabelled, and in test there is no right answer
    for it. With tags an item stays, because that it has none of them is something to learn.

    Args:
        source: of which.
        taxonomy: a JSON file, the same as a dict, or a name of `tags.SHIPPED`.

    Raises:
        ValueError: the taxonomy does not fit the labels, or leaves nothing to train on.
    """
    info, old = source.info, source.targets
    chosen = read(taxonomy, labels=info.labels)
    labelled = np.ones(len(source), bool)
    labelled[np.asarray(info.splits.get(UNLABELLED, ()), np.int64)] = False
    new = apply(chosen, old, info.labels, task=info.task, labelled=labelled, parents=info.parents)
    left_out = np.flatnonzero(new.without)
    splits = {split: np.setdiff1d(items, left_out) for split, items in info.splits.items()}
    if not len(splits.get("train", ())):
        raise ValueError(f"the taxonomy leaves nothing of {info.name} in train: drop fewer labels")
    note = f"taxonomy: {len(info.labels)} labels became {len(new.names)}"
    if len(left_out):
        note += f"; {len(left_out)} items of dropped labels are left out"
    if new.task == info.task == "multi_label":
        had = target_lib.positives(old, num_labels=len(info.labels)).sum(axis=1) > 0
        has = target_lib.positives(new.targets, num_labels=len(new.names)).sum(axis=1) > 0
        emptied = had & ~has
        if emptied.any():
            note += f"; {emptied.sum()} items have none of the remaining tags"
    if new.task != info.task:
        note += "; they are tags now, because a label comes with its parents"
    why = "its label {!r} is dropped by the taxonomy"
    skipped = [(source.item_id(int(i)), why.format(info.labels[old[i]])) for i in left_out]
    return derived(
        source,
        new.targets,
        settings=["taxonomy", dataclasses.asdict(chosen)],
        note=note,
        splits=splits,
        task=new.task,
        labels_in_order=new.names,
        parents=new.parents,
        skipped=(*info.skipped, *skipped),
    )


def _union(columns: np.ndarray) -> np.ndarray:
    """[N] of [N, J]: 1 if any is 1, else NaN if any is NaN, else 0. One column is left as it is."""
    if columns.shape[1] == 1:
        return columns[:, 0]
    unobserved = np.where(np.isnan(columns).any(axis=1), np.nan, 0)
    return np.where((columns > 0).any(axis=1), 1, unobserved)


def _close(
    columns: np.ndarray,
    names: tuple[str, ...],
    tree: Mapping[str, str],
    all_names: tuple[str, ...],
) -> np.ndarray:
    """Adds a column for each parent that has none, and to each what its descendants say."""
    column = {name: columns[:, k] for k, name in enumerate(names)}
    children: dict[str, list[str]] = {}
    for child, parent in tree.items():
        children.setdefault(parent, []).append(child)

    def depth(name: str) -> int:
        return 1 + depth(tree[name]) if name in tree else 0

    for name in sorted(children, key=depth, reverse=True):  # from what is finished
        below = _union(np.stack([column[child] for child in children[name]], axis=1))
        column[name] = np.where(below > 0, 1, column.get(name, below))
    return np.stack([column[name] for name in all_names], axis=1).astype(np.float32)


def _new_names(taxonomy: Taxonomy, names: tuple[str, ...]) -> dict[str, str | None]:
    """What each label of the data set becomes; None for nothing."""
    new_name: dict[str, str | None] = dict(zip(names, names, strict=True))
    changed: dict[str, str] = {}

    def change(part: str, label: str, new: str | None) -> None:
        if label not in names:
            raise ValueError(f"taxonomy.{part}: {_unknown(label, names)}")
        if label in changed:
            raise ValueError(f"taxonomy: {label!r} is in {changed[label]} and in {part}")
        changed[label], new_name[label] = part, new

    for label, new in taxonomy.rename.items():
        change("rename", label, new)
    for new, merged in taxonomy.merge.items():
        for label in merged:
            change("merge", label, new)
    for label in taxonomy.drop:
        change("drop", label, None)
    for new in {*taxonomy.rename.values(), *taxonomy.merge}:
        sources = [label for label in names if new_name[label] == new]
        if len(sources) > 1 and any(changed.get(s) != "merge" for s in sources):
            how = f"list all of them in merge[{new!r}]" if new in taxonomy.merge else "use merge"
            raise ValueError(f"taxonomy: {', '.join(map(repr, sources))} all become {new!r}: {how}")
    return new_name


def _tree(
    taxonomy: Taxonomy, new_name: Mapping[str, str | None], parents: Mapping[str, str]
) -> dict[str, str]:
    """Parents of new names: those that the data set has, under new names, and the taxonomy's."""
    tree: dict[str, str] = {}
    for child in parents:
        new_child, parent = new_name.get(child, child), parents[child]
        # Of a dropped or merged parent: the next above it.
        while parent in parents and new_name.get(parent, parent) in (None, new_child):
            parent = parents[parent]
        new_parent = new_name.get(parent, parent)
        if new_child is None or new_parent in (None, new_child) or new_child in taxonomy.parents:
            continue
        if tree.setdefault(new_child, new_parent) != new_parent:
            raise ValueError(
                f"taxonomy: what is merged into {new_child!r} has the parents"
                f" {tree[new_child]!r} and {new_parent!r}: say in parents which it is to have"
            )
    known = {*filter(None, new_name.values()), *tree.values(), *taxonomy.parents.values()}
    for child, parent in taxonomy.parents.items():
        if child not in known:
            raise ValueError(f"taxonomy.parents: {_unknown(child, sorted(known))}")
        tree[child] = parent
    for name in tree:
        path = [name]
        while path[-1] in tree:
            path.append(tree[path[-1]])
            if path[-1] in path[:-1]:
                raise ValueError(f"taxonomy.parents goes in a circle: {' > '.join(path)}")
    return tree


def _unknown(label: str, choices) -> str:
    near = difflib.get_close_matches(label, choices, n=3)
    listed = list(choices)[:20]
    more = f" and {len(choices) - 20} more" if len(choices) > 20 else ""
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else ""
    return f"{label!r} is no label; " + (hint or f"there are {', '.join(listed)}{more}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_text, value))
