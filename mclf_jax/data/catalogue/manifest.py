"""What a folder of audio says about itself: the rows of `manifest.csv`, or of its subfolders."""

import dataclasses
import math
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mclf_jax.common import checks, walk
from mclf_jax.common.text import tables
from mclf_jax.data.base.source import TASKS
from mclf_jax.data.catalogue import layout, twins
from mclf_jax.data.catalogue.items import UNLABELLED, Item

FILE_NAME = "manifest.csv"
SPLITS = {
    "train": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "test": "test",
    UNLABELLED: UNLABELLED,
    "unlabeled": UNLABELLED,
}
_NEEDED = "path, and label or labels"
_OUTSIDE = "outside of the folder, which outside='skip' leaves alone"
_KNOWN = ("path", "label", "labels", "observed", "split", "group", "licence", "license")
_KNOWN += ("start_s", "end_s")


@dataclasses.dataclass(frozen=True)
class Listing:
    """What a folder holds.

    Attributes:
        items: by path.
        task: that they are for.
        skipped: (path, reason) of what was left out.
        notes: what looks like a slip.
    """

    items: tuple[Item, ...]
    task: str
    skipped: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


class _Labels(NamedTuple):
    """What a manifest is about: the task, and the column of its labels, which may be tags."""

    task: str
    column: str = ""
    kind: str = "one"


def read(root: Path, *, task: str, targets: tuple[str, ...], outside: str = "follow") -> Listing:
    """Reads the manifest of a folder or, where it has none, its subfolders.

    Args:
        root: the folder.
        task: one of `TASKS`, or "auto" for what the columns say.
        targets: columns of numbers, for regression; or, of a `task` with labels, the column of
            these.
        outside: "follow" paths and links that lead out of the folder, or "skip" such files.

    Raises:
        ValueError: columns are missing or contradict `task`, a split has an unknown name, the
            manifest is not such a table (`common.text.tables.read`), there are two, or there is
            neither a manifest nor audio.
    """
    checks.choice("task", task, ("auto", *TASKS))
    checks.choice("outside", outside, ("follow", "skip"))
    if len(targets) > 1 and task not in ("auto", "regression"):
        raise ValueError(
            f"targets={'|'.join(targets)!r} are for regression, but task is {task!r}, whose labels"
            " are in one column"
        )
    if file := find(root, outside=outside):
        return _read_manifest(file, task=task, targets=targets, outside=outside)
    if targets or task not in ("auto", "single_label"):
        raise ValueError(
            f"subfolders give one label for each file; task={task!r}, targets={'|'.join(targets)!r}"
            f" need a {FILE_NAME} in {root}"
        )
    return _list_subfolders(root, outside=outside)


def find(root: Path, *, outside: str = "follow") -> Path | None:
    """The manifest of a folder, whose name may be in any case; None without one."""
    names = sorted(name for name in os.listdir(root) if name.lower() == FILE_NAME)
    if not names:
        return None
    if len(names) > 1:
        raise ValueError(f"{root} has {' and '.join(names)}: there may be one {FILE_NAME}")
    file = root / names[0]
    if not file.is_file():
        raise ValueError(f"{file} is no file, or a link to none; it must be a table")
    if outside == "skip" and not _is_inside(file, root):
        raise ValueError(f"{file} is a link out of the folder, which outside='skip' forbids")
    return file


def _is_inside(file: str | os.PathLike, root: Path) -> bool:
    """Whether a file lies in a folder when all links are followed."""
    return Path(os.path.realpath(file)).is_relative_to(os.path.realpath(root))


def _list_subfolders(root: Path, *, outside: str) -> Listing:
    rows, skipped, unread = [], [], []
    for file in layout.walk_audio(root, skipped=unread):
        relative = Path(file).relative_to(root)
        item_id = walk.shown(relative.as_posix())
        if outside == "skip" and not _is_inside(file, root):
            skipped.append((item_id, _OUTSIDE))
            continue
        labels = (walk.shown(relative.parts[0]),) if len(relative.parts) > 1 else ()
        rows.append(Item(item_id=item_id, file=file, labels=labels))
    skipped += [(walk.shown(os.path.relpath(path, root)), reason) for path, reason in unread]
    if not rows and not skipped:
        raise ValueError(
            f"{root} has no {FILE_NAME} and no audio in it: put one subfolder for each label there,"
            f" or a {FILE_NAME} with the columns path and label (or labels, separated by |)"
        )
    return Listing(items=_by_path(rows), task="single_label", skipped=tuple(skipped))


def _by_path(rows: list[Item]) -> tuple[Item, ...]:
    return tuple(sorted(rows, key=lambda row: row.item_id))


def _read_manifest(file: Path, *, task: str, targets: tuple[str, ...], outside: str) -> Listing:
    rows: dict[tuple, Item] = {}
    skipped = []
    table = tables.read(file, names="lower case", needs=_NEEDED, hints=tables.TAGS)
    labels = _labels(table, task=task, targets=targets)
    others = [name for name in table.columns if name not in (*_KNOWN, *targets)]
    targets = targets if labels.task == "regression" else ()
    for line, found in table.rows:
        listed = found["path"].strip()
        cells = {name: tables.unescaped(cell.strip()) for name, cell in found.items()}
        row = _row(file, listed, cells, labels, targets, others, line=line, outside=outside)
        if isinstance(row, str):
            skipped.append((listed or f"{file.name}, line {line}", row))
        # Parts of one file are items of their own.
        elif (key := (row.file, row.start_s, row.duration_s)) in rows:
            skipped.append((row.item_id, _repeated(rows[key], row, file=file)))
        else:
            rows[key] = row
    items = _by_path(list(rows.values()))
    notes = _slips(items, labels.column)
    return Listing(items=items, task=labels.task, skipped=tuple(skipped), notes=notes)


def _slips(items: tuple[Item, ...], label_column: str) -> tuple[str, ...]:
    """Notes on labels that look like several."""
    if label_column == "label":
        several = [item.labels[0] for item in items if item.labels and "|" in item.labels[0]]
        if several:
            return (
                f"{len(several)} rows have a label with |, such as {several[0]!r}, which counts as"
                " one: name the column labels for tags, which are separated by |",
            )
    elif label_column == "labels" and all(len(item.labels) < 2 for item in items):
        several = [label for item in items for label in item.labels if re.search("[,;]", label)]
        if several:
            return (
                f"{len(several)} rows have tags such as {several[0]!r}, which counts as one, and"
                " none has two: tags are separated by |",
            )
    return ()


def _labels(table: tables.Table, *, task: str, targets: tuple[str, ...]) -> _Labels:
    """The task, and the column that holds its labels."""
    columns = table.columns
    found = f"{table.path}, line 1: the header has the columns {', '.join(columns)}"
    if "path" not in columns:
        other = tables.separated_by(columns, dialect=tables.CSV)
        raise ValueError(f"{found}; it needs {_NEEDED}{other}")
    if targets or task == "regression":
        missing = [target for target in targets if target not in columns]
        if missing or not targets:
            raise ValueError(
                f"{found}; regression needs targets= to name columns of numbers, separated by |,"
                f" got targets={'|'.join(targets)!r}"
            )
        if task in ("single_label", "multi_label"):
            return _Labels(task, targets[0], "one" if task == "single_label" else "tags")
        return _Labels("regression")
    if task == "auto" and {"label", "labels"} <= set(columns):
        raise ValueError(
            f"{found}; say which to use: task='single_label' takes label, task='multi_label' labels"
        )
    if task in ("auto", "single_label") and "label" in columns:
        return _Labels("single_label", "label")
    if task in ("auto", "multi_label") and "labels" in columns:
        return _Labels("multi_label", "labels", "tags")
    if task == "multi_label" and "label" in columns:
        return _Labels("multi_label", "label")
    needed = {"single_label": "label", "multi_label": "labels"}.get(
        task,
        "label (single-label) or labels (multi-label, separated by |), or targets= for regression",
    )
    raise ValueError(f"{found}; it needs {needed}")


def _row(
    manifest: Path,
    listed: str,
    cells: Mapping[str, str],
    label: _Labels,
    targets: tuple[str, ...],
    others: Sequence[str],
    *,
    line: int,
    outside: str,
) -> Item | str:
    """The row, or why it is left out."""
    root, where = os.fspath(manifest.parent), f"{manifest.name}, line {line}"
    split = cells.get("split", "").lower()
    if split and split not in SPLITS:
        raise ValueError(
            f"{manifest}, line {line}: split is {cells['split']!r}; allowed are"
            " train, valid (or validation, val), test, unlabelled, or nothing"
        )
    split = SPLITS.get(split, "")
    if not listed:
        return "no path"
    file = None
    for place in _places(root, listed):
        # Before anything is looked for there.
        if outside == "skip" and not _is_inside(place, manifest.parent):
            return f"{_OUTSIDE} ({where})"
        if os.path.isfile(place):
            file = place
            break
    if file is None:
        return f"no such file ({where})"
    labels, values, observed = (), (), None
    if label.column and label.kind == "one":
        # What has no letter that is seen is empty to whoever wrote it.
        labels = (cells[label.column],) if twins.seen(cells[label.column]) else ()
    elif label.column:
        labels = _tags(cells[label.column])
        if looked_for := _tags(cells.get("observed", "")):
            observed = tuple(sorted({*looked_for, *labels}))
    elif any(cells[target] for target in targets):
        values = tuple(_number(cells[target]) for target in targets)
        for target, value in zip(targets, values, strict=True):
            if cells[target] and not math.isfinite(value):
                return f"{target} is {cells[target]!r}, not a number ({where})"
    part = _part(cells, where=where)
    if isinstance(part, str):
        return part
    if split in ("train", "valid", "test") and not (labels or values or observed):
        return f"in the split {split!r} but without a label ({where})"
    return Item(
        item_id=_relative(file, root) + part.pop("name"),
        file=file,
        **part,
        labels=labels,
        observed=observed,
        values=values,
        split=split,
        group=cells.get("group", ""),
        licence=cells.get("licence", "") or cells.get("license", ""),
        columns={name: cells[name] for name in others},
        line=line,
    )


def _part(cells: Mapping[str, str], *, where: str) -> dict[str, Any] | str:
    """Which part of the file a row is about, and how it is named: `#t=10,12.5`, as the W3C's media
    fragments; or why the row is left out."""
    written = [cells.get(name, "") for name in ("start_s", "end_s")]
    if not any(written):
        return {"name": ""}
    start_s, end_s = (
        float(text or unset) if _is_number(text or unset) else math.nan
        for text, unset in zip(written, ("0", "inf"), strict=True)
    )
    if not (0 <= start_s < end_s and start_s < math.inf):
        return f"start_s is {written[0]!r} and end_s {written[1]!r}, no part of a song ({where})"
    stop = "" if end_s == math.inf else f",{end_s:g}"
    length_s = None if end_s == math.inf else end_s - start_s
    return {"name": f"#t={start_s:g}{stop}", "start_s": start_s, "duration_s": length_s}


def _is_number(cell: str) -> bool:
    return not math.isnan(_number(cell))


def _tags(cell: str) -> tuple[str, ...]:
    return tuple(sorted({tag.strip() for tag in cell.split("|") if twins.seen(tag)}))


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _places(root: str, listed: str) -> Iterator[str]:
    """Where a file may be: with an apostrophe that is its own or a spreadsheet's, with slashes of
    Windows, and with accents that are composed in the one and decomposed in the other."""
    spelled = (listed, tables.unescaped(listed))
    for name in dict.fromkeys((*spelled, *(text.replace("\\", "/") for text in spelled))):
        yield os.path.normpath(os.path.join(root, name))
        for form in ("NFC", "NFD") if not name.isascii() else ():
            yield os.path.normpath(os.path.join(root, unicodedata.normalize(form, name)))


def _relative(file: str, root: str) -> str:
    """Where a file is from the folder, with slashes."""
    prefix = os.path.join(os.path.normpath(root), "")
    if file.startswith(prefix):
        return file.removeprefix(prefix)
    return Path(os.path.relpath(file, root)).as_posix()


def _repeated(first: Item, again: Item, *, file: Path) -> str:
    def says(row: Item) -> str:
        parts = ("|".join(row.labels), "|".join(map(str, row.values)), row.split, row.group)
        return ", ".join(filter(None, parts)) or "no label"

    if says(first) == says(again):
        return f"listed again in line {again.line} of {file.name}: line {first.line} counts"
    return (
        f"listed again in line {again.line} of {file.name} with other entries ({says(again)}):"
        f" line {first.line} counts ({says(first)})"
    )
