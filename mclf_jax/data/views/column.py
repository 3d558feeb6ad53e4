"""Any column of a data set in place of its labels: year, era, album, tempo, key."""

import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from mclf_jax.common import checks
from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.source import TASKS, Source
from mclf_jax.data.base.targets import Targets
from mclf_jax.data.catalogue.items import SPLITS, UNLABELLED
from mclf_jax.data.views.base import derived

SCALINGS = ("standard", "none")
_SEPARATOR = "|"


def with_column(
    source: Source,
    *,
    column: str,
    kind: str = "auto",
    edges: Sequence[float] | float = (),
    scaling: str = "standard",
    min_items: int = 1,
) -> Source:
    """What a column says, in the data set's own splits.

    Items of train where nothing stands become unlabelled, those of valid and test are left out;
    so are items of a label that train has in fewer than `min_items` items.

    Args:
        source: of which.
        column: of `info.columns`, such as "year".
        kind: one of `data.base.source.TASKS`, or "auto": "regression" where all are numbers,
            "multi_label" where there is a `|`, else "single_label".
        edges: numbers at which one label ends and the next begins, such as (1970, 1980, 1990) for
            eras: numbers become single labels.
        scaling: of regression: "standard": (value - mean) / deviation over train is learnt, as a
            network begins at 0 and years would take long; what is predicted, and scored, is the
            value, by `Info.unit`. Or "none".
        min_items: of a label in train, at least 1.

    Raises:
        ValueError: there is no such column, it holds something else, or nothing is left to learn.
    """
    info = source.info
    field = "data.target_args"
    checks.choice(f"{field}.column", column, tuple(info.columns))
    checks.choice(f"{field}.kind", kind, ("auto", *TASKS))
    checks.choice(f"{field}.scaling", scaling, SCALINGS)
    checks.whole(f"{field}.min_items", min_items, lowest=1)
    edges = _checked(edges)
    cells = [cell.strip() for cell in info.columns[column]]
    filled = np.array([bool(cell) for cell in cells])
    numbers = np.array([_number(cell) for cell in cells])
    words = filled & ~np.isfinite(numbers)
    if edges and kind not in ("auto", "single_label"):
        raise ValueError(f"{field}.edges make single labels of numbers, but kind is {kind!r}")
    if kind == "auto" and not edges:
        tags = any(_SEPARATOR in cell for cell in cells)
        kind = "regression" if not words.any() else "multi_label" if tags else "single_label"
    if words.any() and (edges or kind == "regression"):
        at = int(np.flatnonzero(words)[0])
        raise ValueError(
            f"{field}.column {column!r} is {cells[at]!r} at {source.item_id(at)}, which is no"
            " number: leave edges out, and take kind single_label or multi_label"
        )
    train = np.zeros(len(source), bool)
    train[np.asarray(info.splits.get("train", ()), np.int64)] = True
    if not (train & filled).any():
        raise ValueError(
            f"{field}.column {column!r} is empty in train of {info.name}; of a folder without"
            " labels, name it by data.args.targets and data.args.task"
        )
    unit = ()
    if kind == "regression":
        targets, unit = _regression(numbers, scaling=scaling, train=train & filled)
        names, task, known = (column,), "regression", filled
    else:
        task = "single_label" if edges else kind
        held = _eras(numbers, edges) if edges else _held(cells, task)
        targets, names = _labels(held, task, train=train, min_items=min_items, column=column)
        kept = set(names)
        known = np.array([bool(kept.intersection(labels)) for labels in held])
    splits, left_out = _splits(info.splits, known)
    counts = ", ".join(f"{split} {len(items)}" for split, items in splits.items())
    note = f"the target is the column {column} ({task}, {len(names)} outputs): {counts}"
    if left_out:
        note += f"; {left_out} items of valid and test have none that can be learnt, left out"
    return derived(
        source,
        targets,
        settings=["column", column, task, list(edges), scaling, min_items, *map(list, unit)],
        note=note,
        splits=splits,
        parents={},
        task=task,
        labels_in_order=names,
        unit=unit,
    )


def _checked(edges: Any) -> tuple[float, ...]:
    found = edges if isinstance(edges, tuple | list) else (edges,)
    is_number = all(isinstance(edge, numbers.Real) and math.isfinite(edge) for edge in found)
    if not is_number or list(found) != sorted(set(found)):
        raise ValueError(
            f"data.target_args.edges is {edges!r}; it must be numbers that rise, such as"
            " (1970, 1980), or one"
        )
    return tuple(found)


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _regression(
    numbers: np.ndarray, *, scaling: str, train: np.ndarray
) -> tuple[Targets, tuple[tuple[float, float], ...]]:
    """Targets, and their unit."""
    if scaling == "none":
        return numbers[:, None].astype(np.float32), ()
    mean, deviation = float(numbers[train].mean()), float(numbers[train].std()) or 1.0
    mean, deviation = float(f"{mean:.6g}"), float(f"{deviation:.4g}")  # for people to read
    return ((numbers - mean) / deviation)[:, None].astype(np.float32), ((deviation, mean),)


def _held(cells: Sequence[str], task: str) -> list[tuple[str, ...]]:
    """Labels of each item."""
    if task == "single_label":
        return [(cell,) if cell else () for cell in cells]
    return [tuple({word.strip() for word in c.split(_SEPARATOR)} - {""}) for c in cells]


def _eras(numbers: np.ndarray, edges: Sequence[float]) -> list[tuple[str, ...]]:
    texts = [f"{edge:g}" for edge in edges]
    names = [f"before {texts[0]}"]
    names += [f"{low} up to {high}" for low, high in zip(texts, texts[1:], strict=False)]
    names.append(f"from {texts[-1]}")
    eras = np.digitize(numbers, edges)
    return [(names[e],) if np.isfinite(n) else () for e, n in zip(eras, numbers, strict=True)]


def _labels(
    held: Sequence[tuple[str, ...]], task: str, *, train: np.ndarray, min_items: int, column: str
) -> tuple[Targets, tuple[str, ...]]:
    counts: dict[str, int] = {}
    for item in np.flatnonzero(train).tolist():
        for label in held[item]:
            counts[label] = counts.get(label, 0) + 1
    names = [label for label, count in counts.items() if count >= min_items]
    # Eras and years in their order, words in theirs.
    names = tuple(sorted(names, key=lambda name: (_order(name), name)))
    if len(names) < (2 if task == "single_label" else 1):
        raise ValueError(
            f"data.target_args.column {column!r} has {len(names)} label(s) with {min_items} items"
            f" or more in train ({', '.join(names) or 'none'}); a classifier needs two"
        )
    position = {name: k for k, name in enumerate(names)}
    if task == "single_label":
        first = [position.get(labels[0], 0) if labels else 0 for labels in held]
        return np.array(first, np.int32), names
    rows = ((0, {position[name]: 1 for name in labels if name in position}) for labels in held)
    return target_lib.tags(rows, num_labels=len(names)), names


def _order(name: str) -> float:
    """Of numbers, and of eras by where they begin."""
    if name.startswith("before "):
        return -math.inf
    number = _number(name.removeprefix("from ").partition(" up to ")[0])
    return math.inf if math.isnan(number) else number


def _splits(splits, known: np.ndarray) -> tuple[dict[str, np.ndarray], int]:
    """Those of items of which something is known, and how many of valid and test are left out."""
    found, unlabelled, left_out = {}, [np.zeros(0, np.int64)], 0
    for split, items in splits.items():
        items = np.asarray(items, np.int64)
        if split in SPLITS:
            found[split] = items[known[items]]
            lost = items[~known[items]]
            left_out += 0 if split == "train" else len(lost)
            unlabelled += [lost] if split == "train" else []
        else:
            unlabelled.append(items)
    found = {split: items for split, items in found.items() if len(items)}
    if len(rest := np.sort(np.concatenate(unlabelled))):
        found[UNLABELLED] = rest
    return found, left_out
