"""Probes on the folder that a run learnt from: its songs are recognised, wherever they are."""

import csv

import numpy as np
import pytest
import soundfile

from mclf_jax import rundir
from mclf_jax.config import load, override
from mclf_jax.probe import probe
from mclf_jax.report.run import report_run
from mclf_jax.train import train
from tests.recipes import ROOT

pytestmark = pytest.mark.usefixtures("quick_compiles")


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


def folds_of(run, songs):
    data = {"source": "folder", "arguments": {"path": str(songs)}}
    return probe(run, **data, num_folds=3, kinds=("knn",), baselines=())


@pytest.mark.slow
def test_songs_of_another_fold_and_place_are_recognised(tmp_path):
    songs, run = write_songs(tmp_path / "songs", num_samples=4000), tmp_path / "run"
    recipe = f"{ROOT}/configs/semi_supervised.py:path={songs},window_s=.3,songs_per_label=2,steps=2"
    changes = {"model.args.n_channels": 4, "model.args.num_blocks": 2, "train.batch_size": 8}
    train(override(load(recipe), changes | {"data.num_folds": 3}), workdir=run)

    with pytest.raises(ValueError, match="with the labels of 4 songs that it would be tested on"):
        folds_of(run, songs)
    others = write_songs(tmp_path / "others", num_samples=4800)
    assert folds_of(run, others).notes == ()

    moved = songs.rename(tmp_path / "moved")
    with pytest.raises(ValueError, match="with the labels of 4 songs that it would be tested on"):
        folds_of(run, moved)
    assert folds_of(run, others).notes == ()
    with pytest.raises(ValueError, match="no such folder"):
        report_run(run)
    config = override(rundir.read_config(run), {"data.args.path": str(moved)})
    assert report_run(run, config=config).is_file()
    with pytest.raises(ValueError, match="train.batch_size: a run is evaluated as it was trained"):
        report_run(run, config=override(config, {"train.batch_size": 16}))
