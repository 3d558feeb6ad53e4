"""Published checkpoints become taggers that say what their PyTorch originals say."""

import json

import jax
import numpy as np
import pytest
import soundfile

import mclf_jax as mclf
from mclf_jax import models
from mclf_jax.cli import main as cli
from mclf_jax.convert.from_torch import from_torch
from mclf_jax.convert.to_torch import to_torch
from mclf_jax.data.catalogue.label_lists import LABEL_LISTS
from tests import SHARED
from tests.models.reference import waveform

GUITAR = SHARED / "audio" / "acoustic_guitar_0.wav"
# What the originals say of the guitar, tiled to the length of the input or cut to it.
TOP_SCORES = {"fcn": 0.515, "crnn": 0.461, "musicnn": 0.945}

pytestmark = pytest.mark.skipif(
    not (SHARED / "weights").is_dir(), reason=f"no published checkpoints in {SHARED / 'weights'}"
)


def published(name, what=".npz"):
    path = SHARED / "weights" / f"{name}_mtat{what}"
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", TOP_SCORES)
def test_logits_are_those_of_the_original(name):
    model = models.build(name, num_labels=50)
    variables = from_torch(name, published(name), num_labels=50)
    expected, length = published(name, "_expected.npz"), model.window_samples
    guitar, rate_hz = soundfile.read(GUITAR, dtype="float32")
    assert rate_hz == model.features.sample_rate_hz
    inputs = {
        "guitar": np.tile(guitar, 4)[:length],
        "synthetic": waveform(num_samples=length, batch=1, sample_rate_hz=rate_hz)[0],
    }
    apply = jax.jit(model.apply)
    for source, audio in inputs.items():
        logits = np.asarray(apply(variables, audio[None])["logits"])
        assert logits.dtype == np.float32
        np.testing.assert_allclose(
            logits.ravel(), expected[f"{source}_logits"].ravel(), atol=1e-3, rtol=0
        )
        if source == "guitar":
            assert 1 / (1 + np.exp(-logits[0, 0])) == pytest.approx(TOP_SCORES[name], abs=6e-4)


@pytest.mark.parametrize("name", TOP_SCORES)
@pytest.mark.slow_beyond(1)
def test_they_come_out_under_the_same_keys(name):
    arrays = published(name)
    out = to_torch(models.build(name, num_labels=50), from_torch(name, arrays))
    assert out.keys() == arrays.keys()
    for key, array in arrays.items():
        assert out[key].dtype == array.dtype and out[key].shape == array.shape, key
        if not key.endswith("num_batches_tracked"):
            tolerance = 2e-5 if key.startswith("spec.") else 0
            np.testing.assert_allclose(out[key], array, atol=tolerance, rtol=0, err_msg=key)


@pytest.mark.parametrize("name", TOP_SCORES)
@pytest.mark.slow_beyond(1)
def test_files_of_pytorch_hold_the_same(name):
    pytest.importorskip("torch")
    from mclf_jax.convert.weights import read_weights

    arrays = read_weights(SHARED / "weights" / f"{name}_mtat.pth")
    assert arrays.keys() == published(name).keys()
    for key, array in published(name).items():
        np.testing.assert_array_equal(arrays[key], array)


def test_order_of_their_labels():
    labels = json.loads((SHARED / "weights" / "mtat_labels.json").read_text())
    assert tuple(labels) == LABEL_LISTS["mtat"].labels


@pytest.mark.parametrize("name", TOP_SCORES)
@pytest.mark.slow_beyond(1)
def test_a_tagger_that_says_guitar(name, tmp_path, capsys):
    weights, run = SHARED / "weights" / f"{name}_mtat.npz", tmp_path / "run"
    words = ["convert", weights, "--model", name, "--labels", "mtat", "--out", run]
    assert cli.main([str(word) for word in words]) == 0
    num_parameters = {"fcn": 447_732, "crnn": 394_100, "musicnn": 784_300}[name]
    assert f"{num_parameters:,} parameters, 50 labels (mtat): {run}" in capsys.readouterr().out
    assert cli.main(["predict", str(run), str(GUITAR), "--top", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("guitar")
    scores = mclf.load(run).predict(GUITAR)
    # Shorter than the windows of fcn and crnn, it is tiled, as the originals' input was.
    tolerance = 0.01 if name == "musicnn" else 6e-4
    assert scores["guitar"] == pytest.approx(TOP_SCORES[name], abs=tolerance)


def test_the_wrong_list_is_refused(tmp_path, capsys):
    weights = SHARED / "weights" / "fcn_mtat.npz"
    words = ["convert", weights, "--model", "fcn", "--labels", "gtzan", "--out", tmp_path / "run"]
    assert cli.main([str(word) for word in words]) == 1
    assert "50 outputs (dense) and 10 labels" in capsys.readouterr().err


def test_mel_bands_that_the_checkpoint_was_not_trained_with_are_refused(tmp_path, capsys):
    weights = SHARED / "weights" / "fcn_mtat.npz"
    words = ["convert", weights, "--model", "fcn", "--labels", "mtat", "--out", tmp_path / "run"]
    assert cli.main([*map(str, words), "--config.features.n_mels=128"]) == 1
    assert "features.n_mels=96 and features.n_fft=512" in capsys.readouterr().err
