"""The programs of `examples/` run as they are, on small songs with small networks."""

import csv
import importlib.util
import math

import numpy as np
import pytest
import soundfile

from tests import ROOT

SMALL = {
    "features.sample_rate_hz": 8000,
    "features.f_max_hz": 4000.0,
    "features.n_mels": 16,
    "features.n_fft": 512,
    "train.batch_size": 8,
    "eval.batch_size": 8,
    "eval.num_windows": 1,
}
SMALL_CNN = SMALL | {"model.args.n_channels": 4, "model.args.num_blocks": 3}
SHORT = {"window_s": 1.0, "steps": 5}


def program(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples") / "songs"
    noise = np.random.default_rng(0)
    for label, hz in (("low", 200), ("high", 2000)):
        (folder / label).mkdir(parents=True)
        for k in range(12):
            song = 0.3 * np.sin(2 * np.pi * (hz + 20 * k) * np.arange(9600) / 8000)
            song += 0.01 * noise.standard_normal(len(song))
            soundfile.write(folder / label / f"{k}.wav", song, 8000)
    return str(folder)


def test_all_are_tested():
    names = {path.stem for path in (ROOT / "examples").glob("*.py")}
    assert names == {"tag_folder", "pretrain_and_probe", "own_parts", "jax_loop"}


@pytest.mark.slow
def test_a_tagger_for_a_folder(songs, tmp_path, capsys):
    others = tmp_path / "others"
    others.mkdir()
    (others / "notes.txt").write_text("no song")
    for label in ("low", "high"):
        (others / f"{label}.wav").symlink_to(f"{songs}/{label}/0.wav")
    tag = program("tag_folder").tag_folder
    few = {"train.batch_size": 8, "eval.batch_size": 8, "eval.num_windows": 1}
    table = tag(songs, str(others), run=str(tmp_path / "run"), steps=5, overrides=few)
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [f"{others}/high.wav", f"{others}/low.wav"]
    assert all(row["likeliest"] in ("low", "high") for row in rows)
    assert all(abs(float(row["low"]) + float(row["high"]) - 1) < 1e-3 for row in rows)
    assert "skipped" in capsys.readouterr().out


@pytest.mark.slow
def test_pretraining_then_probing(songs, tmp_path):
    run = program("pretrain_and_probe").pretrain_and_probe
    found = run(songs, run=str(tmp_path / "run"), folds=0, overrides=SMALL_CNN, **SHORT)
    rows = found.summary("accuracy")
    assert {(row["encoder"], row["kind"]) for row in rows} == {
        ("trained", "linear"),
        ("trained", "svm"),
        ("untrained", "linear"),
        ("untrained", "svm"),
        ("mfcc", "svm"),
    }


def test_a_network_and_an_objective_of_ones_own(songs, tmp_path):
    own = program("own_parts")
    small = SMALL | {"model.args.width": 4, "augment.num_freq_masks": 0}
    report = own.train_own_parts(songs, run=str(tmp_path / "run"), overrides=small, **SHORT)
    assert 0 <= report.metrics["accuracy"] <= 1


@pytest.mark.slow
def test_a_loop_of_ones_own(songs):
    train = program("jax_loop").train_in_a_loop
    losses = train(songs, steps=3, batch_size=4, window_s=1.0, n_channels=4)
    assert len(losses) == len(set(losses)) == 3 and all(map(math.isfinite, losses))
