"""What a folder of audio says about itself: the rows of `manifest.csv`, or of its subfolders."""

import csv
import dataclasses
import math
import os
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from mclf_jax.common import checks
from mclf_jax.data.base.source import TASKS
from mclf_jax.data.catalogue import layout
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
_KNOWN = ("path", "label", "labels", "observed", "split", "group", "licence", "license")


@dataclasses.dataclass(frozen=True)
class Listing:
    """All items by path, the task they are for, and (path, reason) of what was left out."""

    items: tuple[Item, ...]
    task: str
    skipped: tuple[tuple[str, str], ...] = ()


def read(root: Path, *, task: str, targets: tuple[str, ...]) -> Listing:
    """Reads the manifest of a folder or, where it has none, its subfolders.

    Args:
        root: the folder.
        task: one of `TASKS`, or "auto" for what the columns say.
        targets: columns of numbers, for regression.

    Raises:
        ValueError: columns are missing or contradict `task`, a split has an unknown name, the
            manifest is not UTF-8 or not CSV, or there is neither a manifest nor audio.
    """
    checks.choice("task", task, ("auto", *TASKS))
    if targets and task not in ("auto", "regression"):
        raise ValueError(f"targets={'|'.join(targets)!r} are for regression, but task is {task!r}")
    if (root / FILE_NAME).is_file():
        return _read_manifest(root, task=task, targets=targets)
    if targets or task not in ("auto", "single_label"):
        raise ValueError(
            f"subfolders give one label for each file; task={task!r}, targets={'|'.join(targets)!r}"
            f" need a {FILE_NAME} in {root}"
        )
    return _list_subfolders(root)


def _list_subfolders(root: Path) -> Listing:
    rows = []
    for file in layout.walk_audio(root):
        relative = Path(file).relative_to(root)
        labels = relative.parts[:1] if len(relative.parts) > 1 else ()
        rows.append(Item(item_id=relative.as_posix(), file=file, labels=labels))
    if not rows:
        raise ValueError(
            f"{root} has no {FILE_NAME} and no audio in it: put one subfolder for each label there,"
            f" or a {FILE_NAME} with the columns path and label (or labels, separated by |)"
        )
    return Listing(items=_by_path(rows), task="single_label")


def _by_path(rows: list[Item]) -> tuple[Item, ...]:
    return tuple(sorted(rows, key=lambda row: row.item_id))


def _read_manifest(root: Path, *, task: str, targets: tuple[str, ...]) -> Listing:
    rows: dict[str, Item] = {}
    skipped = []
    try:
        # utf-8-sig: spreadsheets write a byte order mark
        with (root / FILE_NAME).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = [(name or "").strip().lower() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            task, label_column = _task(columns, task=task, targets=targets, root=root)
            for cells in reader:
                cells = {name: (cells[name] or "").strip() for name in columns}
                row = _row(cells, root, label_column, targets, line=reader.line_num)
                if isinstance(row, str):
                    listed = cells["path"] or f"{FILE_NAME}, line {reader.line_num}"
                    skipped.append((listed, row))
                elif row.file in rows:
                    skipped.append((row.item_id, _repeated(rows[row.file], row)))
                else:
                    rows[row.file] = row
    except UnicodeDecodeError as error:
        raise ValueError(f"{root / FILE_NAME} is not UTF-8 ({error}): save it as UTF-8") from error
    except csv.Error as error:
        raise ValueError(f"{root / FILE_NAME}, line {reader.line_num}: {error}") from error
    return Listing(items=_by_path(list(rows.values())), task=task, skipped=tuple(skipped))


def _task(
    columns: list[str], *, task: str, targets: tuple[str, ...], root: Path
) -> tuple[str, str | None]:
    """The task, and the column that holds its labels."""
    found = f"{root / FILE_NAME} has the columns {', '.join(columns) or '(none)'}"
    if "path" not in columns:
        raise ValueError(f"{found}; it needs path, and label or labels")
    if targets or task == "regression":
        missing = [target for target in targets if target not in columns]
        if missing or not targets:
            raise ValueError(
                f"{found}; regression needs targets= to name columns of numbers, separated by |,"
                f" got targets={'|'.join(targets)!r}"
            )
        return "regression", None
    if task == "auto" and {"label", "labels"} <= set(columns):
        raise ValueError(
            f"{found}; say which to use: task='single_label' takes label, task='multi_label' labels"
        )
    if task in ("auto", "single_label") and "label" in columns:
        return "single_label", "label"
    if task in ("auto", "multi_label") and "labels" in columns:
        return "multi_label", "labels"
    if task == "multi_label" and "label" in columns:
        return "multi_label", "label"
    needed = {"single_label": "label", "multi_label": "labels"}.get(
        task,
        "label (single-label) or labels (multi-label, separated by |), or targets= for regression",
    )
    raise ValueError(f"{found}; it needs {needed}")


def _row(
    cells: Mapping[str, str],
    root: Path,
    label_column: str | None,
    targets: tuple[str, ...],
    *,
    line: int,
) -> Item | str:
    """The row, or why it is left out."""
    split = cells.get("split", "").lower()
    if split and split not in SPLITS:
        raise ValueError(
            f"{root / FILE_NAME}, line {line}: split is {cells['split']!r}; allowed are"
            " train, valid (or validation, val), test, unlabelled, or nothing"
        )
    split = SPLITS.get(split, "")
    if not cells["path"]:
        return "no path"
    file = _find(root, cells["path"])
    if file is None:
        return f"no such file ({FILE_NAME}, line {line})"
    labels, values, observed = (), (), None
    if label_column == "label":
        labels = (cells["label"],) if cells["label"] else ()
    elif label_column == "labels":
        labels = _tags(cells["labels"])
        if looked_for := _tags(cells.get("observed", "")):
            observed = tuple(sorted({*looked_for, *labels}))
    elif any(cells[target] for target in targets):
        values = tuple(_number(cells[target]) for target in targets)
        for target, value in zip(targets, values, strict=True):
            if cells[target] and not math.isfinite(value):
                return f"{target} is {cells[target]!r}, not a number ({FILE_NAME}, line {line})"
    if split in ("train", "valid", "test") and not (labels or values or observed):
        return f"in the split {split!r} but without a label ({FILE_NAME}, line {line})"
    return Item(
        item_id=Path(os.path.relpath(file, root)).as_posix(),
        file=file,
        labels=labels,
        observed=observed,
        values=values,
        split=split,
        group=cells.get("group", ""),
        licence=cells.get("licence", "") or cells.get("license", ""),
        columns={
            name: cell for name, cell in cells.items() if name not in (*_KNOWN, *targets) and name
        },
        line=line,
    )


def _tags(cell: str) -> tuple[str, ...]:
    return tuple(sorted({tag.strip() for tag in cell.split("|")} - {""}))


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _find(root: Path, listed: str) -> str | None:
    """The file on disk: accents may be composed in the one and decomposed in the other."""
    for name in (listed, listed.replace("\\", "/")):
        for form in (name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)):
            file = os.path.normpath(os.path.join(root, form))
            if os.path.isfile(file):
                return file
    return None


def _repeated(first: Item, again: Item) -> str:
    def says(row: Item) -> str:
        parts = ("|".join(row.labels), "|".join(map(str, row.values)), row.split, row.group)
        return ", ".join(filter(None, parts)) or "no label"

    if says(first) == says(again):
        return f"listed again in line {again.line} of {FILE_NAME}: line {first.line} counts"
    return (
        f"listed again in line {again.line} of {FILE_NAME} with other entries ({says(again)}):"
        f" line {first.line} counts ({says(first)})"
    )
