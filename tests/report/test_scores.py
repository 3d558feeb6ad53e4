"""The page of an evaluated run: what it shows, escapes and survives."""

import dataclasses
import json

import numpy as np
import pytest

from mclf_jax import metrics
from mclf_jax.evaluation.calibrate import calibration_of
from mclf_jax.figures.spectrogram import plot_spectrogram
from mclf_jax.report import confidence, scores
from mclf_jax.report.scores import write_scores_page
from tests.report.parsed import HOSTILE, Page
from tests.reports import partial, report_of


def _picture(item):
    values = np.random.default_rng(0).normal(size=(400, 48)) * 20
    return plot_spectrogram(values, duration_s=6.4, mel_centre_hz=np.geomspace(40, 8000, 48))


def _run_dir(path):
    lines = [{"kind": "train", "step": s, "loss": 2 / s, "songs_per_s": 90} for s in range(1, 61)]
    lines[-1] |= {"time_input": 0.25, "time_step": 0.75, "model_flops": 2e9, "utilisation": 0.4}
    lines += [{"kind": "valid", "step": s, "loss": 3 / s, "accuracy": 0.5} for s in (20, 40, 60)]
    text = "\n".join(map(json.dumps, lines)) + '\n{"kind": "train", "st'
    (path / "metrics.jsonl").write_text(text)
    (path / "config.json").write_text(json.dumps({"model": {"name": "<fcn>"}}))
    return path


def _written(tmp_path, reports, **kwargs):
    path = write_scores_page(_run_dir(tmp_path), reports=reports, **kwargs)
    assert path == tmp_path / "report" / "index.html"
    source = path.read_text(encoding="utf-8")
    return source, Page(source)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(
    ("task", "num_labels", "expected"),
    [
        ("single_label", 10, ["Accuracy", "Confusion", "taken for", "ROC", "recall"]),
        ("multi_label", 50, ["PR-AUC, macro", "Left out of a mean", "label 1", "precision"]),
        ("regression", 2, ["R²", "RMSE", "Predicted against true value"]),
    ],
)
def test_page_is_whole_self_contained_and_escaped(
    tmp_path, monkeypatch, task, num_labels, expected
):
    monkeypatch.setattr(scores, "NUM_MISTAKES", 3)
    report = report_of(task, num_labels=num_labels)
    source, page = _written(tmp_path, [report], picture_of=_picture)
    assert len(source) < 3_000_000
    for words in (*expected, "95 %", "Worst mistakes", "412\u202f338", "n_mels=96", "3.69 s"):
        assert words in page.text
    spent = ("90 songs/s", "input 25 %, step 75 %", "2 GFLOP", "40.0 % of the device's peak")
    for words in ("bad <b>.wav", "empty file", '"<fcn>"', *spent, "step 120"):
        assert words in page.text
    # Curves, confidence, task's own figures, learning curves and a spectrogram a mistake.
    assert page.counts["svg"] == {"single_label": 6, "multi_label": 6, "regression": 2}[task] + 3


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("task", metrics.NAMES)
def test_hostile_names_are_shown_as_text(tmp_path, task):
    labels = (HOSTILE, f"_{HOSTILE}", "100 % $")
    report = report_of(task, labels=labels, num_songs=40)
    if task == "single_label":  # the worst mistake
        report.scores[0] = np.roll(np.eye(3), 1, axis=0)[report.targets[0]]
    else:
        report.scores[0] = 9 * (task == "regression") + 1 - report.targets[0]
    places = {
        "run_name": f"run {HOSTILE}",
        "dataset": f"data {HOSTILE}",
        "split": f"split {HOSTILE}",
        "skipped": ((f"skipped {HOSTILE}", f"why {HOSTILE}"),),
        "meta": {"notes": [f"note {HOSTILE}"], "step": 3, f"key {HOSTILE}": {"a": f"b {HOSTILE}"}},
        "parents": {labels[1]: labels[0]} if task == "multi_label" else {},
    }
    run_dir = _run_dir(tmp_path)
    (run_dir / "config.json").write_text(json.dumps({"x": f"config {HOSTILE}"}))
    report = dataclasses.replace(report, **places)
    path = write_scores_page(run_dir, reports=[report], picture_of=_picture)
    page = Page(path.read_text(encoding="utf-8"))
    begins = ("run", "data", "Split", "skipped", "why", "note", "key", HOSTILE, "_")
    for begin in begins:
        space = "" if begin == "_" else " "
        shown = HOSTILE if begin == HOSTILE else f"{begin}{space}{HOSTILE}"
        assert shown in page.text, begin
    assert "a=b <script>" in page.text and "config <script>" in page.text


def test_page_lists_splits_and_keeps_their_ids_apart(tmp_path):
    reports = [report_of("single_label", num_labels=3), report_of("single_label", split="valid")]
    _, page = _written(tmp_path, reports)
    assert {"r0", "r1"} <= set(page.ids)
    assert "Valid split" in page.text


def test_page_survives_what_is_missing(tmp_path):
    def failing(item):
        raise OSError("truncated <MP3>")

    report = dataclasses.replace(report_of("multi_label"), intervals={}, meta={}, skipped=())
    path = write_scores_page(tmp_path, reports=[report], picture_of=failing)
    text = Page(path.read_text(encoding="utf-8")).text
    assert "no picture: OSError: truncated <MP3>" in text
    # Without a config it is no run, such as the folder of a probe, of which neither is told.
    assert "training history" not in text and "config.json" not in text
    assert "mclf calibrate" not in text
    (tmp_path / "config.json").write_text("{}")
    path = write_scores_page(tmp_path, reports=[report])
    text = Page(path.read_text(encoding="utf-8")).text
    assert "no training history" in text and "mclf calibrate" in text
    with pytest.raises(ValueError, match="at least one evaluated split"):
        write_scores_page(tmp_path, reports=[])


def test_page_of_nothing_defined(tmp_path):
    targets = np.zeros((4, 3))
    found = metrics.compute("multi_label", targets, targets, labels="abc")
    report = dataclasses.replace(
        report_of("multi_label", labels="abc", num_songs=4),
        scores=targets,
        targets=targets,
        metrics=found.values,
        per_label=found.per_label,
        undefined=found.undefined,
    )
    _, page = _written(tmp_path, [report])
    assert "undefined" in page.text


def test_page_is_the_same_bytes_again(tmp_path):
    first, _ = _written(tmp_path, [report_of("regression", num_labels=2)])
    second, _ = _written(tmp_path, [report_of("regression", num_labels=2)])
    assert first == second


@pytest.mark.parametrize(("task", "num_labels"), [("multi_label", 10), ("regression", 3)])
def test_the_page_says_how_much_was_observed(tmp_path, task, num_labels):
    report = partial(task, num_labels=num_labels)
    source, page = _written(tmp_path, [report])
    text = page.text
    seen = int(np.isfinite(report.targets).sum())
    assert f"{seen} of {60 * num_labels}" in text and "Labels observed" in text
    assert f" of {num_labels} labels observed" in text
    assert "observed" in source.split("All numbers by label")[1].split("</thead>")[0]
    assert "nan" not in text.lower()
    assert "Hierarchy" not in text


def test_a_complete_report_says_nothing_of_it(tmp_path):
    source, _ = _written(tmp_path, [report_of("multi_label")])
    assert "observed" not in source and "Hierarchy" not in source


def test_nothing_observed_at_all(tmp_path):
    for task in ("multi_label", "regression"):
        report = partial(task, share=2, num_labels=3)
        assert not report.observed.any()
        _, page = _written(tmp_path, [report])
        text = page.text
        assert "None: no label was observed." in text and "0 of 180" in text


def test_confidence_and_thresholds_are_shown(tmp_path):
    report = report_of("multi_label")
    source, _ = _written(tmp_path, [report])
    assert "Risk over coverage" in source and "mclf calibrate" in source
    found = calibration_of(report_of("multi_label", split="valid", seed=1), thresholds="recall:0.8")
    found = dataclasses.replace(found, step=120)  # of the report
    (tmp_path / "report" / "calibration.json").write_text(json.dumps(dataclasses.asdict(found)))
    source, page = _written(tmp_path, [report])
    assert "put right by platt scaling, fitted on 60 songs of the valid split" in source
    assert "Thresholds of each label, chosen on valid for recall:0.8" in source
    assert "none: 0.5" in source  # label 1, which no song has
    assert "Risk over coverage" not in _written(tmp_path, [report_of("regression")])[0]


def test_confidence_of_very_many_decisions_is_that_of_some(monkeypatch):
    report = report_of("multi_label")
    assert confidence.confidence(report, None)["every"] == 1
    monkeypatch.setattr(confidence, "_MOST_DECISIONS", 250)
    shown = confidence.confidence(report, None)
    assert shown["every"] == 3
    (line,) = [x for x in shown["risks"].axes[0].lines if x.get_drawstyle() == "steps-pre"]
    assert len(line.get_xdata()) <= 200
