"""The last step of a preparation: what is in the data set, for us, TFDS and people."""

# pyright: reportAttributeAccessIssue=false
# Protobuf makes its classes at run time.

import dataclasses
import datetime
import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mclf_jax.common import files
from mclf_jax.common.text import tables
from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.source import Info
from mclf_jax.data.base.targets import Targets
from mclf_jax.data.catalogue.items import UNLABELLED
from mclf_jax.data.catalogue.plan import Plan, first, first_reasons
from mclf_jax.data.prepare import arrays
from mclf_jax.data.prepare.meta import (
    ARRAYS,
    CHANGELOG,
    CHECKSUMS,
    FORMAT,
    ITEMS,
    META,
    SKIPPED,
    TABLES,
    differences,
    read_meta,
)
from mclf_jax.data.prepare.shard import tfds_features
from mclf_jax.data.prepare.state import Work
from mclf_jax.data.sources.files import make_info, part_notes


def finish(work: Work, *, version: str, previous: Path | None) -> None:
    """Writes everything but the shards into `work.folder`, from what was noted of each shard.

    Args:
        work: all its shards are there.
        version: of the directory.
        previous: that of the version before, for the change log.

    Raises:
        ValueError: nothing is usable, or nothing to learn from.
    """
    shards = [work.result(task) for task in work.tasks]
    split_of_shard = [task.split for task in work.tasks]
    entries = sorted(
        ({**entry, "shard": s} for s, shard in enumerate(shards) for entry in shard["items"]),
        key=lambda entry: entry["number"],
    )
    items = work.plan.items
    unusable = [(number, reason) for shard in shards for number, reason in shard["skipped"]]
    skipped = sorted(
        [*work.catalogue.skipped, *((items[number].item_id, reason) for number, reason in unusable)]
    )
    splits = _splits(entries, split_of_shard)
    needed = "train" if "train" in work.plan.splits else UNLABELLED  # where no item has a label
    if needed not in splits:
        raise ValueError(
            f"nothing of the split {needed} of {work.catalogue.facts.title} is usable: "
            f"{first_reasons(skipped)}"
        )
    numbers = [entry["number"] for entry in entries]
    parts, loud = (
        sorted(
            (items[number].item_id, said) for shard in shards for number, said in shard.get(key, ())
        )
        for key in ("parts", "loud")
    )
    kept = Plan(
        items=tuple(items[number] for number in numbers),
        labels=work.plan.labels,
        targets=target_lib.take(work.plan.targets, numbers),
        splits=splits,
        notes=(
            *_notes(work, numbers, num_unusable=len(unusable)),
            *part_notes(parts, loud, total=len(numbers)),
        ),
    )
    info = make_info(
        dataclasses.replace(work.catalogue, skipped=tuple(skipped)),
        kept,
        sample_rate_hz=work.settings.sample_rate_hz,
        fingerprint=_fingerprint(work, kept, entries),
        parts=tuple(parts),
    )
    info = dataclasses.replace(info, name=work.request["name"], version=version)

    meta = {
        "format": FORMAT,
        **_info_fields(info),
        "facts_version": work.catalogue.facts.version,
        "encoding": work.settings.encoding,
        "num_items": len(entries),
        "num_skipped": len(skipped),
        "statistics": {split: _statistics(info, kept.targets, entries, split) for split in splits},
        "shards": [
            {key: shard[key] for key in ("file", "num_bytes", "sha256")} for shard in shards
        ],
        "request": dict(work.request),
    }
    _write_tfds_files(work, info, shards)
    _write_items(work.folder, info, kept, entries)
    table = io.StringIO(newline="")
    tables.write_rows(table, [("item", "reason"), *skipped])
    files.write_text(work.folder / SKIPPED, table.getvalue())
    files.write_text(work.folder / CHANGELOG, _changelog(meta, previous))
    files.write_text(work.folder / META, json.dumps(meta, indent=1, ensure_ascii=False) + "\n")
    checksums = {shard["file"]: shard["sha256"] for shard in shards}
    checksums |= {name: files.checksum(work.folder / name) for name in TABLES}
    lines = [f"{checksum}  {name}\n" for name, checksum in checksums.items()]
    files.write_text(work.folder / CHECKSUMS, "".join(lines))


def _splits(
    entries: Sequence[Mapping[str, Any]], split_of_shard: Sequence[str]
) -> dict[str, np.ndarray]:
    split_of = np.array([split_of_shard[entry["shard"]] for entry in entries])
    found = {split: np.flatnonzero(split_of == split) for split in dict.fromkeys(split_of_shard)}
    return {split: indices for split, indices in found.items() if len(indices)}


def _notes(work: Work, kept: Sequence[int], *, num_unusable: int) -> tuple[str, ...]:
    settings, notes = work.settings, list(work.plan.notes)
    notes.append(
        f"prepared as {settings.encoding} at {settings.sample_rate_hz} Hz"
        + (f", {settings.max_duration_s:g} s at most" if settings.max_duration_s else "")
    )
    if num_unusable:
        notes.append(
            f"{num_unusable} of {len(work.plan.items)} items could not be used and are listed in "
            f"{SKIPPED}"
        )
    labelled = [item for item in work.plan.items if item.is_labelled]
    before = {name for item in labelled for name in item.labels}
    after = {name for n in kept for name in work.plan.items[n].labels}
    if lost := [name for name in work.plan.labels if name in before - after]:
        notes.append(f"labels without any usable file, which stay as outputs: {first(lost)}")
    return tuple(notes)


def _fingerprint(work: Work, kept: Plan, entries: Sequence[Mapping[str, Any]]) -> str:
    """Of what the items are, by their samples; not of how they are laid out in files."""
    split_of = {int(i): split for split, indices in kept.splits.items() for i in indices}
    digest = hashlib.sha256()
    head = [work.settings.sample_rate_hz, work.settings.encoding, work.catalogue.task]
    digest.update(json.dumps([*head, list(kept.labels)]).encode())
    for i, (item, target, entry) in enumerate(zip(kept.items, kept.targets, entries, strict=True)):
        fields = [item.item_id, split_of[i], item.group, target.tolist(), entry["sha256"]]
        digest.update(json.dumps(fields).encode())
    return digest.hexdigest()


def _info_fields(info: Info) -> dict[str, Any]:
    per_item = ("splits", "groups", "columns", "skipped")
    return {
        field.name: dict(value) if isinstance(value, Mapping) else value
        for field in dataclasses.fields(info)
        if field.name not in per_item
        for value in [getattr(info, field.name)]
    }


def _statistics(
    info: Info, targets: Targets, entries: Sequence[Mapping[str, Any]], split: str
) -> dict[str, Any]:
    indices = info.splits[split]
    chosen = [entries[i] for i in indices]
    durations_s = np.array([entry["num_samples"] for entry in chosen]) / info.sample_rate_hz
    level_db = np.array([entry["level_db"] for entry in chosen])
    found = {
        "items": len(indices),
        "groups": len({info.groups[i] for i in indices}),
        "hours": round(float(durations_s.sum()) / 3600, 4),
        "duration_s": {
            name: round(float(getattr(np, name)(durations_s)), 3)
            for name in ("min", "median", "mean", "max")
        },
        "level_db": {
            "mean": round(float(level_db.mean()), 2),
            "std": round(float(level_db.std()), 2),
        },
        "items_with_clipping": sum(entry["num_clipped"] > 0 for entry in chosen),
    }
    if split == UNLABELLED:
        return found
    return found | _label_statistics(info, target_lib.take(targets, indices))


def _label_statistics(info: Info, targets: Targets) -> dict[str, Any]:
    def by_label(values) -> dict[str, Any]:
        return dict(zip(info.labels, values, strict=True))

    size = {"num_labels": len(info.labels)}
    observed = target_lib.count_observed(targets, **size)
    if info.task != "regression":
        counts = {"label_counts": by_label(target_lib.count_positives(targets, **size).tolist())}
        partly = (observed < len(targets)).any()
        return counts | ({"label_observed": by_label(observed.tolist())} if partly else {})
    columns = [column[np.isfinite(column)] for column in targets[:].T]
    known = [column.astype(np.float64) for column in columns]
    return {
        "label_observed": by_label(observed.tolist()),
        "label_mean": by_label([round(float(v.mean()), 5) if len(v) else None for v in known]),
        "label_std": by_label([round(float(v.std()), 5) if len(v) else None for v in known]),
    }


def _write_items(
    folder: Path, info: Info, kept: Plan, entries: Sequence[Mapping[str, Any]]
) -> None:
    split_of = np.zeros(len(entries), np.int8)
    for number, items in enumerate(info.splits.values()):
        split_of[items] = number

    def column(name: str, dtype: type) -> np.ndarray:
        return np.array([entry[name] for entry in entries], dtype)

    arrays.write(
        folder / ARRAYS,
        kept.targets,
        split=split_of,
        shard=column("shard", np.int32),
        position=column("position", np.int64),
        num_bytes=column("num_bytes", np.int64),
        num_samples=column("num_samples", np.int64),
        level_db=column("level_db", np.float32),
    )
    content = {
        "splits": list(info.splits),
        "item_ids": [item.item_id for item in kept.items],
        "groups": info.groups,
        "columns": info.columns,
    }
    files.write_text(folder / ITEMS, json.dumps(content))


def _write_tfds_files(work: Work, info: Info, shards: Sequence[Mapping[str, Any]]) -> None:
    from google.protobuf import json_format
    from tensorflow_datasets.core.proto import dataset_info_pb2

    facts = work.catalogue.facts
    features = tfds_features(task=info.task, labels=info.labels, encoding=work.settings.encoding)
    features.save_config(os.fspath(work.folder))
    proto = dataset_info_pb2.DatasetInfo(
        name=info.name,
        version=info.version,
        description=f"{facts.title}. {facts.contents}".strip(),
        citation=facts.citation,
        file_format="array_record",
        disable_shuffling=True,
    )
    proto.location.urls.extend([facts.url] if facts.url else [])
    proto.redistribution_info.license = info.licence
    if info.task == "single_label":
        supervised = proto.supervised_keys.tuple.items
        supervised.add().feature_key = "audio"
        supervised.add().feature_key = "label"
    for split in info.splits:
        of_split = [
            shard for shard, task in zip(shards, work.tasks, strict=True) if task.split == split
        ]
        proto.splits.add(
            name=split,
            shard_lengths=[len(shard["items"]) for shard in of_split],
            num_bytes=sum(shard["num_bytes"] for shard in of_split),
            filepath_template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
        )
    files.write_text(work.folder / "dataset_info.json", json_format.MessageToJson(proto))


def _changelog(meta: Mapping[str, Any], previous: Path | None) -> str:
    """The entry of this version, above those of the versions before."""
    lines = [f"## {meta['version']} ({datetime.date.today().isoformat()})", ""]
    earlier = ""
    if previous is None:
        lines += ["- first preparation"]
    else:
        old = read_meta(previous)
        earlier = (previous / CHANGELOG).read_text(encoding="utf-8").split("\n", 2)[2]
        lines += [f"- compared with {old['version']}:"]
        keys = [key for key in meta["request"] if key != "items_per_shard"]
        changed = differences(old["request"], meta["request"], keys=keys)
        changed += differences(old, meta, keys=("num_items", "num_skipped", "fingerprint"))
        lines += [f"  - {line}" for line in changed or ["nothing"]]
    sizes = ", ".join(f"{split} {found['items']}" for split, found in meta["statistics"].items())
    lines += [
        f"- {meta['num_items']} items ({sizes}), {meta['num_skipped']} left out",
        f"- {meta['encoding']} at {meta['sample_rate_hz']} Hz",
        f"- fingerprint {meta['fingerprint']}",
        "",
    ]
    return "\n".join(["# Changes", "", *lines]) + ("\n" + earlier if earlier else "")
