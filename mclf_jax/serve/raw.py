"""Samples from a pipe: raw, or those of a WAV file, which need not have an end."""

import struct
from collections.abc import Iterator
from io import BufferedReader
from typing import Any

import numpy as np

ENCODINGS = {"s16": "<i2", "f32": "<f4"}
BLOCK_S = 0.1
"""Seconds that are read at once."""


def form_of(file: BufferedReader, *, rate_hz: int, channels: int, encoding: str) -> dict[str, Any]:
    """{"rate", "channels", "type", "begun"}: those given, or of the header of WAV if there is one.

    Args:
        file: of which "begun" is what has been read of its samples.
        rate_hz, channels, encoding: of raw samples; one of `ENCODINGS`.

    Raises:
        ValueError: a header of samples that are not read here.
    """
    form = {
        "rate": rate_hz,
        "channels": channels,
        "type": ENCODINGS[encoding],
        "begun": file.read(4),
    }
    if form["begun"] != b"RIFF":
        return form
    file.read(8)  # its length, which a pipe does not know, and "WAVE"
    while len(head := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", head)
        if name == b"data":
            return form | {"begun": b""}
        content = file.read(size + size % 2)
        if name == b"fmt " and len(content) >= 16:
            kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", content[:16])
            # Extensible: the kind stands further on.
            kind = struct.unpack("<H", content[24:26])[0] if kind == 0xFFFE else kind
            types = {(1, 16): "<i2", (1, 32): "<i4", (3, 32): "<f4"}
            if (kind, bits) not in types or not channels:
                raise ValueError(
                    f"standard input is WAV of kind {kind} with {bits} bits; it must hold 16 or 32 "
                    "bits, or floating point"
                )
            form |= {"rate": rate, "channels": channels, "type": types[kind, bits]}
    raise ValueError("standard input is WAV without sound in it")


def read_blocks(file: BufferedReader, form: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """{"samples" [T, C], "lost": False} as they come; what is left of a last frame is dropped."""
    kind, channels = np.dtype(form["type"]), form["channels"]
    frame, rest = kind.itemsize * channels, form["begun"]
    scale = 1.0 if kind.kind == "f" else 2.0 ** (8 * kind.itemsize - 1)
    while chunk := file.read1(max(frame, round(BLOCK_S * form["rate"]) * frame)):
        rest += chunk
        whole = len(rest) // frame * frame
        samples = np.frombuffer(rest[:whole], kind).astype(np.float32) / np.float32(scale)
        rest = rest[whole:]
        yield {"samples": samples.reshape(-1, channels), "lost": False}
