"""A disk that is full, used up, read-only or gone: one line says so, whichever thread found out.

Checkpoints, records and logs are written by libraries, in threads of their own. What fails there
reaches the caller when they are closed; meanwhile they say it too, with a traceback each.
"""

import contextlib
import errno
import logging
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

_AGAIN = "then start the same command again"
_TOLD = {
    errno.ENOSPC: f"the disk of {{where}} is full ({{free}}): make space, {_AGAIN}",
    errno.EDQUOT: f"the quota on the disk of {{where}} is used up: make space, {_AGAIN}",
    errno.EROFS: f"the disk of {{where}} is read-only: make it writable, {_AGAIN}",
    errno.EIO: f"the disk of {{where}} fails (input/output error): see to it, {_AGAIN}",
    errno.ESTALE: f"the disk of {{where}} went away (stale file handle): mount it again, {_AGAIN}",
    errno.ENOENT: f"{{where}} was removed while it was in use: bring it back, {_AGAIN}",
}
_NAMES = {number: (os.strerror(number), errno.errorcode[number]) for number in _TOLD}


class DiskError(OSError):
    """Nothing can be written any more; the message says where, why and what to do."""


@contextlib.contextmanager
def explained(folder: str | os.PathLike) -> Iterator[None]:
    """Within it, what is wrong with the disk becomes a `DiskError`, and no thread says it too.

    Args:
        folder: that is written to.
    """
    folder = Path(folder).expanduser().absolute()
    quiet = contextlib.ExitStack()
    failed = quiet.enter_context(_quiet_threads())
    try:
        yield
    except Exception as error:
        if isinstance(error, DiskError):
            raise
        number = _number(error)
        # Something else that is missing is told by its name.
        gone = _gone(folder, error) if number == errno.ENOENT else None
        if number is None or (number == errno.ENOENT and gone is None):
            quiet.close()
            raise
        failed.append(error)  # which threads may find out later still
        raise _error(number, gone or _where(error, folder)) from error
    quiet.close()


def check_there(folder: str | os.PathLike) -> None:
    """Raise a `DiskError` if a folder is gone, which a library would make anew without a word."""
    if not os.path.isdir(folder):
        raise _error(errno.ENOENT, Path(folder))


def _where(error: BaseException, folder: Path) -> Path:
    """The folder that is meant: another one if the error names a file that is not in it."""
    name = getattr(error, "filename", None)
    if isinstance(name, str | os.PathLike) and not Path(name).absolute().is_relative_to(folder):
        return Path(name).absolute().parent
    return folder


def _error(number: int, where: Path) -> DiskError:
    error = DiskError(_TOLD[number].format(where=where, free=_free(where)))
    error.errno = number
    return error


def _gone(folder: Path, error: BaseException | None) -> Path | None:
    """The folder, or one below it, that is not there any more and in which a file was missing."""
    while error is not None:
        name = getattr(error, "filename", None)
        path = Path(name).absolute() if isinstance(name, str | os.PathLike) else None
        if path is None and str(folder) in str(error):
            path = folder / "any"
        if path is not None and folder in path.parents:
            inside = [each for each in reversed(path.parents) if each.is_relative_to(folder)]
            if missing := [each for each in inside if not each.exists()]:
                return missing[0]
        error = error.__cause__ or error.__context__
    return None


def _number(error: BaseException | None) -> int | None:
    """Which of `_TOLD` an error is, or came of; C++ says it in words."""
    while error is not None:
        for number, names in _NAMES.items():
            if getattr(error, "errno", None) == number or any(n in str(error) for n in names):
                return number
        error = error.__cause__ or error.__context__
    return None


def _free(folder: Path) -> str:
    while not folder.exists():
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    if usage.free > usage.total / 1000 and not os.statvfs(folder).f_favail:
        return "it holds as many files as it can"
    unit, size = ("GB", 1e9) if usage.total >= 1e9 else ("MB", 1e6)
    return f"{usage.free / size:.1f} of {usage.total / size:.1f} {unit} free now"


def is_late_answer(error: BaseException | None) -> bool:
    """Whether TensorStore answers what nobody waits for any more, as something else has failed."""
    return isinstance(error, RuntimeError) and str(error) == "Event loop is closed"


@contextlib.contextmanager
def _quiet_threads() -> Iterator[list[BaseException]]:
    """Threads and destructors that fail for the disk do not say so; until the end, if that is one.

    Yields what has failed so far. What fails after that is taken to be a consequence; what fails
    before it for another reason is told as always.
    """
    log = logging.getLogger("absl")  # of orbax
    thread_hook, late_hook = threading.excepthook, sys.unraisablehook
    failed: list[BaseException] = []

    def is_told(error: BaseException | None) -> bool:
        if error is not None and _number(error) is not None:
            failed.append(error)
        return not failed and not is_late_answer(error)

    def is_logged(record: logging.LogRecord) -> bool:
        return is_told(record.exc_info[1] if isinstance(record.exc_info, tuple) else None)

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if is_told(args.exc_value):
            thread_hook(args)

    def too_late(unraisable: "sys.UnraisableHookArgs") -> None:
        if is_told(unraisable.exc_value):
            late_hook(unraisable)

    log.addFilter(is_logged)
    threading.excepthook, sys.unraisablehook = in_thread, too_late
    yield failed
    log.removeFilter(is_logged)
    threading.excepthook, sys.unraisablehook = thread_hook, late_hook
