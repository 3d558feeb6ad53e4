"""`mclf convert` both ways: weights become a tagger, and a run becomes weights for PyTorch."""

import json
import shlex
import subprocess
import sys

import jax
import numpy as np
import pytest
import soundfile

import mclf_jax as mclf
from mclf_jax.cli import main as cli
from mclf_jax.convert.from_torch import from_torch
from mclf_jax.convert.weights import read_weights, write_weights
from mclf_jax.run import restore
from mclf_jax.run.directory import read_config, read_meta, read_model
from mclf_jax.train import train
from tests import ROOT
from tests.convert.networks import is_learnt, small_model, small_weights
from tests.tiny import tiny_config

RATE_HZ = 16000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """weights.npz of a small MusiCNN, labels.txt for it, song.wav, and "run", made of these."""
    folder = tmp_path_factory.mktemp("weights")
    weights = {f"network.{key}": array for key, array in small_weights("musicnn").items()}
    write_weights(folder / "weights.npz", weights)
    (folder / "labels.txt").write_text("calm\n happy \n\nsad\n")
    rng = np.random.default_rng(0)
    soundfile.write(folder / "song.wav", 0.1 * rng.standard_normal(5 * RATE_HZ), RATE_HZ)
    assert convert(folder / "weights.npz", "musicnn", folder / "labels.txt", folder / "run") == 0
    return folder


def convert(weights, model, labels, out, *more):
    words = ["convert", weights, "--model", model, "--labels", labels, "--out", out, *more]
    return cli.main([str(word) for word in words])


@pytest.mark.slow
def test_as_a_user_types_it(folder, tmp_path):
    def mclf(*words):
        command = [sys.executable, "-m", "mclf_jax.cli.main", *map(str, words)]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert result.returncode == 0, result.stderr
        return result.stdout.splitlines()

    out = tmp_path / "run"
    words = ("--model", "musicnn", "--labels", folder / "labels.txt", "--out", out)
    made, advice = mclf("convert", folder / "weights.npz", *words, "--config.eval.num_windows=2")
    num_parameters = sum(array.size for array in trainable(small_weights("musicnn")).values())
    assert made == (
        f"musicnn on windows of 3 s, {num_parameters:,} parameters, 3 labels "
        f"({folder / 'labels.txt'}): {out}"
    )
    assert advice == f"next: mclf predict {out} SONG.mp3"
    lines = mclf("predict", out, folder / "song.wav", "--top", 3)
    assert {line.split()[-1] for line in lines[1:]} == {"calm", "happy", "sad"}
    mclf("embed", out, folder / "song.wav", "--out", tmp_path / "embeddings.npz")
    with np.load(tmp_path / "embeddings.npz") as saved:
        assert saved["embeddings"].shape == (1, 6)


@pytest.mark.slow
def test_the_run_is_a_tagger_with_these_weights(folder):
    tagger = mclf.load(folder / "run")
    assert tagger.labels == ("calm", "happy", "sad") and tagger.task == "multi_label"
    audio, _ = soundfile.read(folder / "song.wav", dtype="float32")
    window = audio[: 3 * RATE_HZ]
    variables = from_torch("musicnn", small_weights("musicnn"))
    logits = jax.jit(small_model("musicnn").apply)(variables, window[None])["logits"]
    scores = tagger.predict(window, sample_rate_hz=RATE_HZ)
    np.testing.assert_allclose(list(scores.values()), jax.nn.sigmoid(logits)[0], atol=1e-5)
    assert tagger.taggram(folder / "song.wav")["scores"].shape[1] == 3

    meta = read_meta(folder / "run")
    assert meta["data"]["name"] == "none" and meta["data"]["version"] == "weights.npz"
    assert len(meta["data"]["fingerprint"]) == 64 and meta["data"]["licence"] == "unknown"
    assert meta["features"]["n_mels"] == 96 and "jax" in meta["packages"]
    config = read_config(folder / "run")
    assert config.model.args.to_dict() == {
        "n_channels": 3,
        "backend_channels": 5,
        "dense_units": 6,
        "dropout_rate": 0.5,
        "heights": [],  # the usual ones
    }
    assert (folder / "run" / "skipped.csv").read_text().splitlines() == ["path,reason"]


def test_the_same_file_gives_the_same_run(folder, tmp_path):
    labels = folder / "labels.txt"
    convert(folder / "weights.npz", "musicnn", labels, tmp_path / "run", "--licence", "MIT")
    first, second = (read_meta(run) for run in (folder / "run", tmp_path / "run"))
    assert second["data"].pop("licence") == "MIT" and first["data"].pop("licence") == "unknown"
    assert first == second


def test_overrides_are_typed_and_checked(folder, tmp_path, capsys):
    write_weights(tmp_path / "fcn.npz", small_weights("fcn"))
    words = (tmp_path / "fcn.npz", "fcn", folder / "labels.txt", tmp_path / "run")
    overrides = ("--config.features.n_mels=128", "--config.eval.hop_s=10", "--task", "regression")
    assert convert(*words, *overrides) == 0
    run = tmp_path / "run"
    assert read_model(run).features.n_mels == 128
    assert read_config(run).eval.hop_s == 10.0
    assert mclf.load(run).task == "regression"
    for override, message in (
        ("--config.model.args.n_chanels=3", "fcn takes dropout_rate, n_channels, pools"),
        ("--config.model.args.n_channels=many", "n_channels"),
        ("--config.model.args.n_channels=8", r"layer1.conv.weight: got (4, 1, 3, 3), need (8,"),
        ("--config.optim.learning_rate=1", "would change nothing about weights"),
        ("--config.features.on=device", "would change nothing about weights"),
        ("--config.model.name=crnn", "would change nothing about weights"),
        ("--config.data.short=cut", "data.short is 'cut'; allowed: tile, pad"),
    ):
        assert convert(*words[:3], tmp_path / "other", override) == 1
        assert message in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_a_plan_of_strides_for_another_rate(tmp_path, capsys):
    plan = {
        "strides": (3, 3, 3, 2, 2, 4, 4, 2, 2),
        "features": {"sample_rate_hz": 8000},
        "window_s": 2.592,
    }
    write_weights(tmp_path / "clmr.npz", small_weights("clmr_sample_cnn", **plan))
    (tmp_path / "labels.txt").write_text("a\nb\nc\n")
    words = (tmp_path / "clmr.npz", "clmr_sample_cnn", tmp_path / "labels.txt", tmp_path / "run")
    assert convert(*words) == 1
    assert "fc.weight: got (3, 16), need (3, 48)" in capsys.readouterr().err
    overrides = ("--config.features.sample_rate_hz=8000", "--config.model.window_s=2.592")
    assert convert(*words, *overrides) == 0
    tagger = mclf.load(tmp_path / "run")
    assert tagger.model == small_model("clmr_sample_cnn", **plan)
    assert len(tagger.predict(np.zeros(30_000, np.float32), sample_rate_hz=8000)) == 3


def test_errors_are_one_message_and_leave_nothing_behind(folder, tmp_path, capsys, monkeypatch):
    weights, labels, out = folder / "weights.npz", folder / "labels.txt", tmp_path / "run"

    def error(*words):
        assert cli.main([str(word) for word in ("convert", *words)]) == 1
        assert not out.exists()
        return capsys.readouterr().err

    given = ("--model", "musicnn", "--out", out)
    assert "musicnn" in error(weights, "--model", "musicn", "--labels", labels, "--out", out)
    assert "3 outputs (dense2) and 50 labels" in error(weights, *given, "--labels", "mtat")
    assert "are neither a list (mtat, " in error(weights, *given, "--labels", "mtatt")
    assert "--model and --labels are needed" in error(weights, "--labels", labels, "--out", out)
    assert "has a last layer (dense2): give its labels (--labels)" in error(weights, *given)
    assert "no such file" in error(tmp_path / "absent.npz", *given, "--labels", labels)
    assert "take --to torch" in error(folder / "run", *given, "--labels", labels)
    assert "not --model, --config.a=1" in error(weights, *given, "--to", "torch", "--config.a=1")
    not_a_run = error(weights, "--to", "torch", "--out", tmp_path / "x.npz")
    assert "is not a run directory" in not_a_run
    assert "got '.onnx'" in error(folder / "run", "--to", "torch", "--out", tmp_path / "x.onnx")
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "x.pth").write_bytes(b"\x80")
    install = "pip install 'mclf-jax[torch]'"
    assert install in error(tmp_path / "x.pth", *given, "--labels", labels)
    (tmp_path / "x.pth").unlink()
    assert install in error(folder / "run", "--to", "torch", "--out", tmp_path / "x.pth")
    (tmp_path / "twice.txt").write_text("a\nb\na\n")
    (tmp_path / "empty.txt").write_text("\n")
    assert "labels twice: a" in error(weights, *given, "--labels", tmp_path / "twice.txt")
    assert "has no labels" in error(weights, *given, "--labels", tmp_path / "empty.txt")
    assert convert(weights, "musicnn", labels, folder / "run") == 1
    assert "holds a run already; take another --out" in capsys.readouterr().err
    assert not list(tmp_path.glob("x*"))


def test_what_needs_a_data_set_says_why_there_is_none(folder, tmp_path, capsys):
    run = str(folder / "run")
    for words in (["evaluate", run], ["report", run]):
        assert cli.main(words) == 1
        message = capsys.readouterr().err
        assert "made from weights by `mclf convert` and has no data set" in message
    with pytest.raises(ValueError, match="made from weights by `mclf convert`; take another"):
        train(tiny_config(), workdir=run)
    assert len(mclf.load(run).labels) == 3


def test_a_conversion_that_was_killed_is_done_again(folder, tmp_path, monkeypatch):
    labels, out = folder / "labels.txt", tmp_path / "run"

    def killed(*args, **settings):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("mclf_jax.convert.run.write_run", killed)
        convert(folder / "weights.npz", "musicnn", labels, out)
    with pytest.raises(FileNotFoundError, match="is not a run directory"):
        mclf.load(out)
    assert convert(folder / "weights.npz", "musicnn", labels, out) == 0
    assert restore.best_step(out / "checkpoints") == 0
    mclf.load(out)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pth"])
@pytest.mark.slow_beyond(1)
def test_out_and_in_again(folder, tmp_path, capsys, suffix):
    if suffix == ".pth":
        pytest.importorskip("torch")
    file = tmp_path / f"musicnn{suffix}"
    words = ["convert", folder / "run", "--to", "torch", "--out", file]
    assert cli.main([str(word) for word in words]) == 0
    arrays = read_weights(file)
    expected = small_weights("musicnn")
    assert {key for key in arrays if is_learnt(key)} == expected.keys()
    for key, array in expected.items():
        np.testing.assert_array_equal(arrays[key], array.astype(np.float32))
    assert arrays["spec.mel_scale.fb"].shape == (257, 96)
    out = capsys.readouterr().out
    assert "labels, in the order of the outputs: " in out
    assert (tmp_path / "musicnn.labels.txt").read_text() == "calm\nhappy\nsad\n"


@pytest.mark.slow
def test_the_printed_command_makes_the_same_tagger_again(tmp_path, capsys):
    """Of a run that was trained here, with features, sizes and windows of its own."""
    changes = {"train__num_steps": 2, "eval__every_steps": 2, "model__args__dropout_rate": 0.25}
    train(tiny_config(**changes), workdir=tmp_path / "trained")
    words = ["convert", tmp_path / "trained", "--to", "torch", "--out", tmp_path / "it.npz"]
    assert cli.main([str(word) for word in words]) == 0
    command = shlex.split(capsys.readouterr().out.splitlines()[-1].removeprefix("back again: "))
    assert command.pop(0) == "mclf"
    command[command.index("RUN")] = str(tmp_path / "again")
    assert cli.main(command) == 0
    audio = np.random.default_rng(0).standard_normal(3000).astype(np.float32)
    trained, again = (mclf.load(tmp_path / name) for name in ("trained", "again"))
    assert again.predict(audio, sample_rate_hz=1000) == trained.predict(audio, sample_rate_hz=1000)
    assert again.model == trained.model and again.task == trained.task == "single_label"
    meta = json.loads((tmp_path / "again" / "meta.json").read_text())
    assert meta["data"]["notes"] == [
        "weights of it.npz, its sha256 as fingerprint; labels: the file it.labels.txt"
    ]


def trainable(weights):
    return {key: array for key, array in weights.items() if "running_" not in key}
