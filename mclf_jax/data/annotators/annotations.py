"""What several people said of each recording, and the manifest of what most of them said.

A long table, CSV in UTF-8 with a header line (in any case); a row for each item and annotator:

    path       of the file, relative to the folder of audio ("item" is taken too)
    annotator  anything that tells people apart
    label      the one label; empty where the annotator could not say
    labels     or tags separated by `|`; empty where the annotator found none
    split, group, licence  of the item (optional), for the manifest
"""

import dataclasses
import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from mclf_jax.common import checks, files
from mclf_jax.common.text import tables
from mclf_jax.data.catalogue import twins

TIES = ("unknown", "absent", "present")
_OF_ITEM = ("split", "group", "licence")


@dataclasses.dataclass(frozen=True)
class Annotations:
    """Who said what.

    Attributes:
        task: "single_label" or "multi_label".
        labels: all names, sorted.
        votes: {item: {annotator: names}}, one name if the task is single-label.
        columns: {item: {column: cell}} of what else the table says of items.
    """

    task: str
    labels: tuple[str, ...]
    votes: Mapping[str, Mapping[str, frozenset[str]]]
    columns: Mapping[str, Mapping[str, str]]


@dataclasses.dataclass(frozen=True)
class Resolved:
    """What most annotators said.

    Attributes:
        labels: {item: names}; nothing for items of which the one label is tied.
        unresolved: {item: the names that are tied}.
    """

    labels: Mapping[str, tuple[str, ...]]
    unresolved: Mapping[str, tuple[str, ...]]


def read_annotations(path: str | os.PathLike) -> Annotations:
    """Reads a long table; see the head of this file.

    Rows of one item and annotator are one annotation: tags add up, labels must be the same.

    Raises:
        ValueError: it is not such a table (`common.text.tables.read`), one annotator says two
            things, or rows contradict each other on an item; the message names the line.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise ValueError(f"no such file of annotations: {path}")
    votes: dict[str, dict[str, frozenset[str]]] = {}
    columns: dict[str, dict[str, str]] = {}
    table = tables.read(path, columns=["annotator"], names="lower case", hints=tables.TAGS)
    item_column = _one_of(("path", "item"), table.columns, path)
    task = {"label": "single_label", "labels": "multi_label"}[
        _one_of(("label", "labels"), table.columns, path)
    ]
    for line, row in table.rows:
        cells = {name: tables.unescaped(cell.strip()) for name, cell in row.items()}
        item, annotator = cells[item_column], cells["annotator"]
        if not item or not annotator:
            raise ValueError(f"{path}, line {line}: {item_column} and annotator must not be empty")
        for name in _OF_ITEM:
            known = columns.setdefault(item, {}).setdefault(name, cells.get(name, ""))
            if known != cells.get(name, ""):
                raise ValueError(
                    f"{path}, line {line}: {name} of {item} is {cells[name]!r}, and {known!r} above"
                )
        of_item = votes.setdefault(item, {})
        if task == "multi_label":
            tags = frozenset(tag.strip() for tag in cells["labels"].split("|")) - {""}
            of_item[annotator] = of_item.get(annotator, frozenset()) | tags
        elif cells["label"]:
            label = frozenset({cells["label"]})
            if of_item.setdefault(annotator, label) != label:
                raise ValueError(
                    f"{path}, line {line}: {annotator} says {cells['label']!r} of {item}, and"
                    f" {next(iter(of_item[annotator]))!r} above; for several labels of an item name"
                    " the column labels"
                )
    names = {name for of_item in votes.values() for said in of_item.values() for name in said}
    if not names:
        raise ValueError(f"{path} has no annotation")
    return Annotations(task=task, labels=tuple(sorted(names)), votes=votes, columns=columns)


def alike(annotations: Annotations) -> list[str]:
    """Sentences on labels, and on annotators, that look the same and count as different."""
    said = annotations.votes.values()
    counts = {
        "labels": Counter(name for of_item in said for names in of_item.values() for name in names),
        "annotators": Counter(annotator for of_item in said for annotator in of_item),
    }
    sentences = []
    for what, of_names in counts.items():
        if found := twins.spellings(of_names):
            groups = [" and ".join(map(repr, names)) for names in found]
            sentences.append(
                f"{what} that look the same and count as different: {checks.few(groups)}. Write"
                " each in one way"
            )
    return sentences


def majority(annotations: Annotations, *, ties: str = "unknown") -> Resolved:
    """The label that most annotators of an item chose; the tags that more than half of them did.

    Args:
        annotations: of `read_annotations`.
        ties: what becomes of a tie. "unknown": the item has no label, or is not judged on that
            tag. A tag that half of the annotators chose may also count as "absent" or "present".

    Raises:
        ValueError: an unknown rule, or one for tags where there are none.
    """
    checks.choice("ties", ties, TIES)
    if annotations.task == "single_label" and ties != "unknown":
        raise ValueError(
            f"ties={ties!r} is for multi-label; a single label that is tied is unresolved"
        )
    labels, unresolved = {}, {}
    for item, of_item in annotations.votes.items():
        counts = Counter(name for said in of_item.values() for name in said)
        if annotations.task == "single_label":
            most = max(counts.values(), default=0)
            chosen = tuple(sorted(name for name, count in counts.items() if count == most))
            if len(chosen) != 1:
                unresolved[item] = chosen
            else:
                labels[item] = chosen
        else:
            half = len(of_item) / 2
            tied = tuple(sorted(name for name, count in counts.items() if count == half))
            enough = half if ties == "present" else half + 0.5
            labels[item] = tuple(sorted(name for name, n in counts.items() if n >= enough))
            if tied and ties == "unknown":
                unresolved[item] = tied
    return Resolved(labels=labels, unresolved=unresolved)


def write_manifest(annotations: Annotations, resolved: Resolved, path: str | os.PathLike) -> None:
    """Writes the resolved labels as the `manifest.csv` that the folder reader takes.

    What is tied stands in the column "tied". Single-label items of a tie are in the split
    "unlabelled"; multi-label, the column "observed" has what is known of them.
    """
    of_item = [c for c in _OF_ITEM[1:] if any(v[c] for v in annotations.columns.values())]
    is_tags = annotations.task == "multi_label"
    names = ["labels", "observed"] if is_tags else ["label"]
    rows = [["path", *names, "split", *of_item, "tied"]]
    for item in sorted(annotations.votes):
        chosen, tied = resolved.labels.get(item, ()), resolved.unresolved.get(item, ())
        known = annotations.columns[item]
        observed = [name for name in annotations.labels if name not in tied] if is_tags else []
        cells = ["|".join(chosen), "|".join(observed)][: len(names)]
        split = known["split"] if chosen or observed else "unlabelled"
        rows.append([item, *cells, split, *(known[c] for c in of_item), "|".join(tied)])
    text = io.StringIO(newline="")
    tables.write_rows(text, rows, line_end="\r\n")
    files.write_text(Path(path).expanduser(), text.getvalue())


def _one_of(names: tuple[str, str], columns: Sequence[str], path: Path) -> str:
    there = [name for name in names if name in columns]
    if len(there) != 1:
        raise ValueError(
            f"{path} must have one of the columns {' and '.join(names)}; it has"
            f" {', '.join(columns)}"
        )
    return there[0]
