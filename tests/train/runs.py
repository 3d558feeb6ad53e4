"""Runs that tests look into, or start in a process of their own."""

import json
import subprocess
import sys

from tests import ROOT


def lines(workdir, kind):
    entries = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return [entry for entry in entries if entry["kind"] == kind]


def start(workdir, *changes):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.tiny", str(workdir), *changes],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
