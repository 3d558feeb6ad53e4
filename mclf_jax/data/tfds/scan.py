"""One pass over records of TensorFlow Datasets: lengths, labels and what cannot be used."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mclf_jax.audio import decode
from mclf_jax.common import files
from mclf_jax.common import progress as progress_lib
from mclf_jax.data.tfds import records as tfds_records
from mclf_jax.data.tfds.records import Field

ID_FIELDS = ("audio/filename", "id", "item_id", "filename")
_LONGEST_VALUE = 200  # bytes; beyond that it is content, such as a MIDI file


def look_through(
    folder: Path,
    shards: list[tuple[str, Path, int]],
    *,
    fields: Mapping[str, Field],
    audio_key: str,
    progress: str,
) -> list[dict[str, Any]]:
    """What is in each record; decoded once and then kept in the user's cache directory.

    Args:
        folder: of the data set.
        shards: (split, file, number of records).
        fields: of a record.
        audio_key: which one is the audio.
        progress: "auto", "on" or "off".

    Returns:
        For each record "split", "file" and "position", "id", "values" by field, "num_samples" as
        stored, "silent", "digest" of the samples, and "reason" if they cannot be used.
    """
    stamps = [[str(file.absolute()), *_stamp(file)] for _, file, _ in shards]
    identity = hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:12]
    cache = files.cache_folder() / f"tfds-{identity}.json"
    if (rows := files.read_cache(cache, stamps)) is not None:
        return rows
    rows = []
    total = sum(count for _, _, count in shards)
    about = {"total": total, "title": "looking through", "unit": "record"}
    with progress_lib.bar(**about, progress=progress) as bar:
        for split, file, count in shards:
            for position in range(count):
                record = tfds_records.read_record(str(file), position)
                row = _row(record, fields, audio_key)
                fallback = f"{split}/{len(rows):06d}"
                row["id"] = row["id"] or fallback
                rows.append({"split": split, "file": str(file), "position": position, **row})
                bar.update()
    files.write_cache(cache, stamps, rows)
    return rows


def _stamp(file: Path) -> list[int]:
    status = file.stat()
    return [status.st_size, status.st_mtime_ns]


def _row(record: Mapping[str, Any], fields: Mapping[str, Field], audio_key: str) -> dict[str, Any]:
    values = {}
    for key, field in fields.items():
        if field.kind in ("audio", "other"):
            continue
        value = tfds_records.scalar(record[key]) if key in record else None
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace") if len(value) <= _LONGEST_VALUE else None
        if value is not None:
            values[key] = value
    row = {
        "id": next((str(values[key]) for key in ID_FIELDS if values.get(key)), ""),
        "values": values,
        "num_samples": 0,
        "silent": False,
        "digest": "",
        "reason": "",
    }
    try:
        audio = tfds_records.to_audio(record[audio_key], fields[audio_key])
    except (ValueError, RuntimeError) as error:
        return row | {"reason": f"cannot be decoded: {error}"}
    silent = not len(audio) or float(audio.max()) - float(audio.min()) < decode.SILENCE_SPAN
    digest = hashlib.sha256(audio.tobytes()).hexdigest()
    return row | {"num_samples": len(audio), "silent": bool(silent), "digest": digest}
