"""Two processes train together and end where one process does."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.tiny import final_arrays

ROOT = Path(__file__).parents[1]
# Rows of a batch are ordered by process, and dropout is drawn by row. SGD, because Adam makes
# full steps out of rounding noise.
CHANGES = ("model__args__dropout_rate=0.0", "optim__name=sgd", "train__num_steps=10")


def run(workdir, *, processes):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    started = []
    for index in range(processes):
        env = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
        if processes > 1:
            env |= {
                "JAX_COORDINATOR_ADDRESS": address,
                "JAX_NUM_PROCESSES": str(processes),
                "JAX_PROCESS_ID": str(index),
            }
        command = [sys.executable, "-m", "tests.tiny", str(workdir), *CHANGES]
        started.append(
            subprocess.Popen(
                command,
                cwd=ROOT,
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    for process in started:
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        assert "finished" in out


def test_two_processes_equal_one(tmp_path):
    run(tmp_path / "one", processes=1)
    run(tmp_path / "two", processes=2)
    logs = []
    for name in ("one", "two"):
        text = (tmp_path / name / "metrics.jsonl").read_text()
        logs.append([json.loads(line) for line in text.splitlines()])
    assert [(e["kind"], e["step"]) for e in logs[0]] == [(e["kind"], e["step"]) for e in logs[1]]
    for one, two in zip(*logs, strict=True):
        np.testing.assert_allclose(two["loss"], one["loss"], rtol=1e-5)
        assert two["accuracy"] == one["accuracy"]
    for one, two in zip(
        final_arrays(tmp_path / "one"), final_arrays(tmp_path / "two"), strict=True
    ):
        # Relative too: float32 holds a variance of decibels, such as 146, to steps of 1.5e-5.
        np.testing.assert_allclose(two, one, rtol=1e-6, atol=1e-5)
