"""A process that decodes what strangers send: `python -m mclf_jax.serve.decoder MEMORY_BYTES`.

It imports no jax, may take only so much memory, and is killed by its parent when it takes too long.
A line of JSON comes in for each song, {"path", "rate_hz", "window_samples", "num_windows", "hop_s",
"taggram_hop_s", "short", "max_s"}. A line goes out, {"error"}, or {"duration_s", "window_s",
"notes", "scored", "along"} with the first samples of windows; then each window once, by its start,
float32, after a byte that is 1, or a byte 0 where nothing could be decoded.
"""

import json
import resource
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mclf_jax.audio.decode import AudioError, audio_info
from mclf_jax.data.base.windows import window_starts
from mclf_jax.evaluation.song import Song


def main() -> None:
    """Answer until there are no more questions."""
    most_bytes = int(sys.argv[1])
    # What is there already, libraries and code, has its place beside it.
    pages = Path("/proc/self/statm")
    here = int(pages.read_text().split()[0]) * resource.getpagesize() if pages.exists() else 1 << 32
    resource.setrlimit(resource.RLIMIT_AS, (here + most_bytes,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin.buffer:
        answer(json.loads(line), sys.stdout.buffer)
        sys.stdout.buffer.flush()


def answer(asked: Mapping[str, Any], out: BinaryIO) -> None:
    """Write the windows of a song, or the reason why there are none."""
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            if why := _too_long(audio_info(asked["path"]).duration_s, asked):  # before all of it
                raise AudioError(asked["path"], why)
            song = Song(asked["path"], rate=asked["rate_hz"], sample_rate_hz=None)
        notes = [str(each.message).removeprefix(f"{asked['path']}: ") for each in said]
        head = _describe(song, asked, notes)
    except AudioError as error:
        head = {"error": error.reason}
    except MemoryError:
        head = {"error": "it takes more memory to decode than this server gives to one song"}
    out.write(json.dumps(head).encode() + b"\n")
    if "error" in head:
        return
    window, short = asked["window_samples"], asked["short"]
    starts = every_start(head)
    found = iter(song.windows(np.array(starts), window, short))
    number, audio = next(found, (-1, None))
    for place in range(len(starts)):
        if place != number:
            out.write(b"\0")
            continue
        out.write(b"\1" + np.ascontiguousarray(audio, "<f4").tobytes())
        number, audio = next(found, (-1, None))


def every_start(head: Mapping[str, Any]) -> list[int]:
    """First samples of the windows that follow a head, rising."""
    return sorted({*head["scored"], *head["along"]})


def _too_long(duration_s: float, asked: Mapping[str, Any]) -> str:
    if duration_s <= asked["max_s"]:
        return ""
    return f"it is {duration_s:.0f} s long; at most {asked['max_s']:g} s are taken"


def _describe(song: Song, asked: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    rate, window = asked["rate_hz"], asked["window_samples"]
    duration_s = song.length / rate
    if why := _too_long(duration_s, asked):
        return {"error": why}

    def starts(num_windows: int, hop_s: float | None) -> list[int]:
        hop = None if hop_s is None else max(1.0, hop_s * rate)
        cut = window_starts(song.length, window=window, num_windows=num_windows, hop=hop)
        return [int(start) for start in cut]

    return {
        "duration_s": duration_s,
        "window_s": min(window, song.length) / rate,
        "notes": notes,
        "scored": starts(asked["num_windows"] or 1, asked["hop_s"]),
        "along": starts(1, asked["taggram_hop_s"]),
    }


if __name__ == "__main__":
    main()
