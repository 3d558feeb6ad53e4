"""The links of an Ogg file: songs that were joined, each with its own headers ("chained").

RFC 3533. A link begins with pages that say so, one for each of the streams in it.
"""

import dataclasses

from mclf_jax.audio.files.ranges import Bytes, Range

_HEADER = 27
_BEGINS = 0x02


@dataclasses.dataclass(frozen=True)
class Links:
    """What was found.

    Attributes:
        ranges: of each link.
        is_cut: whether the file ends within a page.
    """

    ranges: tuple[Range, ...]
    is_cut: bool


def links(data: Bytes) -> Links:
    """Finds the links of a file; no ranges if it has no page at all."""
    begins: list[int] = []
    at, in_headers, is_cut = 0, False, False
    while at < data.size:
        header = data.at(at, _HEADER + 255)
        if header[:4] != b"OggS" or len(header) < _HEADER:
            if (at := data.find(b"OggS", at + 1)) < 0:
                break
            continue
        begins_stream = bool(header[5] & _BEGINS)
        if begins_stream and not in_headers:
            begins.append(at)
        in_headers = begins_stream
        segments = header[_HEADER : _HEADER + header[26]]
        size = _HEADER + header[26] + sum(segments)
        if is_cut := at + size > data.size:
            break
        at += size
    ends = [*begins, data.size][1:]
    return Links(tuple(zip(begins, ends, strict=False)), is_cut)
