"""Requests to object storage, tried again where they fail, so often and no more, and counted.

Counts are of this process and of those that it starts, such as data workers: they are in a file,
which the environment names.
"""

import atexit
import collections
import contextlib
import errno
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

TRIES = 7
SLOW_S = 10.0
KINDS = {"retried": "tried again", "slow": f"slower than {SLOW_S:g} s", "failed": "given up"}
_FIRST_WAIT_S = 0.5  # doubled each time: half a minute in all
_told_outside = False
_JOURNAL = "MCLF_JAX_STORAGE_JOURNAL"
# Another try finds the same. Missing credentials have a class of their own in each library.
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
_FINAL += (ImportError, ValueError, TypeError, NotImplementedError)
# Of the disk that a copy is on, which `disk.explained` has words for.
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError")


class StorageError(OSError):
    """Object storage does not answer, or refuses; the message says what was asked for."""


def attempt(what: str, request: Callable[[], T]) -> T:
    """The answer of a request, which is made up to `TRIES` times.

    Args:
        what: is asked for, such as "reading s3://bucket/run/meta.json".
        request: raises where it fails.

    Raises:
        FileNotFoundError: there is no such thing.
        StorageError: it failed the last time too, or may not be made.
    """
    for number in range(1, TRIES + 1):
        start_s = time.monotonic()
        try:
            answer = request()
        except FileNotFoundError:
            raise
        except Exception as error:
            said = f"{type(error).__name__}: {error}".partition("\n")[0]
            if type(error).__name__ in _NO_CREDENTIALS:
                advice = "`aws configure`, or `gcloud auth application-default login`"
                raise StorageError(f"{what} needs credentials ({said}): {advice}") from error
            if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
                raise
            if isinstance(error, _FINAL):
                raise StorageError(f"{what} is refused ({said})") from error
            if number == TRIES:
                _note("failed")
                raise StorageError(
                    f"{what} failed {TRIES} times ({said}); see whether the storage and the "
                    "network are well, then start the same command again"
                ) from error
            _note("retried")
            time.sleep(_FIRST_WAIT_S * 2 ** (number - 1))
        else:
            if time.monotonic() - start_s > SLOW_S:
                _note("slow")
            return answer
    raise AssertionError("unreachable")


def counts() -> dict[str, int]:
    """How many requests there were so far of each of `KINDS`."""
    found = collections.Counter()
    if path := os.environ.get(_JOURNAL):
        with contextlib.suppress(OSError), open(path, encoding="utf-8") as file:
            found.update(line.strip() for line in file)
    return {kind: found[kind] for kind in KINDS}


@contextlib.contextmanager
def telling(say: Callable[[str], None]) -> Iterator[None]:
    """At the end of it, say in a line what requests had gone wrong meanwhile; nothing if none.

    Within another one, that one says it.
    """
    global _told_outside
    if _told_outside:
        yield
        return
    before, _told_outside = counts(), True
    try:
        yield
    finally:
        _told_outside = False
        since = {kind: number - before[kind] for kind, number in counts().items()}
        if any(since.values()):
            told = ", ".join(f"{number} {KINDS[kind]}" for kind, number in since.items() if number)
            say(f"requests to object storage: {told}")


def count_here() -> None:
    """Make processes that are started from now on count together with this one."""
    if _JOURNAL not in os.environ:
        handle, path = tempfile.mkstemp(prefix="mclf-storage-")
        os.close(handle)
        os.environ[_JOURNAL] = path
        atexit.register(_forget, path, os.getpid())


def _forget(path: str, owner: int) -> None:
    if os.getpid() == owner:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _note(kind: str) -> None:
    count_here()
    # Appending so few bytes is one write, whichever processes do it.
    with contextlib.suppress(OSError), open(os.environ[_JOURNAL], "a", encoding="utf-8") as file:
        file.write(kind + "\n")
