"""Checkpoints without a last layer, as CLMR publishes them: a run that embeds and does not tag."""

import jax
import numpy as np
import pytest
import soundfile

import mclf_jax as mclf
from mclf_jax import models
from mclf_jax.cli import main as cli
from mclf_jax.convert.from_torch import from_torch
from mclf_jax.convert.unwrap import unwrap
from mclf_jax.convert.weights import read_weights, write_weights
from mclf_jax.run.directory import read_config, read_meta
from mclf_jax.train import transfer
from tests.convert.networks import small_model, small_weights

NAME = "clmr_sample_cnn"
# 512 numbers in the published size.
SIZE = 16
RATE_HZ = 22050


def encoder_weights():
    """Float32 arrays of the encoder, under its own keys, with the counters of PyTorch."""
    weights = {k: a.astype("f4") for k, a in small_weights(NAME).items() if "fc." not in k}
    counters = {k.replace("running_mean", "num_batches_tracked") for k in weights if "mean" in k}
    return weights | dict.fromkeys(counters, np.array(7))


def variables():
    """Of the same encoder, with some last layer."""
    return from_torch(NAME, {k: a.astype("f4") for k, a in small_weights(NAME).items()})


def projector():
    return {
        "projector.0.weight": np.full((SIZE, SIZE), 0.5, "f4"),
        "projector.2.weight": np.full((8, SIZE), 0.25, "f4"),
    }


def saved_by_lightning():
    """The module has its encoder twice: as itself, and as a part of its SimCLR."""
    encoder = {f"encoder.{key}": array for key, array in encoder_weights().items()}
    arrays = encoder | {f"model.{k}": a for k, a in (encoder | projector()).items()}
    return {
        "epoch": 3,
        "global_step": 900,
        "pytorch-lightning_version": "1.1.4",
        "state_dict": arrays,
        "optimizer_states": [{"state": {0: {"step": 900}}, "param_groups": [{"lr": 3e-4}]}],
        "lr_schedulers": [],
        "hyper_parameters": {"projection_dim": 8, "dataset": "magnatagatune"},
    }


def saved_plainly():
    """The state_dict of a SimCLR, which is what the files to download hold."""
    encoder = {f"encoder.{key}": array for key, array in encoder_weights().items()}
    return encoder | projector()


def convert(*words):
    return cli.main(["convert", *map(str, words)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """clmr.npz, song.wav and labels.txt."""
    folder = tmp_path_factory.mktemp("clmr")
    write_weights(folder / "clmr.npz", saved_plainly())
    rng = np.random.default_rng(0)
    soundfile.write(folder / "song.wav", 0.1 * rng.standard_normal(3 * RATE_HZ), RATE_HZ)
    (folder / "labels.txt").write_text("calm\nhappy\n")
    assert convert(folder / "clmr.npz", "--model", NAME, "--out", folder / "run") == 0
    return folder


@pytest.mark.parametrize("saved", [saved_plainly, saved_by_lightning])
def test_the_encoder_is_found_and_the_rest_is_named(saved):
    found = unwrap(NAME, saved())
    assert found.arrays.keys() == encoder_weights().keys()
    for key, array in encoder_weights().items():
        np.testing.assert_array_equal(found.arrays[key], array)
    assert found.projector_inputs == SIZE
    left_out = ("projector.*",)
    if saved is saved_by_lightning:
        beside = tuple(name for name in saved_by_lightning() if name != "state_dict")
        left_out = ("model.encoder.* (the same weights again)", *left_out, *beside)
    assert found.left_out == left_out


def test_a_second_encoder_that_is_another_one_is_not_passed_over():
    saved = saved_by_lightning()
    saved["state_dict"]["model.encoder.sequential.0.0.bias"] = np.zeros(4, "f4")
    with pytest.raises(ValueError, match=r"unknown: model.encoder.sequential.0.0.bias"):
        from_torch(NAME, saved)


@pytest.mark.slow
def test_the_command_says_what_it_made_and_what_it_left_out(folder, tmp_path, capsys):
    """With labels too, which it asks other weights for."""
    words = (folder / "clmr.npz", "--model", NAME, "--out", tmp_path / "run")
    assert convert(*words, "--labels", folder / "labels.txt") == 0
    made, left_out, what, unused, *following = capsys.readouterr().out.splitlines()
    trained = sum(a.size for k, a in encoder_weights().items() if "running" not in k and a.ndim)
    assert made == (
        f"{NAME} on windows of 2.678 s, {trained:,} parameters, no labels: {tmp_path / 'run'}"
    )
    assert left_out == "skipped: projector.*"
    assert what.startswith("an encoder: it has no last layer")
    assert unused.startswith("--labels: not used")
    assert "mclf embed" in following[0] and f"--config.init.path={tmp_path / 'run'}" in following[2]
    meta = read_meta(tmp_path / "run")
    assert meta["labels"] == []
    assert meta["data"]["notes"] == [
        "weights of clmr.npz, its sha256 as fingerprint; labels: none, as there is no last layer "
        "(fc)",
        "left out of clmr.npz: projector.*",
    ]


@pytest.mark.slow
def test_the_run_embeds_and_does_not_tag(folder, tmp_path, capsys):
    tagger = mclf.load(folder / "run")
    audio, _ = soundfile.read(folder / "song.wav", dtype="float32")
    window = audio[: models.ARCHITECTURES[NAME].window_samples]
    expected = jax.jit(small_model(NAME).apply)(variables(), window[None])["embedding"]
    found = tagger.embed(window, sample_rate_hz=RATE_HZ)
    np.testing.assert_allclose(found, expected[0], rtol=1e-4, atol=1e-5)
    assert found.shape == (SIZE,)
    for words in (
        ["predict", folder / "run", folder / "song.wav"],
        ["evaluate", folder / "run"],
        ["report", folder / "run"],
    ):
        assert cli.main([str(word) for word in words]) == 1
        assert "mclf probe" in capsys.readouterr().err


def test_it_goes_out_without_a_last_layer_and_comes_in_again(folder, tmp_path, capsys):
    assert convert(folder / "run", "--to", "torch", "--out", tmp_path / "out.npz") == 0
    out = capsys.readouterr().out
    assert "without its last layer" in out and "--labels" not in out
    arrays = read_weights(tmp_path / "out.npz")
    learnt = {k: a for k, a in encoder_weights().items() if "tracked" not in k}
    assert {k for k in arrays if "tracked" not in k} == learnt.keys()
    for key, array in learnt.items():
        np.testing.assert_array_equal(arrays[key], array)
    assert [file.name for file in tmp_path.iterdir()] == ["out.npz"]
    assert convert(tmp_path / "out.npz", "--model", NAME, "--out", tmp_path / "again") == 0
    assert read_config(tmp_path / "again").objective.name == "supervised"
    assert mclf.load(tmp_path / "again").labels == ()


@pytest.mark.parametrize("path", ["run", "clmr.npz"])
@pytest.mark.slow_beyond(1)
def test_training_starts_from_it_with_a_last_layer_of_its_own(folder, path):
    model = small_model(NAME)
    fresh = jax.tree.map(np.zeros_like, variables())
    loaded = transfer.initialise(
        fresh, folder / path, model=model, task="multi_label", labels=("a", "b", "c")
    )
    assert not any(leaf.any() for leaf in loaded.variables["params"].pop("fc").values())
    expected = variables()
    del expected["params"]["fc"]
    jax.tree.map(np.testing.assert_array_equal, loaded.variables, expected)
    assert loaded.unused == ()
    why = {
        "run": "it was trained by simclr, without labels",
        "clmr.npz": "the file has no last layer",
    }
    assert f"new: {why[path]}" in loaded.text()


def test_linear_evaluation_is_a_tagger():
    """An encoder that stays as it is, and one layer on it, which is trained."""
    saved = {f"encoder.{k}": a for k, a in encoder_weights().items()}
    layer = {"model.0.weight": np.full((3, SIZE), 2, "f4"), "model.0.bias": np.full(3, 5, "f4")}
    head = from_torch(NAME, saved | layer)["params"]["fc"]
    assert (head["kernel"] == 2).all() and (head["bias"] == 5).all()
    two = layer | {"model.2.weight": np.ones((3, 3), "f4"), "model.2.bias": np.ones(3, "f4")}
    assert unwrap(NAME, saved | two).left_out == ("model.* (a classifier of more than one layer)",)
    with pytest.raises(ValueError, match="There is no last layer, fc: of an encoder alone"):
        from_torch(NAME, saved | two)


def test_errors(folder, tmp_path, capsys):
    words = (folder / "clmr.npz", "--model", NAME, "--out", tmp_path / "run")
    assert convert(*words, "--config.model.window_s=6") == 1
    message = capsys.readouterr().err
    assert f"took embeddings of {SIZE} numbers, and of 6 s at 22050 Hz {NAME} makes 32" in message
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match="last_layer is 'new'; allowed: required, fresh"):
        from_torch(NAME, encoder_weights(), last_layer="new")


@pytest.mark.parametrize("suffix", [".ckpt", ".pt"])
def test_as_pytorch_saves_it(tmp_path, capsys, suffix):
    torch = pytest.importorskip("torch", reason="these files are PyTorch's own")

    def tensors(tree):
        if isinstance(tree, dict):
            return {key: tensors(value) for key, value in tree.items()}
        return torch.from_numpy(np.array(tree)) if isinstance(tree, np.ndarray) else tree

    saved = saved_by_lightning() if suffix == ".ckpt" else saved_plainly()
    torch.save(tensors(saved), tmp_path / f"clmr{suffix}")
    words = (tmp_path / f"clmr{suffix}", "--model", NAME, "--labels", "mtat")
    assert convert(*words, "--out", tmp_path / "run") == 0
    assert ("optimizer_states" in capsys.readouterr().out) == (suffix == ".ckpt")
    found, expected = mclf.load(tmp_path / "run").variables, variables()
    del found["params"]["fc"], expected["params"]["fc"]
    jax.tree.map(np.testing.assert_array_equal, found, expected)
