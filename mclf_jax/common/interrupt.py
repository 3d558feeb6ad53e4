"""SIGTERM and SIGINT as a request that the loop answers between two steps."""

import contextlib
import signal
from collections.abc import Callable, Iterator

import jax
import numpy as np


@contextlib.contextmanager
def stop_requests() -> Iterator[Callable[[], str | None]]:
    """Within it, SIGTERM and SIGINT are only noted; yields a function that names the signal.

    A second signal has its usual effect. Outside of the main thread, where Python has no
    signals, nothing is ever requested.
    """
    received: list[str] = []
    old = {}

    def note(number, frame):
        received.append(signal.Signals(number).name)
        for each, handler in old.items():
            signal.signal(each, handler)

    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            old[number] = signal.signal(number, note)
    except ValueError:
        old.clear()
    try:
        yield lambda: received[0] if received else None
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def any_process(requested: bool) -> bool:
    """Whether any process of the run asks to stop; all must call it at the same step."""
    if jax.process_count() == 1:
        return requested
    from jax.experimental import multihost_utils

    with jax.transfer_guard("allow"):
        return bool(multihost_utils.process_allgather(np.asarray(requested)).any())
