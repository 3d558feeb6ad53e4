"""Weights that are not finite get into no prediction and no training."""

import jax
import numpy as np
import pytest

from mclf_jax.cli import main as cli
from mclf_jax.common import parallel
from mclf_jax.convert.run import run_from_weights
from mclf_jax.convert.weights import write_weights
from mclf_jax.data.catalogue.label_lists import LabelList
from mclf_jax.run import checkpoint
from mclf_jax.run.weights import load_variables, open_run
from mclf_jax.train import transfer
from tests.convert.networks import small_model, small_weights


@pytest.fixture
def broken_run(tmp_path):
    """Whose best checkpoint holds two numbers that are none."""
    write_weights(tmp_path / "w.npz", small_weights("fcn"))
    labels = LabelList(("a", "b", "c"), "multi_label", "the test")
    run = tmp_path / "run"
    run_from_weights(tmp_path / "w.npz", model="fcn", labels=labels, out=run)
    variables = load_variables(run, open_run(run).model, parallel.make_mesh(1))["variables"]
    variables = jax.tree.map(lambda leaf: np.array(leaf), variables)
    variables["params"]["layer2"]["conv"]["kernel"].flat[:2] = np.nan, np.inf
    checkpoints = checkpoint.open_checkpoints(run / "checkpoints")
    checkpoint.save_best(checkpoints, 1, variables)
    checkpoint.close(checkpoints)
    return run


def test_a_run_is_not_loaded(broken_run, capsys):
    message = r"not finite in the best checkpoint of .*run: layer2.conv.kernel \(2 of 288 numbers\)"
    with pytest.raises(ValueError, match=message):
        load_variables(broken_run, open_run(broken_run).model, parallel.make_mesh(1))
    assert cli.main(["convert", str(broken_run), "--to", "torch", "--out", "x.npz"]) == 1
    assert "layer2.conv.kernel" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["run", "w.npz"])
def test_training_does_not_start_from_them(broken_run, where):
    weights = small_weights("fcn")
    weights["layer2.bn.running_var"][0] = np.inf
    write_weights(broken_run.parent / "w.npz", weights)
    model = small_model("fcn")
    fresh = jax.tree.map(
        lambda leaf: np.zeros(leaf.shape, leaf.dtype),
        jax.eval_shape(model.init, jax.random.key(0)),
    )
    start = {"model": model, "task": "multi_label", "labels": ("a", "b", "c")}
    name = "layer2.conv.kernel" if where == "run" else "layer2.bn.running_var"
    with pytest.raises(ValueError, match=f"not finite in .*{name}"):
        transfer.initialise(fresh, broken_run.parent / where, **start)
