"""A tokenizer and what tells its codes, as the commands of docs/without_labels.md make them."""

import jax
import numpy as np
import pytest
import soundfile

import mclf_jax as mclf
from mclf_jax import config as config_lib
from mclf_jax.common import parallel
from mclf_jax.run.weights import load_variables, open_run
from tests import ROOT

RECIPE = ROOT / "configs" / "small_pretraining.py"
TINY = {
    "features.sample_rate_hz": 2000,
    "features.n_fft": 128,
    "features.hop_length": 20,
    "features.n_mels": 16,
    "model.window_s": 1.0,
    "train.batch_size": 4,
    "runtime.num_devices": 1,
    "eval.num_windows": 1,
}
ENCODER = {"conv_channels": 2, "attention_dim": 8, "num_heads": 2, "kernel_size": 3}
ENCODER |= {"num_layers": 1}


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    root = tmp_path_factory.mktemp("songs")
    for i in range(12):
        folder = root / ("low", "high")[i % 2]
        folder.mkdir(exist_ok=True)
        noise = np.random.default_rng(i).uniform(-1, 1, 4000)
        soundfile.write(folder / f"{i}.wav", noise, 2000)
    return root


def train(songs, workdir, method, *, teacher="", **changes):
    given = f"{RECIPE}:method={method},path={songs},steps=2,teacher={teacher}"
    config = config_lib.override(config_lib.load(given), TINY | changes)
    mclf.train(config, workdir=workdir)
    return workdir


def variables_of(run):
    model = open_run(run).model
    return model, jax.device_get(load_variables(run, model, parallel.make_mesh())["variables"])


@pytest.mark.slow
def test_muq_and_its_iteration(songs, tmp_path):
    books = {"model.args.num_stages": 2, "model.args.num_codes": 4}
    sizes = {f"model.args.{name}": value for name, value in ENCODER.items()}
    first = train(songs, tmp_path / "rvq", "rvq", **books)
    muq = train(songs, tmp_path / "muq", "muq", teacher=first, **sizes)
    within = {f"model.args.encoder.{k}": v for k, v in ENCODER.items()}
    second = train(songs, tmp_path / "rvq_2", "rvq", teacher=muq, **books, **within)
    model, variables = variables_of(second)
    _, earlier = variables_of(muq)
    for part in ("conv.conv.0", "conformer.layers.0"):  # it stays what it was
        jax.tree.map(
            np.testing.assert_array_equal,
            variables["params"]["encoder"][part],
            earlier["params"][part],
        )
    assert model.module.encoder["num_layers"] == 1
    assert "accuracy_stage_2" in (muq / "metrics.jsonl").read_text()
