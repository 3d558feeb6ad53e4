"""From a few items of a catalogue to one ArrayRecord file of them: what each worker does.

A record is a `tf.train.Example` as TensorFlow Datasets writes them, see `tfds_features`.
"""

# pyright: reportAttributeAccessIssue=false
# Protobuf makes its classes at run time.

import dataclasses
import hashlib
import io
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from mclf_jax.audio import decode
from mclf_jax.audio.files.sound import HIGHEST_RATE_HZ, LOWEST_RATE_HZ
from mclf_jax.common import checks, files
from mclf_jax.data.base.array_record import to_int16, write_shard
from mclf_jax.data.base.targets import Targets
from mclf_jax.data.catalogue.items import UNLABELLED, Item
from mclf_jax.data.sources import scan

ENCODINGS = ("int16", "flac")
LOWEST_LEVEL_DB = -120.0  # digital silence

_BLOCK_SAMPLES = 1 << 18
# Of the samples of an item, several copies of which are in memory while it is written.
_MAX_BYTES = 1 << 29


@dataclasses.dataclass(frozen=True)
class Settings:
    """What decides how the audio of an item is written.

    Attributes:
        sample_rate_hz: of what is written.
        encoding: one of `ENCODINGS`, both 16 bits and mono.
        min_duration_s: shorter items are left out.
        max_duration_s: longer ones are cut there; None keeps all.
        silent_label: items silent to the last sample are left out, except under this label.
    """

    sample_rate_hz: int
    encoding: str
    min_duration_s: float
    max_duration_s: float | None
    silent_label: str

    def __post_init__(self):
        checks.within("sample_rate_hz", self.sample_rate_hz, LOWEST_RATE_HZ, HIGHEST_RATE_HZ)
        checks.choice("encoding", self.encoding, ENCODINGS)
        checks.at_least("min_duration_s", self.min_duration_s, 0)
        if self.max_duration_s is not None:
            checks.at_least("max_duration_s", self.max_duration_s, self.min_duration_s)


@dataclasses.dataclass(frozen=True)
class Task:
    """A shard that is to be written; may be pickled.

    Attributes:
        file_name: of the shard.
        split: of all its items.
        numbers: of the items in their catalogue.
        items: the same ones.
        targets: of the items, see `Plan`.
    """

    file_name: str
    split: str
    numbers: tuple[int, ...]
    items: tuple[Item, ...]
    targets: Targets


@dataclasses.dataclass(frozen=True)
class Audio:
    """An item's samples, and what is to be told of them.

    Attributes:
        samples: int16 [T].
        level_db: of them.
        num_clipped: how many were beyond full scale.
        part: why they are not all that the file should hold, in words; "" where they are.
        loud: what is to be said of their peak, see `decode.too_loud`.
    """

    samples: np.ndarray
    level_db: float
    num_clipped: int
    part: str
    loud: str


def read_item(item: Item, settings: Settings) -> Audio | str:
    """Decodes the part of the file that is the item; or why it is left out."""
    lowest, highest = math.inf, -math.inf
    pieces, square_sum, num_clipped = [], 0.0, 0
    try:
        info = decode.audio_info(item.file)
        if reason := _too_long(item, settings, duration_s=info.duration_s):
            return reason
        if item.is_part:  # of a file that is as usable as when all of it is the item
            silence = scan.silence(decode.hear(item.file))
            if silence and not _may_be_silent(item, settings, silence):
                return silence
        for block in _blocks(item, settings):
            pieces.append(to_int16(block))
            square_sum += float(np.square(block, dtype=np.float64).sum())
            low, high = float(block.min()), float(block.max())
            if low < -1 or high > 1:
                num_clipped += int((np.abs(block) > 1).sum())
            lowest, highest = min(lowest, low), max(highest, high)
    except decode.AudioError as error:
        return error.reason
    samples = np.concatenate(pieces) if pieces else np.zeros(0, "<i2")
    pieces.clear()
    duration_s = len(samples) / settings.sample_rate_hz
    if not len(samples) and item.is_part:
        return f"the file ends before {item.start_s:g} s, where the item begins"
    if not len(samples) or duration_s < settings.min_duration_s:
        return scan.too_short(duration_s, settings.min_duration_s)
    # A quiet moment of a song is as it should be; a file without sound is broken.
    if not item.is_part and highest - lowest < decode.SILENCE_SPAN:
        # What is behind `max_duration_s` is not heard.
        silence = scan.silence(decode.hear(item.file)) or scan.SILENT
        if not _may_be_silent(item, settings, silence):
            return silence
    power = square_sum / len(samples)
    level_db = max(LOWEST_LEVEL_DB, 10 * math.log10(power)) if power else LOWEST_LEVEL_DB
    loud = decode.too_loud(max(-lowest, highest))
    return Audio(samples, round(level_db, 3), num_clipped, info.part, loud)


def _may_be_silent(item: Item, settings: Settings, silence: str) -> bool:
    return silence == scan.SILENT and settings.silent_label in item.labels


def _limit_s(item: Item, settings: Settings) -> float | None:
    """Seconds that an item may have; None if nothing says."""
    limits_s = (item.duration_s, settings.max_duration_s)
    return min((limit for limit in limits_s if limit is not None), default=None)


def _too_long(item: Item, settings: Settings, *, duration_s: float) -> str:
    """Why an item of a file of this length is left out before it is decoded; "" if it is not."""
    left_s, limit_s = max(0.0, duration_s - item.start_s), _limit_s(item, settings)
    wanted_s = left_s if limit_s is None else min(left_s, limit_s)
    longest_s = _MAX_BYTES // 2 / settings.sample_rate_hz
    if wanted_s <= longest_s:
        return ""
    return f"too long: {wanted_s:.0f} s, more than {longest_s:.0f} s; set max_duration_s"


def _blocks(item: Item, settings: Settings) -> Iterator[np.ndarray]:
    """Float32 blocks of the item, at the rate of the settings."""
    rate_hz = settings.sample_rate_hz
    limit_s = _limit_s(item, settings)
    left = None if limit_s is None else round(limit_s * rate_hz)
    if item.is_part:
        audio = decode.read_audio(
            item.file,
            sample_rate_hz=rate_hz,
            start_sample=round(item.start_s * rate_hz),
            num_samples=left,
        )
        if len(audio):
            yield audio
        return
    stream = decode.stream_audio(item.file, sample_rate_hz=rate_hz, block_samples=_BLOCK_SAMPLES)
    for block in stream:
        yield block[:left]
        if left is not None:
            left -= len(block)
            if left <= 0:
                stream.close()
                return


def write_task(
    task: Task,
    *,
    folder: Path,
    results: Path,
    settings: Settings,
    on_item: Callable[[], Any] = lambda: None,
) -> None:
    """Writes a shard into `folder`, then what is in it as JSON into `results`.

    Either is there completely or not at all, the JSON last: where it is, the shard is done.

    Args:
        task: what to write.
        folder, results: directories that are there.
        settings: how.
        on_item: called after each item.
    """
    written, skipped, parts, loud = [], [], [], []

    def records() -> Iterator[tuple[bytes, int]]:
        for number, item, label in zip(task.numbers, task.items, task.targets, strict=True):
            audio = read_item(item, settings)
            if isinstance(audio, str):
                skipped.append([number, audio])
            else:
                payload = _encode(audio.samples, settings)
                record = _record(item, audio, payload, task=task, label=label, settings=settings)
                entry = {
                    "number": number,
                    "num_samples": len(audio.samples),
                    "num_bytes": len(payload),
                    "level_db": audio.level_db,
                    "num_clipped": audio.num_clipped,
                    "sha256": hashlib.sha256(audio.samples).hexdigest(),
                }
                written.append(entry)
                if audio.part:
                    parts.append([number, audio.part])
                if audio.loud:
                    loud.append([number, audio.loud])
                yield record, record.index(payload)
            on_item()

    with files.replacing(folder / task.file_name) as temporary:
        shard = write_shard(temporary, records())
    for entry, position in zip(written, shard.positions, strict=True):
        entry["position"] = position
    result = {
        "file": task.file_name,
        "num_bytes": shard.num_bytes,
        "sha256": shard.sha256,
        "items": written,
        "skipped": skipped,
        "parts": parts,
        "loud": loud,
    }
    files.write_text(results / f"{task.file_name}.json", json.dumps(result))


def _encode(samples: np.ndarray, settings: Settings) -> bytes:
    if settings.encoding == "int16":
        return samples.tobytes()
    file = io.BytesIO()
    soundfile.write(file, samples, settings.sample_rate_hz, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def _record(
    item: Item, audio: Audio, payload: bytes, *, task: Task, label: np.ndarray, settings: Settings
) -> bytes:
    from tensorflow_datasets.proto import tf_example_pb2, tf_feature_pb2

    def integer(value: int):
        return tf_feature_pb2.Feature(int64_list=tf_feature_pb2.Int64List(value=[value]))

    def binary(value: bytes | str):
        value = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
        return tf_feature_pb2.Feature(bytes_list=tf_feature_pb2.BytesList(value=[value]))

    if label.ndim:
        values = label
        if task.split == UNLABELLED:
            values = np.full_like(label, np.nan)
        target = tf_feature_pb2.Feature(float_list=tf_feature_pb2.FloatList(value=values))
    else:
        # TensorFlow Datasets' word for "none" is -1.
        target = integer(-1 if task.split == UNLABELLED else int(label))
    feature = {
        "audio": binary(payload),
        "sample_rate_hz": integer(settings.sample_rate_hz),
        "num_samples": integer(len(audio.samples)),
        "label": target,
        "item_id": binary(item.item_id),
        "group": binary(item.group or item.item_id),
        "columns": binary(json.dumps(dict(item.columns), sort_keys=True)),
    }
    example = tf_example_pb2.Example(features=tf_feature_pb2.Features(feature=feature))
    return example.SerializeToString(deterministic=True)


def tfds_features(*, task: str, labels: tuple[str, ...], encoding: str):
    """What TensorFlow Datasets must know to read the records.

    "audio" is int16 [T], or the bytes of a FLAC file; "label" an int64 [], -1 for unlabelled
    items, or float32 [K], NaN where nobody looked; "columns" is JSON.
    """
    from tensorflow_datasets import features

    audio = features.Tensor(shape=(None,), dtype=np.int16, encoding="bytes")
    if encoding == "flac":
        audio = features.Tensor(shape=(), dtype=np.object_)
    label = features.Tensor(shape=(len(labels),), dtype=np.float32)
    if task == "single_label":
        label = features.ClassLabel(names=list(labels))
    return features.FeaturesDict(
        {
            "audio": audio,
            "sample_rate_hz": features.Scalar(dtype=np.int32),
            "num_samples": features.Scalar(dtype=np.int64),
            "label": label,
            "item_id": features.Text(),
            "group": features.Text(),
            "columns": features.Text(),
        }
    )
