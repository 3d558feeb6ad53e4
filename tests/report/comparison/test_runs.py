"""Run directories that are compared: seeds, names, settings, and what is written."""

import csv
import dataclasses
import json

import numpy as np
import pytest

import mclf_jax
from mclf_jax import config as config_lib
from mclf_jax.cli import main as cli
from mclf_jax.figures.spectrogram import plot_spectrogram
from mclf_jax.metrics import keys
from mclf_jax.report.comparison import runs as comparison
from mclf_jax.report.comparison import write
from mclf_jax.report.comparison.compute import compare_reports
from tests.report.comparison.test_compute import other
from tests.report.parsed import HOSTILE, Page
from tests.reports import report_of


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """cnn-seed0, cnn-seed1 and wide, whose songs can be neither seen nor heard."""
    good = report_of("single_label", num_labels=3)
    good.scores[0] = np.eye(3)[good.targets[0]]  # the song of the hostile name
    reports = {
        "cnn-seed0": other(good, noise=1.0, name="cnn-seed0"),
        "cnn-seed1": other(good, noise=1.0, seed=2, name="cnn-seed1"),
        "wide": dataclasses.replace(good, run_name="wide"),
    }
    for name in ("cnn-seed0", "cnn-seed1"):
        reports[name].scores[0] = np.roll(good.scores[0], 1)
    for name in reports:
        run = tmp_path / name
        run.mkdir()
        config = config_lib.base()
        config.data.name, config.seed = "none", int(name == "cnn-seed1")
        config.train.batch_size = 64 if name == "wide" else 16
        (run / "config.json").write_text(config_lib.to_json(config))
        meta = {"task": "single_label", "labels": good.labels, "features": {}}
        meta |= {"model": {"name": "none", "window_samples": 1}}
        meta |= {"data": {"name": "none", "fingerprint": "none", "splits": {}}}
        (run / "meta.json").write_text(json.dumps(meta))
        lines = [{"kind": "valid", "step": s, "loss": 3 / s, "accuracy": 0.5} for s in (2, 4)]
        (run / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))

    def evaluate_once(run, *, split, config):
        assert split == "test"
        return reports[run.name]

    def hearing(config):
        picture = plot_spectrogram(np.zeros((20, 8)), duration_s=1)
        return {"picture_of": lambda item: picture, "sound_of": lambda item: "c291bmQ="}

    monkeypatch.setattr(comparison, "evaluate_once", evaluate_once)
    monkeypatch.setattr(comparison, "_hearing", hearing)
    monkeypatch.setattr(write, "NUM_HEARD", 2)
    return [str(tmp_path / name) for name in reports]


def test_the_command_writes_a_page_and_tables(runs, tmp_path, capsys):
    out = tmp_path / "new" / "out"
    assert cli.main(["compare", *runs, "--ensemble", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "cnn (2 seeds)" in said and "p is corrected for 3 comparisons" in said
    assert said.splitlines()[-1] == str(out / "index.html")
    page = Page((out / "index.html").read_text(encoding="utf-8"))
    for words in ("Comparison", "Learning curves", "train.batch_size", HOSTILE, "True: label"):
        assert words in page.text
    assert page.counts["audio"] == 2 and page.counts["svg"] == 2 + 3
    found = json.loads((out / "compare.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in found["table"]] == ["cnn (2 seeds)", "wide", "average of all"]
    assert found["table"][0]["runs"] == "cnn-seed0, cnn-seed1"
    (setting,) = found["settings"]
    assert setting == {"field": "train.batch_size", "cnn (2 seeds)": "16", "wide": "64"}
    with (out / "disagreements.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60 and {"song", "truth", "wide: score", "wide: predicted"} <= set(rows[0])
    for name in ("table.csv", "pairs.csv"):
        assert (out / name).read_text(encoding="utf-8").count("\n") == 4


def test_what_cannot_be_compared_is_refused_before_anything_is_evaluated(
    runs, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(comparison, "evaluate_once", lambda *a, **k: 1 / 0)
    assert cli.main(["compare", *runs, "--metric", "r2", "--out", str(tmp_path / "out")]) == 1
    assert "metric of single_label is 'r2'; allowed: accuracy" in capsys.readouterr().err
    meta = json.loads((tmp_path / "wide" / "meta.json").read_text())
    for changed, why in (
        ({"task": "multi_label"}, "runs of 2 tasks .*wide: multi_label"),
        ({"labels": ["x", "label 1"]}, "cnn-seed0 and the others have 1 labels in common"),
    ):
        (tmp_path / "wide" / "meta.json").write_text(json.dumps(meta | changed))
        with pytest.raises(ValueError, match=why):
            mclf_jax.compare_runs(runs)


def test_seeds_apart_and_the_same_seed_twice(runs, tmp_path):
    apart = mclf_jax.compare_runs(runs, seeds="apart", against=runs[2])
    assert [row["name"] for row in apart.table] == ["cnn-seed0", "cnn-seed1", "wide"]
    assert [pair["second"] for pair in apart.pairs] == ["wide", "wide"]
    # Weights of two checkpoints that were converted have one config.
    config = json.loads((tmp_path / "cnn-seed1" / "config.json").read_text())
    (tmp_path / "cnn-seed1" / "config.json").write_text(json.dumps(config | {"seed": 0}))
    found = mclf_jax.compare_runs(runs[:2])
    assert [row["seeds"] for row in found.table] == [1, 1]


def test_songs_that_all_say_the_same_of_are_not_listened_to(tmp_path):
    same = report_of("multi_label", num_labels=3)
    found = compare_reports({"a": [same], "b": [same]}, num_resamples=20)
    page = Page(write.write(found, tmp_path).read_text(encoding="utf-8"))
    assert "Scores" in page.text and "Where they disagree" not in page.text


def test_what_cannot_be_compared(runs, tmp_path, capsys):
    again = str(tmp_path / "wide" / ".." / "cnn-seed0")
    assert cli.main(["compare", runs[0], again]) == 1
    assert "got 1 run(s) to compare; give two or more" in capsys.readouterr().err
    assert cli.main(["compare", runs[0], str(tmp_path)]) == 1
    assert "is not a run directory" in capsys.readouterr().err
    with pytest.raises(ValueError, match="against is 'x'; allowed: one of the runs, "):
        mclf_jax.compare_runs(runs, against="x")
    (pair,) = mclf_jax.compare_runs(runs, against=again).pairs
    assert pair["second"] == "cnn (2 seeds)"


def test_a_page_without_sounds_says_why(runs, monkeypatch):
    monkeypatch.undo()
    config = config_lib.base()
    config.data.name = "folder"
    config.data.args = {"path": "/nowhere"}
    with pytest.warns(UserWarning, match="the page has no sounds, .*no such folder"):
        assert comparison._hearing(config) == {}


def test_folders_of_probes_are_compared_by_their_reports(tmp_path):
    for name, seed in (("linear", 0), ("mix", 0)):
        report_of("single_label", num_labels=3, seed=seed).save(tmp_path / name / "report")
        (tmp_path / name / "probe.json").write_text("{}")
    found = mclf_jax.compare_runs([tmp_path / "linear", tmp_path / "mix"], out=tmp_path / "out")
    assert found.settings == [] and (tmp_path / "out" / "index.html").is_file()
    assert [row["name"] for row in found.table] == ["linear", "mix"]


def test_keys_are_compared_by_their_own_score(tmp_path):
    for name in ("linear", "mix"):
        report = report_of("single_label", labels=keys.LABELS)
        report.save(tmp_path / name / "report")
        (tmp_path / name / "probe.json").write_text("{}")
    found = mclf_jax.compare_runs([tmp_path / "linear", tmp_path / "mix"], metric="key_score")
    assert found.pairs[0]["difference"] == 0 and found.table[0]["key_score"] > 0
