"""A process of its own, with its peak memory: what several scripts here measure."""

import json
import os
import subprocess
import sys
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
    # A process begins with the peak of the one that started it, so a small one does.
    done = subprocess.run(
        [sys.executable, "-S", "-c", _LAUNCHER, sys.executable, *words],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{title} failed:\n{done.stderr}")
    found = json.loads(done.stdout)
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return {"peak_mib": found["peak"] * unit / 2**20, "seconds": found["seconds"]}


_LAUNCHER = """
import json, os, resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"seconds": seconds, "peak": peak}))
sys.exit(code)
"""
