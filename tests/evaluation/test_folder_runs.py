"""Runs on a folder with a few of its labels: what is known of its songs, wherever they are now."""

import csv
import shutil

import numpy as np
import pytest
import soundfile

from mclf_jax.config import load, override
from mclf_jax.evaluation.evaluate import evaluate, evaluate_once
from mclf_jax.probe import probe
from mclf_jax.report.run import report_run
from mclf_jax.run.directory import read_config, read_meta
from mclf_jax.train import train
from tests.recipes import ROOT

pytestmark = pytest.mark.slow


def write_songs(root, *, num_samples):
    """Eighteen noises at 8 kHz."""
    root.mkdir()
    rng = np.random.default_rng(0)
    rows = [{"path": f"{i}.wav", "label": ("low", "high")[i % 2]} for i in range(18)]
    for row in rows:
        soundfile.write(root / row["path"], rng.uniform(-1, 1, num_samples), 8000)
    with (root / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with songs, and a run with two labelled ones of each label, in the first fold."""
    root = tmp_path_factory.mktemp("trained")
    songs = write_songs(root / "songs", num_samples=4000)
    recipe = f"{ROOT}/configs/semi_supervised.py:path={songs},window_s=.3,songs_per_label=2,steps=2"
    changes = {"model.args.n_channels": 4, "model.args.num_blocks": 2, "train.batch_size": 8}
    train(override(load(recipe), changes | {"data.num_folds": 3}), workdir=root / "run")
    return root


@pytest.fixture
def run(trained, tmp_path):
    """A run of its own for each test; the songs are where they were."""
    return shutil.copytree(trained / "run", tmp_path / "run")


def folds_of(run, songs):
    data = {"source": "folder", "arguments": {"path": str(songs)}}
    return probe(run, **data, num_folds=3, kinds=("knn",), baselines=())


def test_probes_know_songs_of_another_fold_and_place(run, trained, tmp_path):
    songs = trained / "songs"
    with pytest.raises(ValueError, match="with the labels of 4 songs that it would be tested on"):
        folds_of(run, songs)
    others = write_songs(tmp_path / "others", num_samples=4800)
    assert folds_of(run, others).notes == ()

    moved = songs.rename(tmp_path / "moved")
    try:
        with pytest.raises(ValueError, match="labels of 4 songs that it would be tested on"):
            folds_of(run, moved)
        assert folds_of(run, others).notes == ()
        with pytest.raises(ValueError, match="no such folder"):
            report_run(run)
        config = override(read_config(run), {"data.args.path": str(moved)})
        assert report_run(run, config=config).is_file()
    finally:
        moved.rename(songs)
    with pytest.raises(ValueError, match="train.batch_size: a run is evaluated as it was trained"):
        report_run(run, config=override(config, {"train.batch_size": 16}))


def test_a_report_is_of_what_was_asked(run):
    own = evaluate_once(run)
    assert evaluate_once(run).meta == own.meta
    saved = run / "report" / "test.json"
    unchanged = saved.stat().st_mtime_ns
    evaluate_once(run)
    assert saved.stat().st_mtime_ns == unchanged
    # Other songs, and other windows, are no reports of the run as it is.
    others = override(read_config(run), {"data.fold": 1})
    evaluate(run, config=others, data_change="allow").save(run / "report")
    assert evaluate_once(run).items == own.items
    more = override(read_config(run), {"eval.num_windows": 3})
    assert evaluate_once(run, config=more).num_windows == 3 * len(own.items)
    with pytest.raises(ValueError, match="eval.hop_s is -1.0; it must be positive"):
        evaluate(run, config=override(more, {"eval.hop_s": -1.0}))
    with more.unlocked():
        more.eval.num_windows = 0
    with pytest.raises(ValueError, match="eval.num_windows is 0; it must be a whole number"):
        report_run(run, config=more)


def test_hidden_labels_can_be_compared_with(run, trained):
    splits = read_meta(run)["data"]["splits"]
    hidden = evaluate(run, split="hidden")
    assert len(hidden.items) == 2 == splits["unlabelled"]
    used = evaluate(run, split="train").items
    assert len(used) == 4 and not set(hidden.items) & set(used)
    for item, target in zip(hidden.items, hidden.targets, strict=True):
        assert hidden.labels[target] == ("low", "high")[int(item.removesuffix(".wav")) % 2]
    config = override(read_config(run), {"data.songs_per_label": 0})
    with pytest.raises(ValueError, match="no labels are hidden"):
        evaluate(run, split="hidden", config=config, data_change="allow")
