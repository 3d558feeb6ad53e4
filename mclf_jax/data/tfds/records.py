"""Records that TensorFlow Datasets' own audio builders wrote, read without TensorFlow.

`tfds.builder_from_directory` cannot open them without it, because its Audio feature asks TensorFlow
for types. What it needs them for is little: features.json says what the fields of a record are, and
a record is a `tf.train.Example`.
"""

# pyright: reportAttributeAccessIssue=false
# Protobuf makes its classes at run time.

import dataclasses
import functools
import io
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from mclf_jax.common.text import tables

_INT16_SCALE = np.float32(1 / 32768)


@dataclasses.dataclass(frozen=True)
class Field:
    """One entry of a record.

    Attributes:
        kind: "audio", "class", "bool", "integer", "float", "text" or "other".
        names: of a class.
        shape: -1 where it varies; () for one value.
        dtype: numpy's name.
        encoding: of a tensor, "none", "bytes" or "zlib".
        sample_rate_hz: of audio, 0 where it is not said.
        is_file: audio that is stored as the file it was.
    """

    kind: str
    names: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    dtype: str = ""
    encoding: str = "none"
    sample_rate_hz: int = 0
    is_file: bool = False


def read_fields(folder: Path) -> dict[str, Field]:
    """The fields of the records of a directory, by name; nested ones as "instrument/family".

    Raises:
        ValueError: features.json is of a TFDS before 4.5, or not one.
    """
    content = json.loads((folder / "features.json").read_text(encoding="utf-8"))
    if "featuresDict" not in content:
        raise ValueError(
            f"{folder / 'features.json'} has no featuresDict: it is not of TensorFlow Datasets, or "
            "of a version before 4.5; prepare the data set again with a newer one"
        )
    return _flat(content, "", folder)


def _flat(feature: Mapping[str, Any], name: str, folder: Path) -> dict[str, Field]:
    if "featuresDict" in feature:
        found = {}
        for key, child in feature["featuresDict"]["features"].items():
            found |= _flat(child, f"{name}/{key}" if name else key, folder)
        return found
    return {name: _field(feature, name, folder)}


def _field(feature: Mapping[str, Any], name: str, folder: Path) -> Field:
    if "audio" in feature:
        audio = feature["audio"]
        return Field(
            "audio",
            shape=_shape(audio),
            dtype=audio["dtype"],
            encoding=audio.get("encoding", "none").lower(),
            sample_rate_hz=int(audio.get("sampleRate", 0)),
            is_file=bool(audio.get("lazyDecode", False)),
        )
    if "classLabel" in feature:
        file = folder / f"{name.replace('/', '-')}.labels.txt"
        if file.exists():
            names = tuple(line.strip() for _, line in tables.read_lines(file))
            return Field("class", names=names)
        count = int(feature["classLabel"]["numClasses"])
        return Field("class", names=tuple(map(str, range(count))))
    if "text" in feature:
        return Field("text")
    tensor = feature.get("tensor", {})
    dtype = tensor.get("dtype", "")
    if not tensor or _shape(tensor):
        return Field("other")
    kinds = {"b": "bool", "i": "integer", "u": "integer", "f": "float"}
    kind = "text" if dtype == "string" else kinds.get(np.dtype(dtype).kind, "other")
    return Field(kind, dtype=dtype)


def _shape(content: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(int(size) for size in content.get("shape", {}).get("dimensions", ()))


@functools.lru_cache(maxsize=256)
def _reader(path: str, changed_ns: int):
    from array_record.python.array_record_module import ArrayRecordReader

    return ArrayRecordReader(path, options="readahead_buffer_size:0", file_reader_buffer_size=32768)


def read_record(path: str, position: int) -> Mapping[str, Any]:
    """The features of a record by name, as `tf.train.Feature`. Threads may share a file."""
    from tensorflow_datasets.proto import tf_example_pb2

    record = _reader(path, os.stat(path).st_mtime_ns).read([position])[0]
    return tf_example_pb2.Example.FromString(record).features.feature


def scalar(feature: Any) -> Any:
    """The one value of a feature."""
    kind = feature.WhichOneof("kind")
    return getattr(feature, kind).value[0] if kind else None


def to_audio(feature: Any, field: Field) -> np.ndarray:
    """Float32 [T], channels averaged; integers are taken for 16 bits, as the builders store them.

    Raises:
        ValueError: the audio cannot be decoded, or holds what is not audio of 16 bits.
    """
    if field.is_file:
        audio, _ = soundfile.read(io.BytesIO(scalar(feature)), dtype="float32", always_2d=True)
        return audio.mean(axis=1)
    values = getattr(feature, feature.WhichOneof("kind") or "int64_list").value
    if field.encoding == "none":
        audio = np.array(values)
    else:
        content = values[0] if field.encoding == "bytes" else zlib.decompress(values[0])
        audio = np.frombuffer(content, field.dtype)
    if np.dtype(field.dtype).kind in "iu":
        if len(audio) and max(-audio.min(), audio.max()) > 1 << 15:
            raise ValueError(f"integers up to {max(-audio.min(), audio.max())}, beyond 16 bits")
        audio = audio.astype(np.float32) * _INT16_SCALE
    audio = audio.astype(np.float32, copy=False)
    if not np.isfinite(audio).all():
        raise ValueError("contains NaN or infinity")
    if len(field.shape) == 2 and field.shape[1] > 1:
        return audio.reshape(-1, field.shape[1]).mean(axis=1)
    return audio
