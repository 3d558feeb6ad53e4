"""The songs in a FLAC file, and how long they are by their last frames (RFC 9639).

The header may not know its length (of a stream written to a pipe), or tell that of what has since
been cut off. Each frame says where it begins, so the last whole one tells the length.
"""

import dataclasses
import itertools
from collections.abc import Iterator

from mclf_jax.audio.files.ranges import Bytes, Range

_MAGIC = b"fLaC"
_STREAMINFO = b"\x00\x00\x22"  # its size, behind the byte that says what it is
_HEAD = 42  # up to its end
_TAIL = 1 << 20
_MOST_SONGS = 1000
_BLOCKS = {1: 192} | {2 + n: 576 << n for n in range(4)} | {8 + n: 256 << n for n in range(8)}


@dataclasses.dataclass(frozen=True)
class Stream:
    """One of the songs in a file.

    Attributes:
        range: where it is.
        promised: samples, by its header; 0 if that does not know.
        counted: samples, by its last whole frame; None if none was found.
        head: its header, saying what was counted.
    """

    range: Range
    promised: int
    counted: int | None
    head: bytes


@dataclasses.dataclass(frozen=True)
class _Frame:
    first_sample: int
    num_samples: int


def streams(data: Bytes, start: int) -> tuple[Stream, ...]:
    """Finds the songs of a file, of which the first begins at `start`."""
    begins, at = [], start
    while len(begins) < _MOST_SONGS and (at := data.find(_MAGIC, at)) >= 0:
        if data.at(at + 5, 3) == _STREAMINFO and data.at(at + 4, 1)[0] & 0x7F == 0:
            begins.append(at)
        at += 4
    ends = [*begins, data.size][1:]
    return tuple(_stream(data, *each) for each in zip(begins, ends, strict=False))


def _stream(data: Bytes, start: int, stop: int) -> Stream:
    head = bytearray(data.at(start, _HEAD))
    promised = int.from_bytes(head[21:26], "big") & 0xFFFFFFFFF
    block = int.from_bytes(head[8:10], "big")
    if data.at(max(start, stop - 128), 3) == b"TAG":  # ID3
        stop -= 128
    counted = _count(data, (start + len(head), stop), block=block, promised=promised)
    if counted is not None and len(head) == _HEAD:
        head[21] = head[21] & 0xF0 | counted >> 32
        head[22:26] = (counted & 0xFFFFFFFF).to_bytes(4, "big")
    return Stream((start, stop), promised, counted, bytes(head))


def _count(data: Bytes, within: Range, *, block: int, promised: int) -> int | None:
    start, stop = within
    first = max(start, stop - _TAIL)
    tail = data.at(first, stop - first)
    end = len(tail)
    for number, (at, frame) in enumerate(_frames_from_the_end(tail, block)):
        total = frame.first_sample + frame.num_samples
        if number == 0 and total == promised:
            return total
        if not _crc(tail[at:end], 16, 0x8005):
            return total
        end = at
    return None


def _frames_from_the_end(tail: bytes, block: int) -> Iterator[tuple[int, _Frame]]:
    at = len(tail)
    while (at := tail.rfind(b"\xff", 0, at)) >= 0:
        if (frame := _frame(tail[at : at + 16], block)) is not None:
            yield at, frame


def _frame(head: bytes, block: int) -> _Frame | None:
    """What the header of a frame says, if this is one."""
    if len(head) < 6 or head[1] & 0xFE != 0xF8 or head[3] & 1:
        return None
    blocks, rate = head[2] >> 4, head[2] & 0xF
    number, used = _coded(head[4:])
    if not used or blocks == 0 or rate == 15:
        return None
    at = 4 + used
    size = _BLOCKS.get(blocks)
    if size is None:
        bytes_of_size = blocks - 5
        size = 1 + int.from_bytes(head[at : at + bytes_of_size], "big")
        at += bytes_of_size
    at += {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if at >= len(head) or _crc(head[: at + 1], 8, 0x07):
        return None
    is_sample = head[1] & 1
    return _Frame(number if is_sample else number * block, size)


def _coded(head: bytes) -> tuple[int, int]:
    """A number coded as UTF-8 codes characters, up to 36 bits; and how many bytes it took."""
    ones = len(list(itertools.takewhile(lambda bit: head[0] & 0x80 >> bit, range(8))))
    if ones == 0:
        return head[0], 1
    if ones in (1, 8) or len(head) < ones or any(byte & 0xC0 != 0x80 for byte in head[1:ones]):
        return 0, 0
    number = head[0] & 0x7F >> ones
    for byte in head[1:ones]:
        number = number << 6 | byte & 0x3F
    return number, ones


def _crc(content: bytes, bits: int, polynomial: int) -> int:
    """0 if the last bits of the content are the remainder of those before."""
    table = _TABLES.get(bits) or _TABLES.setdefault(bits, _table(bits, polynomial))
    value, mask, shift = 0, (1 << bits) - 1, bits - 8
    for byte in content:
        value = (value << 8 & mask) ^ table[value >> shift ^ byte]
    return value


def _table(bits: int, polynomial: int) -> list[int]:
    table = []
    for byte in range(256):
        value = byte << bits - 8
        for _ in range(8):
            value = value << 1 ^ (polynomial if value >> bits - 1 else 0)
            value &= (1 << bits) - 1
        table.append(value)
    return table


_TABLES: dict[int, list[int]] = {}
