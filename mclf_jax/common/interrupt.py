"""SIGTERM and SIGINT: a command ends in one line, a loop answers between two steps."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from types import FrameType
from typing import NoReturn

NUMBERS = (signal.SIGTERM, signal.SIGINT)
SAVED = 75  # EX_TEMPFAIL, which Windows has no name for
"""The exit status (75) of what was interrupted, has saved its state, and goes on from there."""


class Interrupted(KeyboardInterrupt):
    """A signal asks the command to end.

    Attributes:
        status: to exit with: 128 and the number of the signal, as a shell has it, or `SAVED`.
    """

    def __init__(self, text: str, *, status: int = SAVED):
        super().__init__(text)
        self.status = status


@contextlib.contextmanager
def ending_in_a_line(title: str) -> Iterator[None]:
    """Within it, SIGTERM and SIGINT raise `Interrupted`, so that files are closed and caches kept.

    While modules are imported the process ends at once: there is nothing to keep yet, and C++ that
    is half initialised aborts with a traceback. Outside of the main thread, where Python has no
    signals, nothing changes.

    Args:
        title: of the command, in front of the line.
    """

    def end(number: int, frame: FrameType | None) -> None:
        text, status = f"interrupted by {signal.Signals(number).name}", 128 + number
        while frame is not None:
            if frame.f_code.co_filename.startswith("<frozen importlib."):
                os.write(2, f"{title}: {text}\n".encode())
                os._exit(status)
            frame = frame.f_back
        raise Interrupted(text, status=status)

    with _handled_by(end):
        yield


@contextlib.contextmanager
def stop_requests() -> Iterator[Callable[[], str | None]]:
    """Within it, SIGTERM and SIGINT are only noted; yields a function that names the signal.

    A second signal has its usual effect. Outside of the main thread nothing is ever requested.
    """
    received: list[str] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(signal.Signals(number).name)
        for each, handler in old.items():
            signal.signal(each, handler)

    with _handled_by(note) as old:
        yield lambda: received[0] if received else None


@contextlib.contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[dict[int, object]]:
    """Both signals call `handler` meanwhile; yields what they called before."""
    old = {}
    try:
        for number in NUMBERS:
            old[number] = signal.signal(number, handler)
    except ValueError:  # not the main thread
        old.clear()
    try:
        yield old
    finally:
        for number, before in old.items():
            signal.signal(number, before)


def leave(status: int) -> NoReturn:
    """End the process without Python's own last steps.

    These wait for threads, say it in a traceback if another signal comes meanwhile, and crash where
    a compilation was broken off.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


@contextlib.contextmanager
def deaf_children() -> Iterator[None]:
    """Processes that are started within it hear neither signal: their parent tells them to stop.

    A terminal sends SIGINT, and a scheduler SIGTERM, to all processes at once.
    """
    resource_tracker.ensure_running()  # which would let them through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def any_process(requested: bool) -> bool:
    """Whether any process of the run asks to stop; all must call it at the same step."""
    import jax
    import numpy as np
    from jax.experimental import multihost_utils

    if jax.process_count() == 1:
        return requested
    with jax.transfer_guard("allow"):
        return bool(multihost_utils.process_allgather(np.asarray(requested)).any())
