"""A folder of audio as a data set: `manifest.csv`, or one subfolder for each label.

The manifest is a table as spreadsheets export it: UTF-8, commas, and a header line that names the
columns, in any order and case. Others than these are kept as metadata:

    path      of the file, relative to the folder (required)
    label     the one label                              -> task "single_label"
    labels    tags separated by `|`                      -> task "multi_label"
    observed  tags that somebody looked for, separated by `|`; nothing: all of them. The others are
              unknown for this file, neither there nor absent (optional, with labels)
    <targets> numbers, named by the argument `targets`, or nothing -> task "regression"; or one
              column of words, such as era or album, with the argument `task`
    split     train, valid, test or unlabelled (optional)
    group     artist, album or track, which must not cross splits (optional; else by files' tags)
    licence   of the file (optional)

    start_s, end_s  seconds: the row is about this part of the file, which may have several rows;
              they are one group, if nobody says of which (optional)

A file without a label is in the split "unlabelled". The labels are those of the files, sorted, or
those of a public data set (the argument `labels`). A file that is listed twice counts once, as its
first row says. Whatever is left out stands in `info.skipped` with the reason; a table that only a
guess could read is refused (`mclf_jax.common.text.tables`).
"""

import collections
import dataclasses
import os
from pathlib import Path

from mclf_jax.common import checks, walk
from mclf_jax.data.catalogue import file_tags, manifest, twins
from mclf_jax.data.catalogue.items import UNLABELLED, Catalogue, Facts, Item
from mclf_jax.data.catalogue.label_lists import label_list
from mclf_jax.data.catalogue.plan import first

FACTS = Facts(
    name="folder",
    title="a folder of audio",
    contents="your own songs: manifest.csv, or a subfolder for each label",
    tasks={"task=auto": "what the manifest says"},
    group="group",
)


def catalogue(
    path: str | os.PathLike,
    *,
    task: str = "auto",
    targets: str = "",
    labels: str = "",
    merge_labels: str = "off",
    groups: str = "tags",
    outside: str = "follow",
) -> Catalogue:
    """Reads the manifest of a folder or, where it has none, its subfolders.

    Args:
        path: the folder.
        task: "single_label", "multi_label", "regression", or "auto": what the columns say.
        targets: columns of numbers, separated by `|`, for regression; with `task` "single_label"
            or "multi_label", the column that has the labels, in place of `label` and `labels`.
        labels: name of a list of `label_lists`, which then says what the labels are, in which
            order, and the task. Other labels are dropped, files that have no other are left out,
            and labels that no file has stay as outputs. Without a list: the labels of the files.
        merge_labels: "twins" makes one label of those that look the same, because they differ by
            case, by form of Unicode or by what cannot be seen: that of the list, else the most
            frequent spelling. "off" only tells of them.
        groups: where no row has one, "tags": artist or album from the files' own tags, see
            `catalogue.file_tags`; or "file": every file is on its own.
        outside: "follow" paths and links that lead out of the folder; or "skip" such files, as a
            server must that reads manifests of others.

    Raises:
        ValueError: there is no such folder, or the manifest is not understood; the message says
            what was found and what is needed.
    """
    root = Path(path).expanduser()
    checks.choice("merge_labels", merge_labels, twins.MERGING)
    checks.choice("groups", groups, file_tags.GROUPS)
    # Without a name it would be the current directory.
    if not os.fspath(path) or not root.is_dir():
        raise ValueError(f"path must be a folder of audio, got {os.fspath(path)!r}: no such folder")
    target_names = tuple(name.strip().lower() for name in targets.split("|") if name.strip())
    fixed = label_list(labels) if labels else None
    if fixed and task not in ("auto", fixed.task):
        raise ValueError(
            f"labels={labels!r} is a list for the task {fixed.task!r}, but task is {task!r}: leave"
            " task out, or name another list"
        )
    listing = manifest.read(
        root, task=fixed.task if fixed else task, targets=target_names, outside=outside
    )
    items, alike = listing.items, twins.find(listing.items, known=fixed.labels if fixed else ())
    if alike and merge_labels == "twins":
        items = twins.merge(items, alike)
    notes = listing.notes
    if groups == "tags" and not any(item.group for item in items):
        grouped = file_tags.group(items)
        items, notes = grouped.items, (*notes, *filter(None, [grouped.note]))
    items = _together(items)
    found = Catalogue(
        facts=dataclasses.replace(FACTS, title=walk.shown(root)),
        task=listing.task,
        items=items,
        labels=target_names if listing.task == "regression" else None,
        skipped=listing.skipped,
        notes=notes,
        split_hint=(
            f"Fill the split column of {manifest.FILE_NAME}, or give its group column more "
            "different values"
        ),
    )
    if fixed:
        found = _keep_listed(found, fixed.labels, list_name=labels)
    if alike and (merge_labels == "twins" or not fixed):
        told = twins.describe(alike, merged=merge_labels)
        found = dataclasses.replace(found, notes=(*found.notes, told))
    return found


def _together(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Parts of one file, and the file if it is listed too, are of one group, where nobody says of
    which."""
    cut = {item.file: item.item_id.rpartition("#t=")[0] for item in items if item.is_part}
    return tuple(
        dataclasses.replace(item, group=cut[item.file])
        if not item.group and item.file in cut
        else item
        for item in items
    )


def _keep_listed(found: Catalogue, names: tuple[str, ...], *, list_name: str) -> Catalogue:
    items, skipped, dropped = [], list(found.skipped), collections.Counter()
    for item in found.items:
        if item.observed is not None:
            looked_for = tuple(label for label in item.observed if label in names)
            item = dataclasses.replace(item, observed=looked_for)  # noqa: PLW2901
        if item.split == UNLABELLED or not item.labels:
            items.append(item)
            continue
        kept = tuple(label for label in item.labels if label in names)
        dropped.update(label for label in item.labels if label not in names)
        if kept or item.observed:
            items.append(dataclasses.replace(item, labels=kept))
        else:
            has = ", ".join(item.labels)
            skipped.append((item.item_id, f"no label of the list {list_name!r}, only {has}"))
    notes = found.notes
    if dropped:
        counts = [f"{label} ({count} files)" for label, count in dropped.most_common()]
        spelled = {twins.seen(name) for name in names}
        alike = [repr(label) for label in dropped if twins.seen(label) in spelled]
        hint = (
            f"data.args.merge_labels='twins' takes {first(alike)} for labels of the list; "
            if alike
            else ""
        )
        notes += (f"{hint}labels that the list {list_name!r} has not, dropped: {first(counts)}",)
    return dataclasses.replace(
        found, items=tuple(items), labels=names, skipped=tuple(skipped), notes=notes
    )
