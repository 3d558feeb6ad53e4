"""A process of its own, with its peak memory: what several scripts here measure."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence


def measure(
    words: Sequence[str], *, title: str, environment: Mapping[str, str] | None = None
) -> dict[str, float]:
    """{"peak_mib", "seconds"} of `python WORDS`; its output is not shown.

    Args:
        words: after the interpreter.
        title: of the command, for the error.
        environment: variables that are set besides.

    Raises:
        RuntimeError: it failed.
    """
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, *words],
            env={**os.environ, **(environment or {})},
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(f"{title} failed:\n{errors.read()}")
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return {"peak_mib": usage.ru_maxrss * unit / 2**20, "seconds": seconds}
