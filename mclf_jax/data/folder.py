"""A folder of audio as a data set: `manifest.csv`, or one subfolder for each label.

The manifest is UTF-8 with a header line. Columns, in any order; others are ignored:

    path      of the file, relative to the folder (required)
    label     one label of many                          -> task "single_label"
    labels    tags separated by `|`                      -> task "multi_label"
    <targets> numbers, named by the argument `targets`   -> task "regression"
    split     train, valid, test or unlabelled (optional)
    group     artist, album or track, which must not cross splits (optional)
    licence   of the file (optional)

A file without a label is in the split "unlabelled". The labels are those of the files, sorted, or
those of a public data set (the argument `labels`). A file that is listed twice counts once, as its
first row says. Whatever is left out stands in `info.skipped` with the reason.
"""

import collections
import dataclasses
import hashlib
import json
import os
from pathlib import Path

import numpy as np

from mclf_jax.audio import decode
from mclf_jax.data import manifest, scan, splits
from mclf_jax.data.label_lists import label_list
from mclf_jax.data.manifest import UNLABELLED, Row
from mclf_jax.data.source import Example, Info

_LABELLED_SPLITS = ("train", "valid", "test")
_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Folder:
    """A `Source` of audio files; plain data, so that worker processes get a copy cheaply.

    Attributes:
        info: labels, splits and what was left out.
        files: of each item, on disk.
        item_ids: of each item, the path relative to the folder.
        labels: int32 [N] for `single_label`, float32 [N, K] for the other tasks; 0 for items of
            the split "unlabelled".
        lengths: int64 [N], samples at `info.sample_rate_hz`.
    """

    info: Info
    files: tuple[str, ...]
    item_ids: tuple[str, ...]
    labels: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Example:
        return Example(
            audio=decode.read_audio(self.files[index], sample_rate_hz=self.info.sample_rate_hz),
            label=self.label(index),
            valid=np.float32(1),
            index=np.int32(range(len(self))[index]),
        )

    def read(self, index: int, *, start_sample: int, num_samples: int) -> np.ndarray:
        return decode.read_audio(
            self.files[index],
            sample_rate_hz=self.info.sample_rate_hz,
            start_sample=start_sample,
            num_samples=num_samples,
        )

    def label(self, index: int) -> np.ndarray:
        return self.labels[index]

    def num_samples(self, index: int) -> int:
        return int(self.lengths[index])

    def item_id(self, index: int) -> str:
        return self.item_ids[index]


def folder(
    *,
    path: str | os.PathLike,
    sample_rate_hz: int,
    min_duration_s: float = 0.125,
    task: str = "auto",
    targets: str = "",
    labels: str = "",
    silent_label: str = "silence",
    seed: int = 0,
    show_progress: str = "auto",
) -> Folder:
    """Looks through a folder, decoding each file once (`scan`), and makes it a data set.

    Where the manifest gives no split, items are dealt 70/15/15 to train, valid and test by group
    and stratified by label; where it gives all but valid, valid is 15 % of train, by group. What
    was done stands in `info.notes`.

    Args:
        path: the folder.
        sample_rate_hz: of the audio that is read.
        min_duration_s: shorter files are left out.
        task: "single_label", "multi_label", "regression", or "auto": what the columns say.
        targets: columns of numbers, separated by `|`, for regression.
        labels: name of a list of `label_lists`, which then says what the labels are, in which
            order, and the task. Other labels are dropped, files that have no other are left out,
            and labels that no file has stay as outputs. Without a list: the labels of the files.
        silent_label: files silent to the last sample are left out, except under this label, whose
            meaning that is.
        seed: of splits that are made here.
        show_progress: "auto", "always" or "never", while files are decoded.

    Raises:
        ValueError: there is nothing to train on, or the manifest is not understood; the message
            says what was found and what is needed.
    """
    root = Path(path).expanduser()
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
    listing = manifest.read(root, task=fixed.task if fixed else task, targets=target_names)
    notes: list[str] = []
    if fixed:
        listing = _keep_listed(listing, fixed.labels, list_name=labels, notes=notes)
    rows, lengths, skipped = _usable(
        listing,
        notes,
        sample_rate_hz=sample_rate_hz,
        min_duration_s=min_duration_s,
        silent_label=silent_label,
        show_progress=show_progress,
    )
    if not rows:
        raise ValueError(f"nothing in {root} is usable: {_first_reasons(skipped)}")

    names = fixed.labels if fixed else target_names or _label_names(rows, listing, notes)
    if listing.task == "single_label" and len(names) < 2:
        raise ValueError(
            f"{root} has {len(names)} label(s) with usable audio ({', '.join(names) or 'none'});"
            f" a classifier needs at least two. Left out: {_first_reasons(skipped)}"
        )
    label_array = _label_array(rows, listing.task, names)
    split_of = _complete_splits(rows, label_array, notes, root=root, seed=seed)
    _note_absent_labels(label_array, split_of, listing.task, names, notes)
    indices = {
        split: np.array([i for i, s in enumerate(split_of) if s == split], np.int64)
        for split in (*_LABELLED_SPLITS, UNLABELLED)
        if split in split_of
    }
    info = Info(
        name="folder",
        task=listing.task,
        labels=names,
        sample_rate_hz=sample_rate_hz,
        splits=indices,
        groups=tuple(row.group or row.item_id for row in rows),
        version="unversioned",
        fingerprint=_fingerprint(
            rows,
            split_of,
            task=listing.task,
            labels=names,
            sample_rate_hz=sample_rate_hz,
            min_duration_s=min_duration_s,
        ),
        licence="; ".join(sorted({row.licence for row in rows} - {""})) or "unknown",
        skipped=tuple(sorted(skipped)),
        notes=tuple(notes),
    )
    return Folder(
        info=info,
        files=tuple(row.file for row in rows),
        item_ids=tuple(row.item_id for row in rows),
        labels=label_array,
        lengths=np.array(lengths, np.int64),
    )


def _keep_listed(
    listing: manifest.Listing, names: tuple[str, ...], *, list_name: str, notes: list[str]
) -> manifest.Listing:
    rows, skipped, dropped = [], list(listing.skipped), collections.Counter()
    for row in listing.rows:
        if row.split == UNLABELLED or not row.labels:
            rows.append(row)
            continue
        kept = tuple(label for label in row.labels if label in names)
        dropped.update(label for label in row.labels if label not in names)
        if kept:
            rows.append(dataclasses.replace(row, labels=kept))
        else:
            has = ", ".join(row.labels)
            skipped.append((row.item_id, f"no label of the list {list_name!r}, only {has}"))
    if dropped:
        counts = [f"{label} ({count} files)" for label, count in dropped.most_common()]
        notes.append(f"labels that the list {list_name!r} has not, dropped: {_first(counts)}")
    return dataclasses.replace(listing, rows=tuple(rows), skipped=tuple(skipped))


def _usable(
    listing: manifest.Listing,
    notes: list[str],
    *,
    sample_rate_hz: int,
    min_duration_s: float,
    silent_label: str,
    show_progress: str,
) -> tuple[list[Row], list[int], list[tuple[str, str]]]:
    results = scan.scan(
        [row.file for row in listing.rows],
        sample_rate_hz=sample_rate_hz,
        min_duration_s=min_duration_s,
        show_progress=show_progress,
    )
    rows, lengths, skipped, silent = [], [], list(listing.skipped), []
    for row, result in zip(listing.rows, results, strict=True):
        if result.reason == scan.SILENT and silent_label in row.labels:
            silent.append(row.item_id)
        elif result.reason is not None:
            skipped.append((row.item_id, result.reason))
            continue
        rows.append(row)
        lengths.append(result.num_samples)
    if silent:
        notes.append(
            f"{scan.SILENT}, but kept because the label is {silent_label!r}: {len(silent)} of"
            f" {len(rows)} files, such as {silent[0]}"
        )
    return rows, lengths, skipped


def _first_reasons(skipped: list[tuple[str, str]]) -> str:
    if not skipped:
        return "nothing was found"
    return _first([f"{path}: {reason}" for path, reason in skipped], separator="; ")


def _first(texts: list[str], *, separator: str = ", ") -> str:
    more = [f"and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return separator.join(texts[:_SHOWN] + more)


def _label_names(rows: list[Row], listing: manifest.Listing, notes: list[str]) -> tuple[str, ...]:
    def names(some) -> set[str]:
        return {label for row in some if row.split != UNLABELLED for label in row.labels}

    kept = names(rows)
    lost = sorted(names(listing.rows) - kept)
    if lost:
        notes.append(f"labels without any usable file, left out: {', '.join(lost)}")
    return tuple(sorted(kept))


def _is_labelled(row: Row) -> bool:
    return row.split != UNLABELLED and bool(row.labels or row.values)


def _label_array(rows: list[Row], task: str, names: tuple[str, ...]) -> np.ndarray:
    position = {name: k for k, name in enumerate(names)}
    if task == "single_label":
        return np.array(
            [position[row.labels[0]] if _is_labelled(row) else 0 for row in rows], np.int32
        )
    array = np.zeros((len(rows), len(names)), np.float32)
    for i, row in enumerate(rows):
        if not _is_labelled(row):
            continue
        if task == "regression":
            array[i] = row.values
        else:
            array[i, [position[label] for label in row.labels]] = 1
    return array


def _complete_splits(
    rows: list[Row], labels: np.ndarray, notes: list[str], *, root: Path, seed: int
) -> list[str]:
    """The split of each row: as given, where it is given; the rest by group."""
    split_of = [row.split if _is_labelled(row) else UNLABELLED for row in rows]
    group_of = [row.group or row.item_id for row in rows]
    given: dict[str, set[str]] = {}
    for split, group in zip(split_of, group_of, strict=True):
        if split in _LABELLED_SPLITS:
            given.setdefault(group, set()).add(split)
    _note_crossing(given, notes)

    def deal(chosen: list[int], **arguments) -> str:
        try:
            dealt = splits.split_by_group(
                [group_of[i] for i in chosen], labels[chosen], seed=seed, **arguments
            )
        except ValueError as error:
            raise ValueError(
                f"{root}: splits cannot be made by group: {error}. Fill the split column of"
                f" {manifest.FILE_NAME}, or give its group column more different values"
            ) from error
        for split, positions in dealt.items():
            for position in positions:
                split_of[chosen[position]] = split
        return ", ".join(f"{split} {len(positions)}" for split, positions in dealt.items())

    open_rows = [i for i, split in enumerate(split_of) if not split]
    joining = [i for i in open_rows if group_of[i] in given]
    for i in joining:  # into the split of the rest of their group
        split_of[i] = min(given[group_of[i]], key=_LABELLED_SPLITS.index)
    free = [i for i in open_rows if group_of[i] not in given]
    if free and not given:
        counts = deal(free)
        notes.append(f"no splits given: made 70/15/15 by group with seed {seed}: {counts}")
    elif open_rows:
        if len({group_of[i] for i in free}) < len(_LABELLED_SPLITS):
            for i in free:
                split_of[i] = "train"
            counts = f"train {len(free)}" if free else ""
        else:
            counts = deal(free)
        joined = f"{len(joining)} joined the split of their group" if joining else ""
        notes.append(
            f"{len(open_rows)} of {len(rows)} rows had no split: "
            + ", ".join(filter(None, (joined, counts and f"by group with seed {seed}: {counts}")))
        )

    train = [i for i, split in enumerate(split_of) if split == "train"]
    if not train:
        raise ValueError(
            f"{root} has no usable labelled item in the split train (there are: "
            f"{', '.join(sorted(set(split_of)))}): mark some in the split column of"
            f" {manifest.FILE_NAME}, or leave the column out"
        )
    if "valid" not in split_of:
        counts = deal(train, fractions={"train": 0.85, "valid": 0.15})
        notes.append(f"no valid split given: made from train by group with seed {seed}: {counts}")
    if "test" not in split_of:
        notes.append("no test split given: evaluate on valid, or mark rows with the split test")
    return split_of


def _note_crossing(given: dict[str, set[str]], notes: list[str]) -> None:
    crossing = sorted(group for group, found in given.items() if len(found) > 1)
    if crossing:
        where = " and ".join(sorted(given[crossing[0]], key=_LABELLED_SPLITS.index))
        notes.append(
            f"leakage: {len(crossing)} of the groups in more than one of the given splits, such as"
            f" {crossing[0]!r} in {where}; scores on valid or test will be too good"
        )


def _note_absent_labels(
    labels: np.ndarray, split_of: list[str], task: str, names: tuple[str, ...], notes: list[str]
) -> None:
    if task == "regression":
        return

    def absent(some_splits) -> list[str]:
        some = labels[[split in some_splits for split in split_of]]
        count = np.bincount(some, minlength=len(names)) if some.ndim == 1 else some.sum(axis=0)
        return [name for name, n in zip(names, count, strict=True) if not n]

    nowhere = absent(_LABELLED_SPLITS)  # of a fixed list
    if nowhere:
        notes.append(
            f"{len(nowhere)} of {len(names)} labels have no file and stay as outputs:"
            f" {_first(nowhere)}"
        )
    not_in_train = [name for name in absent(("train",)) if name not in nowhere]
    if not_in_train:
        notes.append(
            f"labels that valid or test has and train has not, so cannot be learnt:"
            f" {', '.join(not_in_train)}"
        )


def _fingerprint(rows: list[Row], split_of: list[str], **settings) -> str:
    """Of what the items are; not of times of change, so that a copy has the same."""
    items = [
        (row.item_id, os.path.getsize(row.file), row.labels, row.values, split, row.group)
        for row, split in zip(rows, split_of, strict=True)
    ]
    content = json.dumps([settings, items], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
