"""A run with a second opinion: training does not feel it, and all who use the run have it."""

import jax
import numpy as np
import pytest

from mclf_jax.api import load
from mclf_jax.cli import main as cli
from mclf_jax.common import parallel
from mclf_jax.models.layers.opinion import COLLECTION
from mclf_jax.run.weights import load_variables, open_run
from mclf_jax.shallow.opinion import PLACE
from mclf_jax.train import train
from tests.export.bundles import with_onnx
from tests.songs import RATE_HZ, Songs
from tests.tiny import tiny_config
from tests.train.runs import lines

ON_EMBEDDING = {
    "model__args__pooling": "blocks",
    "model__args__opinion_on": "embedding",
    "init__freeze": ("*", "!{head}"),
}


def trained(workdir, *, room, steps=2, changes=None, **how):
    config = tiny_config(
        model__args__second_opinion=room,
        train__num_steps=steps,
        eval__every_steps=1,
        eval__metric="last",
        **changes or {},
    )
    train(config, workdir=workdir, **how)
    return load_variables(workdir, open_run(workdir).model, parallel.make_mesh(1))["variables"]


def losses(workdir, kind):
    return [entry["loss"] for entry in lines(workdir, kind)]


@pytest.mark.slow
def test_training_is_the_same_and_scores_are_of_both(tmp_path, capsys):
    alone, both = (trained(tmp_path / str(room), room=room) for room in (0, 40))
    assert "second opinion: support vectors of" in capsys.readouterr().err
    for name in ("params", "batch_stats"):
        jax.tree.map(np.testing.assert_array_equal, alone[name], both[name])
    assert losses(tmp_path / "0", "train") == losses(tmp_path / "40", "train")
    assert losses(tmp_path / "0", "valid") != losses(tmp_path / "40", "valid")

    song = Songs(24).read(3, start_sample=0, num_samples=2000)
    said = [load(tmp_path / run).predict(song, sample_rate_hz=RATE_HZ) for run in ("0", "40")]
    assert abs(said[0]["low"] - said[1]["low"]) > 1e-3

    # A run that goes on has it as it was, and does not fit it again.
    longer = trained(tmp_path / "40", room=40, steps=3, config_change="extend")
    jax.tree.map(np.testing.assert_array_equal, both[COLLECTION][PLACE], longer[COLLECTION][PLACE])
    assert "second opinion" not in capsys.readouterr().err


@pytest.mark.slow
def test_one_on_the_embedding_reads_what_training_leaves_alone(tmp_path):
    alone, both = (
        trained(tmp_path / str(room), room=room, changes=ON_EMBEDDING) for room in (0, 40)
    )
    jax.tree.map(np.testing.assert_array_equal, alone["params"], both["params"])
    assert both[COLLECTION][PLACE]["weights"].any()
    song = Songs(24).read(3, start_sample=0, num_samples=500)
    opened = [load(tmp_path / run) for run in ("0", "40")]
    heard = [run.embed(song, sample_rate_hz=RATE_HZ) for run in opened]
    np.testing.assert_array_equal(*heard)
    kept = both[COLLECTION][PLACE]
    learnt = Songs(24).read(8, start_sample=0, num_samples=500)  # the first window of train
    learnt = opened[1].embed(learnt, sample_rate_hz=RATE_HZ)
    np.testing.assert_allclose(
        (learnt - kept["mean"]) / kept["scale"], kept["references"][0], atol=1e-3
    )
    z = (heard[1] - kept["mean"]) / kept["scale"]
    near = np.exp(-np.square(z - kept["references"]).sum(-1) / len(z))
    machine = near @ kept["weights"] + kept["bias"]
    network = heard[0] @ both["params"]["dense2"]["kernel"] + both["params"]["dense2"]["bias"]
    logits = kept["share"] * network + machine
    expected = np.exp(logits) / np.exp(logits).sum()
    said = opened[1].predict(song, sample_rate_hz=RATE_HZ)
    np.testing.assert_allclose([said[label] for label in opened[1].labels], expected, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, ON_EMBEDDING], ids=["mfcc", "embedding"])
@pytest.mark.parametrize("name", ["tagger.mclf", pytest.param("tagger.onnx", marks=with_onnx)])
def test_an_exported_file_has_it(tmp_path, name, changes, capsys):
    trained(tmp_path / "run", room=40, changes=changes)
    # Which compares the scores of the file with those of the run.
    assert cli.main(["export", str(tmp_path / "run"), "--out", str(tmp_path / name)]) == 0
    assert "read back: scores differ by" in capsys.readouterr().out
