"""Runs and prepared data that earlier versions wrote work as they did; see `make`."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from mclf_jax import config as config_lib
from mclf_jax.run import directory as rundir
from mclf_jax.run import restore
from mclf_jax.train import train
from tests import ROOT
from tests.compat import make

VERSION = ROOT / "tests" / "compat" / "24a8f7c"
# Most are equal bit by bit on the machine that made them; others sum in another order.
_CLOSE = {"rtol": 1e-5, "atol": 1e-6}


@pytest.fixture(autouse=True)
def _copy(tmp_path, monkeypatch):
    """Paths in the runs are relative to the folder of their version."""
    for name in ("runs", "stopped", "songs", "prepared"):
        shutil.copytree(VERSION / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)


def expected(kind: str) -> dict[str, np.ndarray]:
    with np.load(VERSION / "expected.npz") as file:
        return {k.removeprefix(kind): file[k] for k in file.files if k.startswith(kind)}


@pytest.mark.slow
def test_a_run_predicts_embeds_and_is_evaluated_as_it_was():
    found, before = make.heard("runs/supervised"), expected("heard.")
    for name, value in before.items():
        if value.dtype.kind == "f":
            np.testing.assert_allclose(found[name], value, err_msg=name, **_CLOSE)
        else:
            np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.parametrize(
    "name",
    [
        "supervised",
        *(pytest.param(name, marks=pytest.mark.slow) for name in make.RUNS if name != "supervised"),
    ],
)
def test_a_stopped_run_goes_on_to_the_same_end(name, tmp_path):
    run = tmp_path / "stopped" / name
    if name == "supervised":  # AdamW makes full steps of what tests.conftest rounds otherwise
        going_on = (
            "from mclf_jax.run.directory import read_config; from mclf_jax.train import train\n"
            f"outcome = train(read_config({str(run)!r}), workdir={str(run)!r})\n"
            "print(outcome.step, outcome.best_step)"
        )
        environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
        environment["PYTHONPATH"] = str(ROOT)
        command = [sys.executable, "-c", going_on]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        step, best_step = map(int, done.stdout.split()[-2:])
    else:
        outcome = train(rundir.read_config(run), workdir=run)
        step, best_step = outcome.step, outcome.best_step
    assert step == make.STEPS
    # Weights were saved without a score then, and give way to better ones alone.
    assert restore.best_step(run / "checkpoints") == best_step
    found, before = make.state_of(run), expected(f"state.{name}.")
    assert sorted(found) == sorted(before)
    for leaf, value in before.items():
        np.testing.assert_allclose(found[leaf], value, err_msg=leaf, **_CLOSE)


def test_a_config_says_the_same_today():
    """The recipe of `make`, resolved today, is the config that was written then."""
    for name in make.RUNS:
        then = rundir.read_config(VERSION / "stopped" / name)
        today = rundir.keep_splits(VERSION / "stopped" / name, make.config_of(name))
        assert config_lib.differences(then, today) == {}
        # In a run of today they would be others.
        assert make.config_of(name).data.split_rule != then.data.split_rule


def test_prepared_data_are_read_bit_by_bit():
    found, before = make.read_prepared("prepared"), expected("prepared.")
    assert sorted(found) == sorted(before)
    for name, value in before.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
