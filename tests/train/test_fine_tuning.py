"""A run that starts from another one, by config: what is loaded, frozen, said, and resumed."""

import jax
import numpy as np
import pytest

from mclf_jax.common import parallel
from mclf_jax.run.directory import read_model
from mclf_jax.run.weights import load_variables
from mclf_jax.train import overview, train
from tests.tiny import final_arrays, tiny_config

FROZEN = {
    "init__freeze": ("*", "!{head}"),
    "init__unfreeze": ((2, "layer2"),),  # of 16 songs in batches of 8: after step 4
    "optim__ema_decay": 0.0,
    "optim__layer_decay": 0.5,
    "train__num_steps": 8,
    "eval__every_steps": 4,
}


@pytest.fixture(scope="module")
def teacher(straight):
    workdir, _ = straight
    return workdir


def best(workdir):
    model = read_model(workdir)
    return load_variables(workdir, model, parallel.make_mesh(1))["variables"]


def leaves(variables):
    flat, _ = jax.tree_util.tree_flatten_with_path(variables)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in flat}


@pytest.mark.slow
def test_what_is_frozen_stays_and_what_is_unfrozen_moves(teacher, tmp_path):
    config = tiny_config(init__path=str(teacher), **(FROZEN | {"eval__every_steps": 8}))
    train(config, workdir=tmp_path)
    before, after = (leaves(best(run)) for run in (teacher, tmp_path))
    kept = {name for name in before if "spec_bn" in name or "layer1" in name}
    assert kept and all((before[name] == after[name]).all() for name in kept)
    assert any((before[name] != after[name]).any() for name in before if "layer2" in name)
    said = (tmp_path / "init.txt").read_text()
    assert "starting from" in said and "step 20" in said and "loaded" in said


@pytest.mark.slow
def test_resumed_equals_straight(teacher, tmp_path):
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    config = tiny_config(init__path=str(teacher), **FROZEN)
    train(config, workdir=straight)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mclf_jax.train.loop.any_process", lambda stopping: True)
        assert train(config, workdir=stopped).status == "interrupted"
    assert train(config, workdir=stopped).status == "finished"
    for one, other in zip(final_arrays(straight), final_arrays(stopped), strict=True):
        np.testing.assert_array_equal(one, other)


def test_inspect_says_what_starts_and_what_is_frozen(teacher):
    config = tiny_config(init__path=str(teacher), **FROZEN)
    sections = dict(section.split("\n", 1) for section in overview.describe(config))
    assert "starting from" in sections["== Start =="]
    assert "train from the start" in sections["== Frozen =="]


def test_a_wrong_start_leaves_nothing_behind(tmp_path):
    config = tiny_config(init__path=str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        train(config, workdir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_never_trains_must_have_come_from_somewhere(teacher, tmp_path):
    changes = {"init__path": str(teacher), "init__freeze": ("*", "!{head}")}
    config = tiny_config(model__args__n_channels=8, **changes)
    with pytest.raises(
        ValueError, match=r"init.freeze keeps layer1.bn.bias as .* nothing that fits \("
    ):
        train(config, workdir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"init__unfreeze": (("layer1", 2),)}, r"init.unfreeze\[0\] is"),
        ({"init__unfreeze": ((0, "layer1"),)}, "it must be later"),
        ({"init__rename": (("a",),)}, r"init.rename\[0\] is"),
        ({"optim__rates": (("layer1", "slow"),)}, r"optim.rates\[0\] is"),
        ({"init__other_features": "maybe"}, "init.other_features is 'maybe'"),
    ],
)
def test_errors_name_the_field(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny_config(**changes)
