"""What is fitted on valid after training, and where it goes from there."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
import soundfile

import mclf_jax as mclf
from mclf_jax.cli import main as cli
from mclf_jax.evaluation.calibrate import (
    Calibration,
    calibrate,
    calibration_of,
    effect,
    read_calibration,
)
from mclf_jax.evaluation.result import load_report
from mclf_jax.export.archive import read_archive, write_archive
from mclf_jax.export.collect import bundle_of
from mclf_jax.export.huggingface import read_huggingface, write_huggingface
from tests.export.bundles import song
from tests.reports import partial, report_of
from tests.small_run import LABELS, write_run


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    write_run(folder, song(num_samples=4000).reshape(8, 500), task="multi_label")
    return folder


@pytest.fixture
def run(untouched, tmp_path, monkeypatch):
    """A run of tags whose valid and test splits are evaluated already."""
    shutil.copytree(untouched, tmp_path / "run")
    for split, seed in (("valid", 1), ("test", 2)):
        report = report_of("multi_label", labels=LABELS, split=split, seed=seed, num_songs=200)
        targets = (np.random.default_rng(seed).random((200, 2)) < 0.4).astype(np.float32)
        scores = np.clip(0.2 + 0.4 * targets + 0.4 * report.scores, 0, 1)
        of_run = {"targets": targets, "scores": scores, "meta": {"step": 3}}
        dataclasses.replace(report, **of_run).save(tmp_path / "run" / "report")
    for module in ("calibrate", "evaluate"):
        monkeypatch.setattr(
            f"mclf_jax.evaluation.{module}.evaluate_once",
            lambda run, *, split="test", config: load_report(run / "report", split),
        )
    return tmp_path / "run"


def test_the_test_split_cannot_touch_it(run):
    calibrate(run, thresholds="precision:0.8")
    kept = (run / "report" / "calibration.json").read_bytes()
    test = load_report(run / "report", "test")
    changed = dataclasses.replace(test, targets=1 - test.targets, scores=test.scores[::-1])
    changed.save(run / "report")
    calibrate(run, thresholds="precision:0.8")
    assert (run / "report" / "calibration.json").read_bytes() == kept
    valid = load_report(run / "report", "valid")
    dataclasses.replace(valid, targets=1 - valid.targets).save(run / "report")
    calibrate(run, thresholds="precision:0.8")
    assert (run / "report" / "calibration.json").read_bytes() != kept


def test_every_use_of_the_run_has_it(run, tmp_path, capsys):
    raw = mclf.load(run)
    found = calibrate(run, thresholds="recall:0.9")
    tagger = mclf.load(run)
    assert dict(tagger.thresholds) == found.thresholds != dict(raw.thresholds)
    audio = song(num_samples=2000)
    before, after = (
        np.array(list(each.predict(audio, sample_rate_hz=1000).values())) for each in (raw, tagger)
    )
    np.testing.assert_allclose(after, found.apply("multi_label", before), atol=1e-6)
    assert np.abs(after - before).max() > 0.01
    assert raw.identity != tagger.identity
    along = tagger.taggram(audio, sample_rate_hz=1000)["scores"]
    wanted = found.apply("multi_label", raw.taggram(audio, sample_rate_hz=1000)["scores"])
    np.testing.assert_allclose(along, wanted, atol=1e-6)
    write_archive(bundle_of(run), tmp_path / "tagger.mclf")
    write_huggingface(bundle_of(run), tmp_path / "hub")
    for bundle in (read_archive(tmp_path / "tagger.mclf"), read_huggingface(tmp_path / "hub")):
        assert bundle.scaling == found.fitted and bundle.thresholds == found.thresholds
        again = list(mclf.Tagger.of(bundle).predict(audio, sample_rate_hz=1000).values())
        np.testing.assert_allclose(again, after, atol=1e-5)
    # The command line says yes or no, in words, JSON and tables.
    soundfile.write(tmp_path / "a.wav", audio, 1000, subtype="FLOAT")
    said = {name: score >= found.thresholds[name] for name, score in zip(LABELS, after)}  # noqa: B905
    tags = [name for name in LABELS if said[name]]
    words = ["predict", str(run), str(tmp_path / "a.wav")]
    assert cli.main(words) == 0
    for line in capsys.readouterr().out.splitlines()[1:]:
        _, name, verdict = line.split()
        assert verdict == ("yes" if said[name] else "no")
    assert cli.main([*words, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["tags"] == tags
    assert cli.main([*words, "--out", str(tmp_path / "t.csv")]) == 0
    head, row = csv.reader((tmp_path / "t.csv").read_text().splitlines())
    assert head == ["path", "duration_s", *LABELS, "tags"] and row[-1] == "|".join(tags)
    assert cli.main([*words, "--out", str(tmp_path / "t.jsonl")]) == 0
    assert json.loads((tmp_path / "t.jsonl").read_text())["tags"] == tags


def test_the_command_says_what_it_does_to_test(run, capsys):
    assert cli.main(["calibrate", str(run), "--thresholds", "precision:0.95", "--risk", ".1"]) == 0
    said = capsys.readouterr().out
    assert (
        "fitted on the 200 songs of split valid: scaling platt, thresholds precision:0.95" in said
    )
    (line,) = [line.split() for line in said.splitlines() if "calibration error" in line]
    assert float(line[-1]) < float(line[-2])
    assert "are wrong in at most 10.0%" in said
    assert said.splitlines()[-1] == str(run / "report" / "calibration.json")
    test = load_report(run / "report", "test")
    dataclasses.replace(test, targets=(test.scores < 0.5).astype(np.float32)).save(run / "report")
    assert cli.main(["calibrate", str(run), "--scaling", "none", "--risk", ".01"]) == 0
    assert "even the surest decisions are wrong in more than 1.0%" in capsys.readouterr().out
    assert cli.main(["calibrate", str(run), "--thresholds", "best"]) == 1
    assert "thresholds is 'best'; allowed: f1, f_beta:B" in capsys.readouterr().err
    assert cli.main(["calibrate", str(run), "--config.eval.aggregation=max"]) == 1
    assert "eval.aggregation is 'max', but the scores of" in capsys.readouterr().err


def test_it_belongs_to_a_checkpoint(run):
    calibrate(run)
    assert read_calibration(run, step=3, labels=LABELS) == calibrate(run)
    with pytest.warns(UserWarning, match="is of step 3, and the best checkpoint is of step 4"):
        assert read_calibration(run, step=4, labels=LABELS) is None
    path = run / "report" / "calibration.json"
    known = json.loads(path.read_text())
    path.write_text(json.dumps(known | {"bias": [0.0] * 7, "scale": [1.0] * 7}))
    with pytest.raises(ValueError, match="scale and bias are not those of its labels"):
        mclf.load(run)
    path.write_text("{}")
    with pytest.raises(ValueError, match="calibrate` the run again, or delete the file"):
        mclf.load(run)
    path.unlink()
    assert mclf.load(run).bundle.scaling is None


def test_what_it_does_to_a_split():
    report = report_of("single_label", num_songs=300)
    sharp = report.scores**3 / (report.scores**3).sum(1, keepdims=True)
    report = dataclasses.replace(report, scores=sharp)
    found = calibration_of(report)
    assert (found.scaling, found.target, found.thresholds) == ("temperature", "none", {})
    told = effect(report, found)
    assert told["after"]["calibration_error"] < told["before"]["calibration_error"]
    assert told["after"]["log_loss"] < told["before"]["log_loss"]
    nothing = calibration_of(report, scaling="none")
    assert effect(report, nothing)["after"]["log_loss"] == told["before"]["log_loss"]
    assert nothing.fitted is None
    tags = calibration_of(partial("multi_label"), thresholds="precision:0.9")
    assert "label 9" in tags.unreached and "label 9" not in tags.thresholds  # never observed
    assert isinstance(tags, Calibration) and 2 < len(tags.thresholds) < 10


@pytest.mark.parametrize(
    ("task", "how", "why"),
    [
        ("regression", {}, "task is 'regression'; allowed: single_label, multi_label"),
        ("single_label", {"thresholds": "f1"}, "thresholds are for tags"),
        ("single_label", {"scaling": "platt"}, "allowed: temperature, none"),
        ("multi_label", {"thresholds": "best"}, "allowed: f1, f_beta:B"),
    ],
)
def test_what_cannot_be_fitted_is_refused(task, how, why):
    with pytest.raises(ValueError, match=why):
        calibration_of(report_of(task), **how)
