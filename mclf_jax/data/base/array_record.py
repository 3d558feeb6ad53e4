"""Windows out of ArrayRecord files, without reading the whole record that a window is in.

The reader of the array_record package gives whole records: 1.3 MB, and .6 ms, for 30 s of int16 of
which a model takes three. Our shards are written without compression, so a record's bytes stand in
the file as they are, but for a header of 24 bytes at each multiple of 64 KiB (Riegeli's format,
https://github.com/google/riegeli/blob/master/doc/riegeli_records_file_format.md). "Position" here
counts without those headers. `write_shard` finds the positions by looking into what it wrote, so
nothing else is taken for granted.
"""

import dataclasses
import functools
import io
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mclf_jax.common import files
from mclf_jax.common.storage.ranges import RemoteFile

_BLOCK = 1 << 16
_HEADER = 24
_CONTENT = _BLOCK - _HEADER
# Groups of one record, so that any record can be read alone; compression would hide the bytes.
_OPTIONS = "group_size:1,uncompressed"
_OPEN_FILES = 256  # as many shards stay open in a process; systems allow 1024 as a rule


@dataclasses.dataclass(frozen=True)
class Shard:
    """A file of records.

    Attributes:
        num_bytes, sha256: of the file.
        positions: of the payload of each record.
    """

    num_bytes: int
    sha256: str
    positions: tuple[int, ...]


def write_shard(path: Path, records: Iterable[tuple[bytes, int]]) -> Shard:
    """Writes records to a new file, and reads them back.

    Args:
        path: of the file; one that is there is replaced.
        records: (record, where in it the payload begins).

    Raises:
        OSError: what was written cannot be read back as it was.
    """
    from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

    writer = ArrayRecordWriter(os.fspath(path), _OPTIONS)
    try:
        starts = []
        for record, start in records:
            writer.write(record)
            starts.append(start)
    finally:
        writer.close()
    digest = files.checksum(path)
    positions, end = [], 0
    reader = ArrayRecordReader(os.fspath(path), options="readahead_buffer_size:16777216")
    with path.open("rb", buffering=0) as file:
        for index, start in enumerate(starts):
            record = reader.read([index])[0]
            found = _find(file, record, after=end)
            positions.append(found + start)
            end = found + len(record)
    reader.close()
    return Shard(path.stat().st_size, digest, tuple(positions))


def _find(file: io.FileIO, record: bytes, *, after: int) -> int:
    # Before a record stand a chunk's header and sizes, less than 100 bytes, and sometimes an index.
    for gap in (1 << 8, 1 << 20):
        found = read_span(file, after, len(record) + gap).find(record)
        if found >= 0:
            return after + found
    raise OSError(
        f"{file.name} does not hold the bytes that were written to it: a full or faulty disk, or a "
        "version of array_record that writes another format"
    )


def read_span(file: io.FileIO | RemoteFile, position: int, num_bytes: int) -> bytes:
    """Bytes of a shard from a position on, fewer where it ends. Threads may share the file."""
    block, offset = divmod(position, _CONTENT)
    start = block * _BLOCK + _HEADER + offset
    last = (position + num_bytes - 1) // _CONTENT
    raw_bytes = num_bytes + (last - block) * _HEADER
    if isinstance(file, RemoteFile):
        raw = file.pread(raw_bytes, start)
    else:
        raw = os.pread(file.fileno(), raw_bytes, start)
    if last == block:
        return raw
    first = _CONTENT - offset  # bytes up to the next header
    view = memoryview(raw)
    pieces = [view[:first]]
    pieces += [view[at + _HEADER : at + _BLOCK] for at in range(first, len(raw), _BLOCK)]
    return b"".join(pieces)


@functools.lru_cache(maxsize=_OPEN_FILES)
def open_shard(path: str, identity: str) -> io.FileIO | RemoteFile:
    """The file, kept open in this process; closed when it is not among the last used.

    Args:
        path: of the shard, or its URL.
        identity: its checksum, so that a file put in its place later is not taken for it.
    """
    if files.is_remote(path):
        return RemoteFile(path)
    return open(path, "rb", buffering=0)  # noqa: SIM115 (closed when nobody holds it any more)


class Payload(io.RawIOBase):
    """Part of a shard as a file of its own, for decoders; reads only what they ask for."""

    def __init__(self, shard: io.FileIO, position: int, num_bytes: int):
        self._shard, self._position, self._num_bytes, self._at = shard, position, num_bytes, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._num_bytes}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer) -> int:
        wanted = min(len(buffer), self._num_bytes - self._at)
        if wanted <= 0:
            return 0
        read = read_span(self._shard, self._position + self._at, wanted)
        buffer[: len(read)] = read
        self._at += len(read)
        return len(read)


def to_int16(audio: np.ndarray) -> np.ndarray:
    """Rounded to 16 bits, [T]; what lies beyond is cut off at the ends of the range, not wrapped.

    The inverse of how soundfile reads 16 bits: samples of a 16-bit file come out as they were.
    """
    return np.clip(np.rint(audio * np.float32(1 << 15)), -(1 << 15), (1 << 15) - 1).astype("<i2")


def from_int16(payload: bytes) -> np.ndarray:
    """Float32 [T] in [-1, 1)."""
    return np.frombuffer(payload, "<i2").astype(np.float32) / np.float32(1 << 15)
