"""Scores of songs that are changed."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
from ml_collections import ConfigDict

import mclf_jax
from mclf_jax import data
from mclf_jax.augment import Mp3, TimeStretch
from mclf_jax.cli import main as cli
from mclf_jax.config import to_json
from mclf_jax.data.base.source import Source
from mclf_jax.report.comparison import robustness
from mclf_jax.run.directory import describe_data, read_config, read_meta
from tests.small_run import write_run
from tests.songs import Songs

data.SOURCES["songs"] = "tests.tiny"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that knows the songs of `tests.songs` by nobody's training."""
    path = tmp_path_factory.mktemp("runs") / "small"
    songs = Songs(24)
    heard = np.stack([songs[i]["audio"][:500] for i in range(8)])
    write_run(path, heard, labels=songs.info.labels)
    config = read_config(path)
    config.data.name, config.data.args = "songs", ConfigDict({"count": 24})
    config.features.update({"sample_rate_hz": 1000, "n_fft": 64, "hop_length": 32, "n_mels": 8})
    config.model.window_s = 0.5
    config.eval.batch_size = 8
    (path / "config.json").write_text(to_json(config))
    meta = read_meta(path) | {"data": describe_data(songs.info)}
    (path / "meta.json").write_text(json.dumps(meta))
    return path


def test_the_command_writes_a_picture_and_tables(run, tmp_path, capsys, monkeypatch):
    reads = []
    read = Songs.read
    monkeypatch.setattr(Songs, "read", lambda *a, **k: reads.append(1) or read(*a, **k))
    out = tmp_path / "out"
    words = ["robustness", str(run), "--effects", "noise", "gain", "time_stretch", "mp3"]
    assert cli.main([*words, "--split", "train", "--songs", "8", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "noise 40 dB SNR" in said and said.splitlines()[-1] == str(out / "robustness.png")
    assert len(reads) == 8 * 2  # each window once, for all effects
    rows = json.loads((out / "robustness.json").read_text())["rows"]
    by = {(row["effect"], row["strength"]): row for row in rows}
    assert len(by) == 6 + 6 + 5 + 1  # MP3 has no rate of 1 kHz
    clean = by["noise", None]
    assert clean["songs"] == 8 and clean["change"] == 0
    assert by["mp3", None]["value"] == clean["value"]
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)
    with (out / "robustness.csv").open() as file:
        assert [row["run"] for row in csv.DictReader(file)] == ["small"] * len(rows)
    assert (out / "robustness.png").read_bytes().startswith(b"\x89PNG")


def test_songs_as_they_are_have_the_scores_of_an_evaluation(run):
    report = mclf_jax.evaluate(run, split="valid")
    how = {"split": "valid", "effects": ("noise",)}
    found = mclf_jax.measure_robustness([run], **how)
    assert found.rows[0]["value"] == pytest.approx(report.metrics["accuracy"])
    assert found.rows == mclf_jax.measure_robustness([run], **how).rows


def test_windows_become_songs_as_in_evaluation(run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(run, other)
    config = read_config(other)
    config.eval.aggregation = "max"
    (other / "config.json").write_text(to_json(config))
    how = {"split": "train", "effects": ("noise",), "metric": "log_loss"}
    (mean, *_), (found, *_) = (
        mclf_jax.measure_robustness([one], **how).rows for one in (run, other)
    )
    wanted = mclf_jax.evaluate(other, split="train").metrics["log_loss"]
    assert found["value"] == pytest.approx(wanted, rel=1e-6) != mean["value"]


def test_labels_in_a_tree_are_scored_along_it(run, tmp_path, monkeypatch):
    info_of = Songs.__post_init__

    def tags(songs):
        info_of(songs)
        songs.info = dataclasses.replace(songs.info, task="multi_label", parents={"high": "low"})

    monkeypatch.setattr(Songs, "__post_init__", tags)
    of_song = property(lambda self: np.float32([[i % 2, i % 4 == 3] for i in range(self.count)]))
    monkeypatch.setattr(Songs, "labels", of_song)
    tree = shutil.copytree(run, tmp_path / "tree")
    config = read_config(tree)
    config.objective.args = ConfigDict({"hierarchy": "conditional"})
    (tree / "config.json").write_text(to_json(config))
    meta = read_meta(tree) | {"task": "multi_label", "data": describe_data(Songs(24).info)}
    (tree / "meta.json").write_text(json.dumps(meta))
    how = {"split": "train", "effects": ("gain",), "metric": "roc_auc_micro"}
    found = mclf_jax.measure_robustness([tree], **how).rows
    (clean,) = [row["value"] for row in found if row["strength"] is None]
    wanted = mclf_jax.evaluate(tree, split="train").metrics["roc_auc_micro"]
    assert clean == pytest.approx(wanted, abs=1e-9)


def test_strengths_follow_the_rate():
    at = {rate: robustness._changes(tuple(robustness.EFFECTS), rate) for rate in (16000, 48000)}
    kbps = {rate: [s for e, s in found if e == "mp3"] for rate, found in at.items()}
    assert kbps == {16000: [None, 128, 64, 48, 32, 16, 8], 48000: [None, 128, 64, 48, 32]}
    rates = [s for e, s in at[16000] if e == "sample_rate"]
    assert rates == [None, 11025, 8000, 4000]
    assert isinstance(at[16000]["mp3", 64], Mp3)
    assert isinstance(at[16000]["time_stretch", 1.3], TimeStretch)
    assert issubclass(Songs, Source)


def test_what_cannot_be_measured_is_refused(run, capsys):
    assert cli.main(["robustness", str(run), "--effects", "echo"]) == 1
    assert "effects is 'echo'; allowed: gain, noise" in capsys.readouterr().err
    assert cli.main(["robustness", str(run), "--songs", "0"]) == 1
    assert "num_songs is 0; it must be a whole number, at least 1" in capsys.readouterr().err
    with pytest.raises(ValueError, match="metric of single_label is 'r2'"):
        mclf_jax.measure_robustness([run], metric="r2")
