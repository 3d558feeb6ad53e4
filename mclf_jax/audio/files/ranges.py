"""Stretches of a file as a file of their own, for decoders; nothing is held in memory."""

import bisect
import io
import itertools
import os
import re
from collections.abc import Sequence

_READ = 1 << 18

Range = tuple[int, int]
"""First byte, and the one after the last."""


class Ranges(io.RawIOBase):
    """A head, then stretches of a file, one after the other; it can be sought in."""

    def __init__(self, path: str | os.PathLike, ranges: Sequence[Range], *, head: bytes = b""):
        super().__init__()
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 (closed with this one)
        self._head, self._ranges, self._at = head, ranges, 0
        sizes = (stop - start for start, stop in ranges)
        self._begins = list(itertools.accumulate(sizes, initial=len(head)))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._begins[-1]}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer) -> int:
        view, filled = memoryview(buffer), 0
        while filled < len(view) and self._at < self._begins[-1]:
            if self._at < len(self._head):
                read = self._head[self._at : self._at + len(view) - filled]
            else:
                number = bisect.bisect_right(self._begins, self._at) - 1
                start, stop = self._ranges[number]
                start += self._at - self._begins[number]
                read = os.pread(self._file.fileno(), min(len(view) - filled, stop - start), start)
            if not read:
                break
            view[filled : filled + len(read)] = read
            filled += len(read)
            self._at += len(read)
        return filled

    def close(self) -> None:
        self._file.close()
        super().close()


class Bytes:
    """The bytes of an open file by their position, read on from stretch to stretch.

    A memory map would be shorter, and would end the process if the file were cut off meanwhile.
    """

    def __init__(self, file: io.FileIO):
        self._file, self._first, self._held = file, 0, b""
        self.size = os.fstat(file.fileno()).st_size

    def at(self, position: int, count: int) -> bytes:
        """So many bytes, fewer at the end of the file."""
        begin = position - self._first
        if begin < 0 or begin + count > len(self._held):
            self._first, begin = position, 0
            self._held = os.pread(self._file.fileno(), max(_READ, count), position)
        return self._held[begin : begin + count]

    def find(self, what: bytes, position: int) -> int:
        """Where `what` is first met from a position on; -1 if nowhere."""
        return self.search(re.compile(re.escape(what)), position, size=len(what))

    def search(self, pattern: re.Pattern[bytes], position: int, *, size: int) -> int:
        """Where a pattern that takes `size` bytes is first met from a position on; -1: nowhere."""
        while position + size <= self.size:
            self.at(position, size)  # which holds more than that, if there is more
            if found := pattern.search(self._held, position - self._first):
                return self._first + found.start()
            if (after := self._first + len(self._held) - size + 1) <= position:
                return -1  # the file has been cut off
            position = after
        return -1
