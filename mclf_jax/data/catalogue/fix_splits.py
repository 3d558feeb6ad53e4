"""Writes the splits that a folder would get into its `manifest.csv`, for who wants them fixed."""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

from mclf_jax.common import checks, files, walk
from mclf_jax.common.text import tables
from mclf_jax.data.catalogue import manifest
from mclf_jax.data.catalogue.items import FRACTIONS, Catalogue
from mclf_jax.data.catalogue.plan import plan


def fix_splits(
    root: str | os.PathLike,
    found: Catalogue,
    *,
    seed: int = 0,
    split_rule: str = "hash",
    split_fractions: Sequence[float] = FRACTIONS,
) -> dict[str, int]:
    """Write a split for every row of the manifest that has none, or a manifest of the subfolders.

    Columns, rows and their order stay as they are; what is no song of the data set has no split.

    Args:
        root: the folder.
        found: what `readers.folder.catalogue` says of it.
        seed, split_rule, split_fractions: see `plan`.

    Returns:
        Number of songs in each split.

    Raises:
        ValueError: every song has a split already, names of files are no text that a manifest can
            hold, or see `plan`.
    """
    root = Path(root).expanduser()
    if found.items and all(item.split or not item.is_labelled for item in found.items):
        raise ValueError(f"every song of {root} with a label has a split already")
    planned = plan(found, seed=seed, split_rule=split_rule, split_fractions=split_fractions)
    split_of = {i: split for split, chosen in planned.splits.items() for i in chosen}
    text = io.StringIO(newline="")
    if (file := manifest.find(root)) is None:
        file = root / manifest.FILE_NAME
        # Without them, nobody would miss them later.
        if odd := [walk.shown(item.item_id) for item in planned.items if _is_bytes(item.file)]:
            raise ValueError(
                f"{root}: a manifest is UTF-8 and cannot hold names that are not: rename"
                f" {checks.few(odd)}"
            )
        rows = [["path", "label", "split"]]
        for i, item in enumerate(planned.items):
            path = Path(os.path.relpath(item.file, root)).as_posix()
            rows.append([path, "".join(item.labels), split_of[i]])
        tables.write_rows(text, rows)
    else:
        of_line = {item.line: split_of[i] for i, item in enumerate(planned.items)}
        table = tables.read(file)
        column = next((name for name in table.columns if name.lower() == "split"), "split")
        head = list(dict.fromkeys((*table.columns, column)))
        rows = [head]
        for line, cells in table.rows:
            cells[column] = cells.get(column) or of_line.get(line, "")
            rows.append([cells[name] for name in head])
        # Cells as they were, which may begin with what a spreadsheet takes for a formula.
        csv.writer(text, lineterminator="\n").writerows(rows)
    files.write_text(file, text.getvalue())
    return {split: len(items) for split, items in planned.splits.items()}


def _is_bytes(name: str) -> bool:
    """Whether a name of a file is no text, see `walk.shown`."""
    return any("\ud800" <= letter <= "\udfff" for letter in name)
