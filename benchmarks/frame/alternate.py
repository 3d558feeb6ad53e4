"""Times of several calls that take turns, and the memory that a call takes."""

import ctypes
import dataclasses
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

Calls = Mapping[str, Callable[[], object]]


@dataclasses.dataclass(frozen=True)
class Times:
    """Of a call.

    Attributes:
        median_s: of all rounds, seconds of one call.
        rounds_s: of each round.
    """

    median_s: float
    rounds_s: tuple[float, ...]


def alternate(calls: Calls, *, rounds: int = 5, at_least_s: float = 0.1) -> dict[str, Times]:
    """Seconds of each call, which returns when its work is done.

    Rounds go through all of them in turn, so that whatever else the machine does hits all. All are
    called once before, which compiles. A call shorter than `at_least_s` is repeated in its round
    until it has taken that long, after one that is not counted: it puts up with busy threads and
    the caches that its predecessor left behind.
    """
    once = {}
    for name, call in calls.items():
        call()
        once[name] = _seconds(call, 1)
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            count = 1
            if once[name] < at_least_s:
                call()
                count = max(1, round(at_least_s / max(once[name], 1e-7)))
            found[name].append(_seconds(call, count) / count)
    return {name: Times(statistics.median(times), tuple(times)) for name, times in found.items()}


def _seconds(call: Callable[[], object], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - start


def peak_bytes(call: Callable[[], object]) -> int | None:
    """What a call takes at most above what this process held before it; None where unknown.

    It is what the kernel counts as resident. What an allocator kept from earlier calls is given
    back first, or it would be missing. Linux only.
    """
    if sys.platform != "linux":
        return None
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except AttributeError:  # another C library
        return None
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = _status("VmRSS")
    call()
    return max(0, _status("VmHWM") - before)


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return 1024 * int(line.split()[1])
    raise KeyError(key)
