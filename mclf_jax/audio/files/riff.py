"""WAV and AIFF: what their chunks say of the sound, and whether it is there.

A recorder that was switched off leaves a WAV that says it has no sound; a broken download has less
than it says. "Multimedia Programming Interface and Data Specifications 1.0", IBM and Microsoft.
"""

import dataclasses
from collections.abc import Iterator

from mclf_jax.audio.files.ranges import Bytes, Range

_HEAD = 12  # RIFF, size, WAVE
# What writers to a pipe say, who cannot know: 2 or 4 GB, or nearly.
_UNKNOWN = 0x7FFF0000
_MOST_CHUNKS = 1000
_LONGEST_HEAD = 1 << 16  # it is kept in memory


@dataclasses.dataclass(frozen=True)
class Wave:
    """One WAV in a file.

    Attributes:
        range: where it is.
        data: where its sound is by its header, which may be beyond the end of the file; None if
            there is none.
        bytes_a_second: of sound.
        is_wrong: whether the header says that there is no sound, and nothing else follows.
        head: what stands before the sound, saying how much there is.
        num_behind: bytes behind the last chunk that are none.
    """

    range: Range
    data: Range | None
    bytes_a_second: int
    is_wrong: bool
    head: bytes
    num_behind: int

    @property
    def lacks(self) -> bool:
        """Whether less is there than the header says."""
        if self.data is None:
            return False
        start, stop = self.data
        return stop > self.range[1] and stop - start < _UNKNOWN


@dataclasses.dataclass(frozen=True)
class _Chunk:
    name: bytes
    at: int  # its content
    size: int


def waves(data: Bytes) -> tuple[Wave, ...]:
    """The WAVs of a file, one behind the other; none if it does not begin with one."""
    found, at = [], 0
    while len(found) < _MOST_CHUNKS and data.at(at, 4) == b"RIFF" and data.at(at + 8, 4) == b"WAVE":
        found.append(_wave(data, at))
        at = found[-1].range[1]
    return tuple(found)


def aiff_frames(data: Bytes) -> int:
    """Frames that an AIFF says it has; 0 if it does not say."""
    for chunk in _chunks(data, _HEAD, "big"):
        if chunk.name == b"COMM":
            return int.from_bytes(data.at(chunk.at + 2, 4), "big")
    return 0


def _wave(data: Bytes, start: int) -> Wave:
    sound, bytes_a_second, end = None, 0, start + _HEAD
    for chunk in _chunks(data, start + _HEAD, "little"):
        if chunk.name == b"fmt ":
            bytes_a_second = int.from_bytes(data.at(chunk.at + 8, 4), "little")
        if chunk.name == b"data" and sound is None:
            sound = chunk
        end = chunk.at + chunk.size + chunk.size % 2
    stop = min(end, data.size)
    if data.at(end, 4) != b"RIFF":  # no second one follows
        stop = data.size
    if sound is None:
        return Wave((start, stop), None, bytes_a_second, False, b"", 0)
    head = data.at(start, sound.at - start)
    is_wrong = sound.size == 0 and sound.at < stop and end == sound.at
    is_wrong = is_wrong and len(head) <= _LONGEST_HEAD
    size = min(stop - sound.at, 0xFFFFFFFF)
    head = head[:-4] + size.to_bytes(4, "little") if is_wrong else b""
    behind = 0 if is_wrong else max(0, stop - end)
    promised = (sound.at, sound.at + sound.size)
    return Wave((start, stop), promised, bytes_a_second, is_wrong, head, behind)


def _chunks(data: Bytes, at: int, order: str) -> Iterator[_Chunk]:
    """Chunks one behind the other, as long as what stands there looks like one."""
    for _ in range(_MOST_CHUNKS):
        head = data.at(at, 8)
        name = head[:4]
        if len(head) < 8 or name == b"RIFF" or not all(32 <= byte < 127 for byte in name):
            return
        chunk = _Chunk(name, at + 8, int.from_bytes(head[4:], order))
        if chunk.at + chunk.size > data.size and name not in (b"data", b"SSND"):
            return
        yield chunk
        at = chunk.at + chunk.size + chunk.size % 2
