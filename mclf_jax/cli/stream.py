"""`mclf stream`: tags of a sound that does not end, from standard input or a microphone."""

import argparse
import json
import statistics
import struct
import sys
import time
from collections.abc import Iterator
from io import BufferedReader
from typing import Any

from mclf_jax.cli import flags
from mclf_jax.common import checks

_ENCODINGS = {"s16": "<i2", "f32": "<f4"}
_BLOCK_S = 0.1


def add_commands(commands: Any) -> None:
    """Declare it."""
    command = flags.add_command(
        commands,
        _stream,
        examples=(
            "ffmpeg -i URL -f s16le -ac 1 -ar 44100 - | mclf stream tagger.mclf --rate 44100",
            "mclf stream tagger.mclf --microphone --hop-s .5 --format json",
        ),
    )
    command.add_argument("run", help="run directory, or exported file")
    command.add_argument("--microphone", action="store_true", help="hear that, not standard input")
    command.add_argument("--rate", type=int, default=44100, help="of raw samples, in hertz")
    command.add_argument("--channels", type=int, default=1, help="of raw samples, which take turns")
    command.add_argument(
        "--encoding", default="s16", choices=sorted(_ENCODINGS), help="of raw samples"
    )
    command.add_argument(
        "--hop-s", type=float, help="seconds between answers; usually half a window"
    )
    command.add_argument("--smooth-s", type=float, default=0.0, help="seconds to average over")
    command.add_argument("--top", type=int, default=3, help="labels to show")
    command.add_argument("--format", default="text", choices=("text", "json"))


def _stream(arguments: argparse.Namespace) -> None:
    """Tag what is heard, window by window, as it comes. Standard input holds raw samples, or a WAV
    file, whose header is believed. One window is held, however long it goes on; what happens is in
    an answer after --hop-s and the time of the network, both of which are told."""
    from mclf_jax.api import load
    from mclf_jax.serve.live import Stream, read_microphone

    checks.at_least("--top", arguments.top, 1)
    checks.within("--channels", arguments.channels, 1, 16)
    tagger = load(arguments.run)
    if arguments.microphone:
        rate, late = tagger.bundle.sample_rate_hz, "skip"
        blocks = read_microphone(sample_rate_hz=rate, block_s=_BLOCK_S)
    else:
        stdin: Any = sys.stdin.buffer
        form = _form(stdin, arguments)
        rate, late = form["rate"], "compute"  # who writes to a pipe can wait
        blocks = _read(stdin, form)
    stream = Stream(tagger, sample_rate_hz=rate, hop_s=arguments.hop_s, smooth_s=arguments.smooth_s)
    _say(
        f"windows of {stream.window_s:.3g} s, an answer every {stream.hop_s:.3g} s of sound; "
        f"memory for {stream.window_s:.3g} s"
    )
    took_s: list[float] = []
    try:
        asked = time.monotonic()
        for block in blocks:
            gap_s = time.monotonic() - asked - _BLOCK_S
            if block["lost"]:
                _say("some sound was lost: it came faster than it was taken")
            if took_s and gap_s > max(1.0, 2 * stream.hop_s):
                _say(f"no sound came for {gap_s:.1f} s; times go on by what is heard")
            for moment in stream.feed(block["samples"], late=late):
                took_s = [*took_s[-999:], moment.took_s]
                _show(moment, arguments)
            asked = time.monotonic()
        for moment in stream.finish():
            _show(moment, arguments)
    finally:
        if took_s:
            _say(
                f"the network took {1e3 * statistics.median(took_s):.1f} ms for an answer (median)"
                + f", and {stream.num_skipped} answers were skipped to keep up"
                * bool(stream.num_skipped)
            )


def _show(moment: Any, arguments: argparse.Namespace) -> None:
    best = sorted(moment.scores, key=moment.scores.get, reverse=True)[: arguments.top]
    if arguments.format == "json":
        scores = {name: moment.scores[name] for name in best}
        line = json.dumps({"time_s": moment.time_s, "end_s": moment.end_s, "scores": scores})
    else:
        minutes, seconds = divmod(moment.end_s, 60)
        tags = "  ".join(f"{name} {moment.scores[name]:.2f}" for name in best)
        line = f"{minutes:.0f}:{seconds:04.1f}  {tags}"
    print(line, flush=True)


def _say(text: str) -> None:
    print(f"mclf stream: {text}", file=sys.stderr, flush=True)


def _form(file: BufferedReader, arguments: argparse.Namespace) -> dict[str, Any]:
    """Rate, channels and type of samples, of the header of WAV if there is one."""
    form = {
        "rate": arguments.rate,
        "channels": arguments.channels,
        "type": _ENCODINGS[arguments.encoding],
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


def _read(file: BufferedReader, form: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Blocks of samples as they come; what is left of a last frame is dropped."""
    import numpy as np

    kind, channels = np.dtype(form["type"]), form["channels"]
    frame, rest = kind.itemsize * channels, form["begun"]
    scale = 1.0 if kind.kind == "f" else 2.0 ** (8 * kind.itemsize - 1)
    while chunk := file.read1(max(frame, round(_BLOCK_S * form["rate"]) * frame)):
        rest += chunk
        whole = len(rest) // frame * frame
        samples = np.frombuffer(rest[:whole], kind).astype(np.float32) / np.float32(scale)
        rest = rest[whole:]
        yield {"samples": samples.reshape(-1, channels), "lost": False}
