"""Memory in large pages, which networks on a CPU otherwise spend a third of their time waiting for.

XLA asks for the arrays of a step anew in each step, tens of megabytes at a time, which glibc hands
back to the system when they are freed: a step of MusiCNN with eight windows takes 172,000 new pages
of 4 KiB. Kept, and in pages of 2 MiB, there are none: 1.05 s become .72 s, and .20 s of its
evaluation .16 s (two cores). Only a process that is started so has it. Before anything is kept, its
pages are made anew like all others, and at once: the first batch takes .9 s in place of .57.
"""

import os
import sys
from collections.abc import Sequence

from mclf_jax.weights import NAMES

_NAME = "GLIBC_TUNABLES"
_MOST = 2**31 - 1
_ONE_ARENA_UP_TO = 8  # cores; with more of them, threads would wait for each other
_FIRST_GLIBC = (2, 35)
_FEW_SONGS = 5  # with so many, what later batches gain makes up for the first one
_OF_MANY_WINDOWS = ("--hop-s", "--num-windows", "--segments", "--taggram")


def take_large_pages(words: Sequence[str]) -> None:
    """Start this command anew so that it has them, as the same process; where it cannot, go on.

    Args:
        words: of the command line. Without a command, and for help, there is nothing to compute,
            and with `predict` of a few songs little.
    """
    wanted = settings()
    quick = not words or words[0].startswith("-") or not {"-h", "--help"}.isdisjoint(words)
    if quick or _hears_little(words) or not wanted or _NAME in os.environ or not sys.executable:
        return
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, _NAME: wanted})


def _hears_little(words: Sequence[str]) -> bool:
    """Whether a few songs are predicted, by the usual number of windows."""
    if words[0] != "predict" or any(word.startswith(_OF_MANY_WINDOWS) for word in words):
        return False
    places = [word for word in words[1:] if word in NAMES or os.path.exists(word)]
    songs = places[1:]  # the first is the run
    return len(songs) < _FEW_SONGS and not any(map(os.path.isdir, songs))


def settings() -> str:
    """What GLIBC_TUNABLES must be; "" where there is no glibc that knows it."""
    try:
        name, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
        known = name == "glibc" and tuple(map(int, version.split(".")[:2])) >= _FIRST_GLIBC
    except (AttributeError, ValueError, OSError):  # of other systems
        return ""
    if not known:
        return ""
    wanted = {"hugetlb": 1, "mmap_threshold": _MOST, "trim_threshold": _MOST}
    if (os.cpu_count() or 1) <= _ONE_ARENA_UP_TO:
        wanted["arena_max"] = 1  # those of threads give back what is larger than 64 MiB
    return ":".join(f"glibc.malloc.{name}={value}" for name, value in wanted.items())
