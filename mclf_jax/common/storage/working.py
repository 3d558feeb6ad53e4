"""A path that a program works in: a disk's own, or the copy of what is on object storage."""

import contextlib
import dataclasses
import functools
import inspect
import os
import threading
import time
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mclf_jax.common import files, progress
from mclf_jax.common.storage import places, tries
from mclf_jax.common.storage.mirror import Mirror
from mclf_jax.common.storage.tries import StorageError

F = typing.TypeVar("F", bound=Callable)


@dataclasses.dataclass(frozen=True)
class Working:
    """Where to work.

    Attributes:
        path: on a disk.
        before_save: to be called before checkpoints are changed.
        after_save: to be called with the folder of a checkpoint, which may be whole later only.
        claim: to be called before the work, so that others who work there fail, not this one.
    """

    path: Path
    before_save: Callable[[], None] = lambda: None
    after_save: Callable[[Path], None] = lambda folder: None
    claim: Callable[[], None] = lambda: None


@contextlib.contextmanager
def copied(field: str, path: str | os.PathLike) -> Iterator[Path]:
    """A path on a disk; what is on object storage is copied there, and what was changed, back.

    Args:
        field: its name.
        path: of a folder or file.

    Raises:
        ValueError: it is on no storage that can be used.
        FileNotFoundError: nothing is there.
        StorageError: the storage cannot be read, or written to.
    """
    if not files.is_remote(path):
        yield Path(path)
        return
    mirror = Mirror(places.check(field, path))
    with tries.telling(progress.say):
        local = mirror.pull()
        if local.is_dir() and not mirror.here():
            raise FileNotFoundError(f"{field} is {mirror.url}; nothing is there")
        yield local
        if mirror.push(claim="beside"):
            progress.say(f"{mirror.url} is up to date")


@contextlib.contextmanager
def run_folder(path: str | os.PathLike) -> Iterator[Working]:
    """A folder to train in. That of object storage is a copy, sent there after each checkpoint.

    Several processes work in one copy, which the first of them sends.

    Args:
        path: of it.

    Raises:
        ValueError: it is on no storage that can be used, or processes do not see one copy.
        StorageError: the storage cannot be read or written to, or somebody else trains there.
    """
    if not files.is_remote(path):
        with tries.telling(progress.say):  # of data that are read there
            yield Working(Path(path))
        return
    mirror = Mirror(places.check("workdir", path))
    with tries.telling(progress.say):
        if _is_first():
            mirror.pull()
        _check_shared(mirror)
        if not _is_first():
            yield Working(mirror.folder)
            return
        sender = _Sender(mirror)
        try:
            claim = functools.partial(mirror.push, claim="always")
            yield Working(mirror.folder, sender.wait, sender.send_once_whole, claim)
        finally:
            sender.close()
            try:
                sent = mirror.push()
            except StorageError as error:
                told = f"{error}; the run is on this disk until then: {mirror.folder}"
                raise StorageError(told) from error
            if sent:
                progress.say(f"{mirror.url} is up to date; its copy is {mirror.folder}")


class _Sender:
    """Sends a copy in the background; what fails is said, and done by the next one."""

    def __init__(self, mirror: Mirror):
        self._mirror = mirror
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def wait(self) -> None:
        if self._thread is not None:
            self._thread.join()
        self._thread = None

    def send_once_whole(self, folder: Path) -> None:
        self.wait()
        self._thread = threading.Thread(target=self._send, args=(folder,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self.wait()

    def _send(self, folder: Path) -> None:
        while not folder.exists():
            if self._closing.wait(0.05):
                return
        try:
            self._mirror.push()
        except (StorageError, OSError) as error:
            progress.say(f"{error}; training goes on, and the next checkpoint is sent again")


def on_storage(*names: str) -> Callable[[F], F]:
    """A function whose arguments of these names, paths or lists of paths, may be on storage."""

    def decorate(function: F) -> F:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def with_copies(*arguments: Any, **named: Any) -> Any:
            bound = signature.bind(*arguments, **named)
            with contextlib.ExitStack() as held:
                for name in names:
                    given = bound.arguments.get(name)
                    if isinstance(given, list | tuple):
                        if any(map(files.is_remote, given)):
                            bound.arguments[name] = [
                                held.enter_context(copied(name, each)) for each in given
                            ]
                    elif files.is_remote(given):
                        bound.arguments[name] = held.enter_context(copied(name, given))
                return function(*bound.args, **bound.kwargs)

        return typing.cast(F, with_copies)

    return decorate


def _is_first() -> bool:
    import jax

    return jax.process_index() == 0


def _check_shared(mirror: Mirror) -> None:
    """Raise a ValueError, in all processes, if they do not see one copy."""
    import jax

    if jax.process_count() == 1:
        return
    import numpy as np
    from jax.experimental import multihost_utils

    from mclf_jax.common.interrupt import any_process

    now = np.asarray([time.time_ns() // 1000 % 2**31], np.int32)
    number = int(multihost_utils.broadcast_one_to_all(now)[0])
    seal = mirror.folder / f".seen-{number}"
    if _is_first():
        seal.touch()
    any_process(False)  # waits for it
    missing = any_process(not seal.exists())
    if _is_first():
        seal.unlink()
    if missing:
        raise ValueError(
            f"workdir is {mirror.url}, whose copy {mirror.folder} is not on a disk that all "
            f"{jax.process_count()} processes share, where each writes its part of a checkpoint: "
            "set XDG_CACHE_HOME to a folder that they share, or take a --workdir on such a disk"
        )
