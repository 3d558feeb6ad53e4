"""The frames of MP1, MP2 and MP3: where they are, and how many.

The format has no header of the whole. An encoder may write the number of frames into the first of
them ("Xing", "Info"), which is wrong once a file has been cut, joined to another or edited, and
decoders guess where it is missing, by the bit rate of the first frame; and they give up at the
first kilobyte of anything else. So the frames are counted, which takes a hundredth of the time of
decoding them: each says how long it is.

Frame headers: ISO/IEC 11172-3, section 2.4.1.3, and 13818-3; "MPEG 2.5" is Fraunhofer's.
"""

import dataclasses
import itertools
import re
import struct
from collections.abc import Iterator

from mclf_jax.audio.files.ranges import Bytes, Range

_KBITS_1 = {
    1: (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_KBITS_2 = {
    1: (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES_HZ = (44100, 48000, 32000)
_DIVISOR = {3: 1, 2: 2, 0: 4}  # of the rate, by the bits of the version: 1, 2 and 2.5
MOST_TRIMMED = 2 * 4095
"""Samples of an encoder's delay and padding, which decoders leave out."""

# So many in a row are no accident: a byte in 2,000 begins what looks like one header.
_IN_A_ROW = 3
# What may begin a header: of layers, bit rates and sample rates that there are.
_CANDIDATE = re.compile(
    b"\xff[%s][%s]"
    % (
        re.escape(bytes(b for b in range(0xE0, 0x100) if b >> 1 & 3 and b >> 3 & 3 != 1)),
        re.escape(bytes(b for b in range(0x10, 0xF0) if b >> 2 & 3 != 3)),
    )
)
# So many that are none, and it is no MPEG: 100 MB of noise have them, or a file made to waste time.
_MOST_CANDIDATES = 1 << 18
_MOST_TAGS = 1000


@dataclasses.dataclass(frozen=True)
class Kind:
    """What frames of one stream have in common."""

    version: int  # bits of the header
    layer: int
    rate_index: int
    mono: bool

    @property
    def sample_rate_hz(self) -> int:
        return _RATES_HZ[self.rate_index] // _DIVISOR[self.version]

    @property
    def frame_samples(self) -> int:
        if self.layer == 1:
            return 384
        return 576 if self.layer == 3 and self.version != 3 else 1152

    @property
    def info_offset(self) -> int:
        """Where in a frame "Xing" stands: behind the header and the (empty) side information."""
        if self.version == 3:
            return 4 + (17 if self.mono else 32)
        return 4 + (9 if self.mono else 17)


@dataclasses.dataclass
class Stream:
    """Frames of one kind, in the order of the file.

    Attributes:
        kind: of all of them.
        ranges: where they are, one for all that follow each other closely.
        num_frames: of them, without the one that holds the numbers.
        info: that one, as it stands in the file; empty if there is none.
        promised: how many frames it says there are; None if it does not.
    """

    kind: Kind
    ranges: list[Range]
    num_frames: int = 0
    info: bytes = b""
    promised: int | None = None


@dataclasses.dataclass(frozen=True)
class Gap:
    """Bytes between frames that are neither sound nor a tag."""

    at_s: float
    num_bytes: int


@dataclasses.dataclass(frozen=True)
class Layout:
    """All that was found in a file.

    Attributes:
        streams: one, or more where files of different kinds have been joined.
        gaps: in the order of the file.
        plain: whether a decoder finds all of it by itself.
    """

    streams: tuple[Stream, ...]
    gaps: tuple[Gap, ...]
    plain: bool


def _sizes() -> Iterator[tuple[int, tuple[int, int, int, int]]]:
    for version, layer, bits, rate, padding in itertools.product(
        _DIVISOR, (1, 2, 3), range(1, 15), range(3), range(2)
    ):
        table = _KBITS_1[layer] if version == 3 else _KBITS_2[min(layer, 2)]
        rate_hz = _RATES_HZ[rate] // _DIVISOR[version]
        bits_a_second = 1000 * table[bits - 1]
        if layer == 1:
            size = 4 * (12 * bits_a_second // rate_hz + padding)
        else:
            factor = 72 if layer == 3 and version != 3 else 144
            size = factor * bits_a_second // rate_hz + padding
        for unprotected in range(2):
            key = (0x7FF << 12) | (version << 10) | ((4 - layer) << 8) | (unprotected << 7)
            yield key | (bits << 3) | (rate << 1) | padding, (size, version, layer, rate)


# By the first 23 bits of a header.
_SIZES = dict(_sizes())


def layout(data: Bytes) -> Layout:
    """Finds the frames of a file; no streams if there are none."""
    streams: list[Stream] = []
    gaps: list[Gap] = []
    stream: Stream | None = None
    kind: tuple | None = None
    at, begun = 0, 0
    duration_s = 0.0
    tries = iter(range(_MOST_CANDIDATES))
    is_start = True  # of a file, perhaps of one that was joined to another
    last = -1  # frames of the stream after which a file that was joined to another ends
    at = skip_tags(data, at)
    while at + 4 <= data.size:
        found = _header(data, at)
        if found is not None and at + found[0] <= data.size:
            size, *found_kind = found
            if found_kind != kind:
                if not _follow(data, at, found_kind):
                    found = None
                else:
                    _close(stream, begun, at)
                    if stream is not None:
                        duration_s += _seconds(stream)
                    kind, begun = found_kind, at
                    stream = Stream(Kind(*found_kind), [])
                    streams.append(stream)
                    is_start, last = True, -1
            if found is not None:
                assert stream is not None
                if is_start or stream.num_frames == last:
                    is_start, last = False, -1
                    if info := _info(data, at, size, stream.kind):
                        _close(stream, begun, at)
                        if not stream.num_frames:
                            stream.info, stream.promised = info
                        last = stream.num_frames + (info[1] or 0)
                        begun = at + size
                        at = begun
                        continue
                stream.num_frames += 1
                at += size
                continue
        _close(stream, begun, at)
        after = skip_tags(data, at)
        is_start = True
        if after == at:
            after = _next(data, at, tries)
            if after < 0:
                break
            is_start = False
            now_s = duration_s + (_seconds(stream) if stream else 0.0)
            gaps.append(Gap(now_s, after - at))
        at = begun = after
    else:
        _close(stream, begun, at)
    kept = tuple(stream for stream in streams if stream.num_frames)
    plain = len(kept) == 1 and len(kept[0].ranges) == 1 and not gaps
    return Layout(kept, tuple(gaps), plain)


def counted(stream: Stream) -> bytes:
    """A first frame that says how many there are; what it says of the encoder's delay stays.

    Empty for MP1 and MP2, which have none.
    """
    kind = stream.kind
    if kind.layer != 3:
        return b""
    at = kind.info_offset
    is_xing = stream.info[at : at + 4] in (b"Xing", b"Info")
    flags = int.from_bytes(stream.info[at + 4 : at + 8], "big")
    if is_xing and flags & 1:
        frame = bytearray(stream.info)
        frame[4:at] = bytes(at - 4)  # anything else there, and decoders take it for sound
        frame[at + 8 : at + 12] = struct.pack(">I", stream.num_frames)
        if flags & 2:
            size = sum(stop - start for start, stop in stream.ranges) + len(frame)
            frame[at + 12 : at + 16] = struct.pack(">I", min(size, 0xFFFFFFFF))
        padding = _padding_at(flags, at)
        if stream.promised != stream.num_frames and padding + 3 <= len(frame):
            # The last frames are others, and no padding: all of them is sound.
            frame[padding + 1] &= 0xF0
            frame[padding + 2] = 0
        return bytes(frame)
    header = (0xFFE << 20) | (kind.version << 19) | (1 << 17) | (1 << 16)
    header |= (14 << 12) | (kind.rate_index << 10) | (3 << 6 if kind.mono else 0)
    size = _SIZES[header >> 9][0]
    frame = struct.pack(">I", header) + bytes(at - 4) + b"Xing"
    frame += struct.pack(">II", 1, stream.num_frames)
    return frame.ljust(size, b"\0")


def is_header(head: bytes) -> bool:
    """Whether four bytes may begin a frame."""
    return int.from_bytes(head, "big") >> 9 in _SIZES


def skip_tags(data: Bytes, at: int) -> int:
    """The first byte behind the tags (ID3, APE) that begin at a position."""
    for _ in range(_MOST_TAGS):
        head = data.at(at, 32)
        if head[:3] == b"ID3" and len(head) >= 10 and max(head[6:10]) < 128:
            size = 10 + sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0)))  # noqa: B905
            size += 10 * bool(head[5] & 0x10)
        elif head[:3] == b"TAG":
            size = 128
        elif head[:8] == b"APETAGEX" and len(head) == 32:
            is_header = head[23] & 0x20
            size = 32 + (int.from_bytes(head[12:16], "little") if is_header else 0)
        else:
            return at
        if at + size > data.size:
            return at
        at += size
    return at


def _close(stream: Stream | None, begun: int, at: int) -> None:
    if stream is not None and at > begun:
        if stream.ranges and stream.ranges[-1][1] == begun:
            begun = stream.ranges.pop()[0]
        stream.ranges.append((begun, at))


def _seconds(stream: Stream) -> float:
    return stream.num_frames * stream.kind.frame_samples / stream.kind.sample_rate_hz


def _header(data: Bytes, at: int) -> tuple[int, int, int, int, bool] | None:
    """(size, version, layer, rate, mono) of the frame at a position, if one may be there."""
    head = int.from_bytes(data.at(at, 4), "big")
    found = _SIZES.get(head >> 9)
    return None if found is None else (*found, head >> 6 & 3 == 3)


def _follow(data: Bytes, at: int, kind: list) -> bool:
    """Whether frames of a kind follow each other from a position on, up to the end or a tag."""
    for number in range(_IN_A_ROW):
        found = _header(data, at)
        if found is None or list(found[1:]) != kind:
            return number > 0 and (at >= data.size or skip_tags(data, at) > at)
        at += found[0]
    return at <= data.size


def _next(data: Bytes, at: int, tries: Iterator[int]) -> int:
    """Where frames go on behind what is none; -1 if nowhere."""
    at += 1
    while (at := data.search(_CANDIDATE, at, size=3)) >= 0 and next(tries, None) is not None:
        found = _header(data, at)
        if found is not None and _follow(data, at, list(found[1:])):
            return at
        at += 1
    return -1


def _info(data: Bytes, at: int, size: int, kind: Kind) -> tuple[bytes, int | None] | None:
    """The frame that holds the numbers, and the number of frames in it."""
    if kind.layer != 3:
        return None
    frame = data.at(at, size)
    name = frame[kind.info_offset : kind.info_offset + 4]
    if name in (b"Xing", b"Info"):
        flags, count = struct.unpack(">II", frame[kind.info_offset + 4 :][:8].ljust(8, b"\0"))
        return frame, count if flags & 1 else None
    if frame[36:40] == b"VBRI":
        return frame, int.from_bytes(frame[50:54], "big")
    return None


def _padding_at(flags: int, at: int) -> int:
    """Where LAME's three bytes of delay and padding stand, 12 bits each."""
    lame = at + 8 + 4 * bool(flags & 1) + 4 * bool(flags & 2) + 100 * bool(flags & 4)
    return lame + 4 * bool(flags & 8) + 21
