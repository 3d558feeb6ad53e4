"""Two processes train together and end where one process does."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests import ROOT, tiny_pretraining
from tests.tiny import final_arrays

# Rows of a batch are ordered by process, and dropout is drawn by row. SGD, because Adam makes
# full steps out of rounding noise.
CHANGES = ("model__args__dropout_rate=0.0", "optim__name=sgd", "train__num_steps=10")


def start(*words, processes, path=ROOT):
    """`python -m WORDS` in so many processes that know of each other; modules are in `path` too."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    started = []
    for index in range(processes):
        env = dict(os.environ)
        env["PYTHONPATH"] = os.pathsep.join([str(path), env.get("PYTHONPATH", "")])
        if processes > 1:
            env |= {
                "JAX_COORDINATOR_ADDRESS": address,
                "JAX_NUM_PROCESSES": str(processes),
                "JAX_PROCESS_ID": str(index),
            }
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", *map(str, words)],
                cwd=ROOT,
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return started


def finish(started):
    for process in started:
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        assert "finished" in out


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    finish(start("tests.tiny", tmp_path / "one", *CHANGES, processes=1))
    finish(start("tests.tiny", tmp_path / "two", *CHANGES, processes=2))
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


@pytest.mark.slow
def test_fewer_or_more_processes_go_on(tmp_path):
    """Four save parts of split arrays, one reads them whole; and the other way round."""
    same = (*CHANGES[:2], "optim__schedule=constant", "model__args__n_channels=64")
    whole, split = "parallel__params=replicated", "parallel__params=fsdp"
    halves = {
        "straight": [(1, whole)],
        "fewer": [(4, split), (1, whole)],
        "more": [(1, whole), (4, split)],
    }
    for name, parts in halves.items():
        for i, (processes, placed) in enumerate(parts):
            steps = 10 if len(parts) == 1 else 5 * (i + 1)
            changes = (*same, placed, f"train__num_steps={steps}")
            finish(start("tests.tiny", tmp_path / name, *changes, processes=processes))
        if len(parts) == 2:
            losses(tmp_path / name, tmp_path / "straight")


def losses(run, other):
    """Those of two runs are the same, step by step."""
    logs = [
        [json.loads(line) for line in (each / "metrics.jsonl").read_text().splitlines()]
        for each in (run, other)
    ]
    valid = [{e["step"]: e["loss"] for e in log if e["kind"] == "valid"} for log in logs]
    assert valid[0].keys() == valid[1].keys() and len(valid[0]) == 2
    np.testing.assert_allclose(*[list(each.values()) for each in valid], rtol=1e-5)


@pytest.mark.slow
def test_songs_are_compared_with_those_of_other_processes(tmp_path):
    """NT-Xent, MoCo's queue and the negatives of CPC, on the same three global batches."""
    started = start("tests.tiny_pretraining", tmp_path / "two.npz", processes=2)
    one = tiny_pretraining.steps_of_all()
    finish(started)
    two = dict(np.load(tmp_path / "two.npz"))
    assert one.keys() == two.keys()
    for name, array in one.items():
        # Sums over a batch are of two halves, and gradients are as large as 5. Those of CPC are as
        # small as .001, of numbers near 1; with other negatives they would differ by a third.
        near = {"rtol": 1e-4, "atol": 1e-8} if "grad_norm" in name else {"rtol": 1e-5, "atol": 5e-5}
        np.testing.assert_allclose(two[name], array, **near, err_msg=name)
    # Every key of each process is in the queue once, in its place.
    queue, filled = (two[f"moco.model_state.{name}"] for name in ("queue", "filled"))
    np.testing.assert_allclose(queue, one["moco.model_state.queue"], atol=1e-5)
    assert filled == tiny_pretraining.QUEUE_SIZE == len(np.unique(queue.round(5), axis=0))
