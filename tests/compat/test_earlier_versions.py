"""Runs and prepared data that earlier versions wrote work as they did; see `make`."""

import shutil

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
# A batch norm behind a bias takes it out again, so its gradient is what rounding leaves, of which
# AdamW makes full steps; they say nothing of the network, and are others on other processors.
_TAKEN_OUT_AGAIN = ("params.model.dense1.bias", "params.model.layer1.conv.bias", ".bn.mean")


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
    outcome = train(rundir.read_config(run), workdir=run)
    assert outcome.step == make.STEPS
    # Weights were saved without a score then, and give way to better ones alone.
    assert restore.best_step(run / "checkpoints") == outcome.best_step
    found, before = make.state_of(run), expected(f"state.{name}.")
    assert sorted(found) == sorted(before)
    config = make.config_of(name)
    for leaf, value in before.items():
        close = _CLOSE
        if config.optim.name == "adamw" and leaf.endswith(_TAKEN_OUT_AGAIN):
            close = {"atol": 2 * config.optim.learning_rate * (make.STEPS - make.STOPPED_AT)}
        np.testing.assert_allclose(found[leaf], value, err_msg=leaf, **close)


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
