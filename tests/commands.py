"""`mclf` in this process, or in one of its own, which takes seconds to start."""

import contextlib
import dataclasses
import io
import os
import subprocess
import sys
import warnings
from pathlib import Path

from mclf_jax.cli import main as cli
from tests import ROOT


@dataclasses.dataclass(frozen=True)
class Said:
    """What a command wrote, as `subprocess.run` gives it."""

    stdout: str
    stderr: str


def mclf(*words, code: int = 0, cwd: Path = ROOT) -> Said:
    """Run a command in the folder `cwd`, which ends with the exit code `code`."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        contextlib.chdir(cwd),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("default")  # a line for users, an error in other tests
        try:
            found = cli.main([str(word) for word in words])
        except SystemExit as end:  # of argparse
            found = end.code
    said = Said(out.getvalue(), err.getvalue())
    assert found == code, said.stdout + said.stderr
    return said


def process(*words, code: int = 0, cwd: Path = ROOT) -> Said:
    """The same in another process: a test of each command asks for one."""
    done = subprocess.run(
        [sys.executable, "-m", "mclf_jax.cli", *map(str, words)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return Said(done.stdout, done.stderr)
