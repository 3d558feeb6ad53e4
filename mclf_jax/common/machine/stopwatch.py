"""Seconds that a thread spends in stages of its work, wherever in the code they are.

with stopwatch.stage("read"):       # and "resample" within it, which is not counted twice
    ...
stopwatch.take()                    # {"read": .012, "resample": .004}
"""

import contextlib
import threading
import time
from collections.abc import Iterator


class _Thread(threading.local):
    """What the stages of one thread took since the last `take`."""

    def __init__(self):
        self.seconds: dict[str, float] = {}
        self.within = 0.0  # of stages inside of the one that is on
        self.ended_s: float | None = None


_here = _Thread()


@contextlib.contextmanager
def stage(name: str) -> Iterator[None]:
    """Around a stage; what other stages inside of it take is theirs alone."""
    outer, _here.within = _here.within, 0.0
    start_s = time.perf_counter()
    try:
        yield
    finally:
        _here.ended_s = time.perf_counter()
        took_s = _here.ended_s - start_s
        _here.seconds[name] = _here.seconds.get(name, 0.0) + took_s - _here.within
        _here.within = outer + took_s


def take(*, rest: str) -> dict[str, float]:
    """Seconds by stage of this thread since the last call; those since the last stage are `rest`'s.

    Where no stage was gone through, {}.
    """
    seconds, ended_s = _here.seconds, _here.ended_s
    _here.seconds, _here.ended_s = {}, None
    if ended_s is not None:
        seconds[rest] = seconds.get(rest, 0.0) + time.perf_counter() - ended_s
    return seconds
