"""Data sets that TensorFlow Datasets' own audio builders prepared: gtzan, nsynth, groove, ...

Preparing them needs TensorFlow, reading them here does not. They must be in ArrayRecord:

    import tensorflow_datasets as tfds      # pip install mclf_jax[tfds]
    tfds.builder("gtzan", file_format="array_record").download_and_prepare()

Every window costs the decoding of its whole record, tens of milliseconds for half a minute of
integers: to train for long, prepare the original files with `mclf data prepare`.
"""

import dataclasses
import functools
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mclf_jax.audio import decode
from mclf_jax.audio.resample import resampled_window
from mclf_jax.common import checks
from mclf_jax.common import progress as progress_lib
from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.source import Info, Kept
from mclf_jax.data.base.targets import Targets
from mclf_jax.data.catalogue.items import FRACTIONS, UNLABELLED, Catalogue, Facts, Item
from mclf_jax.data.catalogue.manifest import SPLITS
from mclf_jax.data.catalogue.plan import plan
from mclf_jax.data.readers import gtzan
from mclf_jax.data.sources import scan
from mclf_jax.data.sources.files import make_info
from mclf_jax.data.tfds import records as tfds_records
from mclf_jax.data.tfds.records import Field
from mclf_jax.data.tfds.scan import ID_FIELDS, look_through


@dataclasses.dataclass(frozen=True)
class TfdsRecords(Kept):
    """The records of such a directory.

    Attributes:
        info: labels, splits and what was left out.
        audio_key, audio_field: which field of a record the audio is.
        files, positions: of each item, the shard and the number of the record in it.
        item_ids: of each item.
        targets: see `Plan`.
        lengths: int64 [N], samples as stored.
    """

    info: Info
    audio_key: str
    audio_field: Field
    files: tuple[str, ...]
    positions: np.ndarray
    item_ids: tuple[str, ...]
    targets: Targets = dataclasses.field()
    lengths: np.ndarray

    def read(self, index: int, *, start_sample: int, num_samples: int) -> np.ndarray:
        path, position = self.files[index], int(self.positions[index])
        try:
            stamp = os.stat(path).st_mtime_ns
            song = _song(path, position, stamp, self.audio_key, self.audio_field)
        except (ValueError, OSError, IndexError) as error:
            raise decode.AudioError(path, f"record {position} cannot be read: {error}") from error
        return resampled_window(
            lambda start, stop: song[start:stop],
            source_rate_hz=self.audio_field.sample_rate_hz,
            sample_rate_hz=self.info.sample_rate_hz,
            start_sample=start_sample,
            num_samples=num_samples,
        )

    def num_samples(self, index: int) -> int:
        return decode.resampled_length(
            int(self.lengths[index]),
            source_rate_hz=self.audio_field.sample_rate_hz,
            sample_rate_hz=self.info.sample_rate_hz,
        )


# A song's windows are often asked for one after the other.
@functools.lru_cache(maxsize=8)
def _song(path: str, position: int, stamp: int, key: str, field: Field) -> np.ndarray:
    return tfds_records.to_audio(tfds_records.read_record(path, position)[key], field)


def tfds(
    name: str,
    *,
    sample_rate_hz: int,
    path: str | os.PathLike = "",
    label: str = "",
    group: str = "",
    split: str = "stored",
    min_duration_s: float = 0.125,
    silent_label: str = "silence",
    seed: int = 0,
    split_rule: str = "hash",
    split_fractions: Sequence[float] = FRACTIONS,
    progress: str = "auto",
) -> TfdsRecords:
    """Opens a data set that TensorFlow Datasets prepared; looks through it once.

    What is found in the records is kept in the user's cache directory for the next start.

    Args:
        name: as there: "gtzan", "nsynth", "nsynth/gansynth_subset", "groove/full-16000hz:2.0.1".
        sample_rate_hz: of the audio that is read.
        path: the data directory of TensorFlow Datasets; `$TFDS_DATA_DIR` or
            `~/tensorflow_datasets` when not given.
        label: field that is to be predicted: a class, a number, or a group of yes or no such as
            "qualities"; "label" or the only class when not given.
        group: field of what must not cross splits that are made here.
        split: "stored", completed by group where it lacks valid or test; or "fault_filtered", for
            gtzan, which has no splits in TensorFlow Datasets.
        min_duration_s: shorter items are left out.
        silent_label: silent items are left out, except under this label.
        seed: of splits that are made here.
        split_rule, split_fractions: of these splits, see `plan`.
        progress: "auto", "on" or "off".

    Raises:
        ValueError: it is not there or not in ArrayRecord, a field that it has not, or nothing is
            usable; the message says what is there.
    """
    checks.choice("progress", progress, progress_lib.MODES)
    folder = _find(name, path)
    proto = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))
    if proto["name"] != re.split("[/:]", name)[0]:
        raise ValueError(f"{folder} holds {proto['name']}, not {name}")
    title = f"TensorFlow Datasets' {proto['name']}"
    if split not in ("stored", "fault_filtered"):
        raise ValueError(f"split must be 'stored' or 'fault_filtered', got {split!r}")
    if split == "fault_filtered" and proto["name"] != "gtzan":
        raise ValueError(f"split='fault_filtered' is a list for gtzan, not for {proto['name']}")
    fields = tfds_records.read_fields(folder)
    audio_key, audio_field = _audio_field(fields, folder)
    task, targets, labels = _target(fields, label, title=title)
    if group and group not in fields:
        raise ValueError(f"group={group!r} is no field of {title}; it has {_listed(fields)}")

    shards = _shards(folder, proto)
    rows = look_through(folder, shards, fields=fields, audio_key=audio_key, progress=progress)
    items, places, lengths, skipped, digest = [], [], [], [], hashlib.sha256()
    only_one = len(proto["splits"]) == 1
    published = gtzan.fault_filtered_split() if split == "fault_filtered" else None
    for row in rows:
        target, value = fields[targets[0]], row["values"].get(targets[0])
        reason = _reason(row, audio_field, target, value, min_duration_s, silent_label)
        if published is not None:
            chosen = published.get(Path(row["id"]).stem)
            reason = reason or (None if chosen else "left out by the fault-filtered split")
        else:
            chosen = "" if only_one else SPLITS.get(row["split"])
            if chosen is None:
                reason = f"in the split {row['split']!r}, which is none of train, valid and test"
        if reason is not None:
            skipped.append((row["id"], reason))
            continue
        items.append(_item(row, fields, task, targets, labels, group=group, split=chosen))
        places.append((row["file"], row["position"]))
        lengths.append(row["num_samples"])
        digest.update(f"{row['id']} {row['digest']} ".encode())
    catalogue = Catalogue(
        facts=Facts(
            name=f"tfds:{name.partition(':')[0]}",
            title=title,
            group=group or "track",
            version=proto["version"],
            licence=proto.get("redistributionInfo", {}).get("license", "unknown"),
            citation=proto.get("citation", ""),
            url=next(iter(proto.get("location", {}).get("urls", ())), ""),
        ),
        task=task,
        items=tuple(items),
        labels=labels,
        skipped=tuple(sorted(skipped)),
        notes=_notes(proto, split=split),
        split_hint="give group= a field that has more values",
    )
    planned = plan(catalogue, seed=seed, split_rule=split_rule, split_fractions=split_fractions)
    for part, indices in planned.splits.items():
        digest.update(part.encode() + indices.tobytes())
    for block in target_lib.blocks(planned.targets):
        digest.update(block)
    digest.update(json.dumps([task, *labels]).encode())
    return TfdsRecords(
        info=make_info(
            catalogue, planned, sample_rate_hz=sample_rate_hz, fingerprint=digest.hexdigest()
        ),
        audio_key=audio_key,
        audio_field=audio_field,
        files=tuple(file for file, _ in places),
        positions=np.array([position for _, position in places], np.int64),
        item_ids=tuple(item.item_id for item in items),
        targets=planned.targets,
        lengths=np.array(lengths, np.int64),
    )


def _notes(proto: Mapping[str, Any], *, split: str) -> tuple[str, ...]:
    notes = ["every window decodes its whole record; `mclf data prepare` makes what reads faster"]
    if len(proto["splits"]) == 1 and split == "stored":
        notes.append(
            f"TensorFlow Datasets has {proto['name']} in one split, {proto['splits'][0]['name']!r}"
        )
    if proto["name"] == "gtzan" and split == "stored":
        notes.append(
            "gtzan repeats recordings and artists, so splits made at random share them; "
            "split='fault_filtered' is the published one without the known faults"
        )
    return tuple(notes)


def _find(name: str, path: str | os.PathLike) -> Path:
    match = re.fullmatch(r"(\w+)(?:/([\w.-]+))?(?::(\d+\.\d+\.\d+))?", name)
    if match is None:
        raise ValueError(
            f"name must be as in TensorFlow Datasets, such as 'gtzan', 'nsynth/full' or "
            f"'gtzan:1.0.0', got {name!r}"
        )
    base, config, version = match.groups()
    default = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    root = Path(path or default).expanduser()
    parent = root / base / (config or "")
    found = [file.parent for file in root.glob("dataset_info.json")]  # path may be the version
    for pattern in ("*/dataset_info.json", "*/*/dataset_info.json"):
        found = found or [file.parent for file in sorted(parent.glob(pattern))]
    found = [
        folder
        for folder in found
        if "incomplete" not in folder.name and version in (None, folder.name)
    ]
    configs = sorted({folder.parent.name for folder in found} - {base})
    if not config and len(configs) > 1:
        raise ValueError(f"{parent} has several configurations, give one: {base}/{configs[0]}, ...")
    if not found:
        there = sorted(entry.name for entry in parent.glob("*")) or ["nothing"]
        raise ValueError(
            f"{name} is not prepared in {root}: looked for {parent}/VERSION/dataset_info.json, "
            f"found {', '.join(there)}. {_how_to(name)}"
        )
    return max(found, key=lambda folder: [int(part) for part in re.findall(r"\d+", folder.name)])


def _how_to(name: str) -> str:
    return (
        f"TensorFlow Datasets makes it, with `pip install mclf_jax[tfds]`: tfds.builder({name!r}, "
        "file_format='array_record').download_and_prepare()"
    )


def _shards(folder: Path, proto: Mapping[str, Any]) -> list[tuple[str, Path, int]]:
    """(split, file, number of records) of each shard."""
    shards = []
    for split in proto["splits"]:
        counts = [int(count) for count in split.get("shardLengths", ())]
        for number, count in enumerate(counts):
            file = folder / (
                f"{proto['name']}-{split['name']}.array_record-{number:05d}-of-{len(counts):05d}"
            )
            if not file.exists():
                raise ValueError(
                    f"{file} is missing; {folder} is in the format "
                    f"{proto.get('fileFormat', 'tfrecord')}. {_how_to(proto['name'])}"
                )
            shards.append((split["name"], file, count))
    return shards


def _audio_field(fields: Mapping[str, Field], folder: Path) -> tuple[str, Field]:
    found = [key for key, field in fields.items() if field.kind == "audio"]
    if len(found) != 1:
        raise ValueError(
            f"{folder} has {len(found)} fields of audio, needed is one; it has {_listed(fields)}"
        )
    field = fields[found[0]]
    if not field.sample_rate_hz:
        raise ValueError(f"{folder / 'features.json'} does not say the sample rate of {found[0]!r}")
    return found[0], field


def _target(
    fields: Mapping[str, Field], label: str, *, title: str
) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The task, the fields it is read from, and the labels."""
    classes = [key for key, field in fields.items() if field.kind == "class"]
    if not label and ("label" in classes or len(classes) == 1):
        label = "label" if "label" in classes else classes[0]
    inside = [key for key in fields if key.startswith(f"{label}/") and fields[key].kind == "bool"]
    if label and inside:
        return "multi_label", tuple(inside), tuple(key[len(label) + 1 :] for key in inside)
    kind = fields[label].kind if label in fields else ""
    if kind == "class":
        return "single_label", (label,), fields[label].names
    if kind in ("integer", "float"):
        return "regression", (label,), (label,)
    raise ValueError(
        f"label={label!r} is nothing to predict in {title}; it must be a class, a number or a "
        f"group of yes or no. There is {_listed(fields)}"
    )


def _listed(fields: Mapping[str, Field]) -> str:
    return ", ".join(f"{key} ({field.kind})" for key, field in sorted(fields.items()))


def _reason(
    row: Mapping[str, Any],
    audio: Field,
    target: Field,
    value: int | None,
    min_duration_s: float,
    silent_label: str,
) -> str | None:
    """Why a record is left out."""
    if row["reason"]:
        return row["reason"]
    duration_s = row["num_samples"] / audio.sample_rate_hz
    if duration_s < min_duration_s:
        return scan.too_short(duration_s, min_duration_s)
    if value is None:
        return "without the field that is to be predicted"
    named = target.kind == "class" and value >= 0
    if row["silent"] and not (named and target.names[value] == silent_label):
        return scan.SILENT
    return None


def _item(
    row: Mapping[str, Any],
    fields: Mapping[str, Field],
    task: str,
    targets: tuple[str, ...],
    labels: tuple[str, ...],
    *,
    group: str,
    split: str,
) -> Item:
    values = row["values"]

    def text(key: str) -> str:
        names, value = fields[key].names, values.get(key, "")
        if not names:
            return str(value)
        return names[value] if value != "" and value >= 0 else ""

    chosen: dict[str, Any] = {}
    if task == "single_label" and values[targets[0]] < 0:  # TensorFlow Datasets' word for none
        split = UNLABELLED
    elif task == "single_label":
        chosen = {"labels": (labels[values[targets[0]]],)}
    elif task == "multi_label":
        found = tuple(name for name, key in zip(labels, targets, strict=True) if values[key])
        chosen = {"labels": found, "observed": labels}
    else:
        chosen = {"values": (float(values[targets[0]]),)}
    return Item(
        item_id=row["id"],
        file=row["file"],
        split=split,
        group=text(group) if group else "",
        columns={key: text(key) for key in values if key not in (*targets, *ID_FIELDS)},
        **chosen,
    )
