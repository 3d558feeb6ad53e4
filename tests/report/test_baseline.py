"""A network beside MFCCs and an SVM: on a page, in JSON, and in a sentence."""

import dataclasses
import json

import numpy as np
import pytest

from mclf_jax import metrics
from mclf_jax.report.baseline import set_beside, tell
from mclf_jax.report.scores import write_scores_page
from mclf_jax.shallow.baseline import FOLDER, NAME
from tests.report.parsed import Page
from tests.reports import report_of


def scored(report, scores):
    """The report with other scores."""
    how = {"labels": report.labels}
    found = metrics.compute(report.task, scores, report.targets, **how)
    meta = {"train_songs": 40, "setting": {"C": 1.0}}
    return dataclasses.replace(report, scores=scores, metrics=found.values, meta=meta)


def right(report, share):
    """Scores that are right about a share of the songs."""
    wrong = np.arange(len(report.items)) >= share * len(report.items)
    said = np.where(wrong, (report.targets + 1) % len(report.labels), report.targets)
    return np.eye(len(report.labels), dtype=np.float32)[said]


@pytest.mark.parametrize(
    ("network", "baseline", "better", "words"),
    [
        (0.9, 0.4, "network", "the network is better"),
        (0.4, 0.9, NAME, "the network is worse"),
        (0.5, 0.5, "", "these songs cannot tell them apart"),
    ],
)
def test_who_is_better_is_said_if_the_songs_show_it(tmp_path, network, baseline, better, words):
    plain = report_of("single_label")
    scored(plain, right(plain, baseline)).save(tmp_path / FOLDER)
    report = dataclasses.replace(plain, scores=right(plain, network))
    found = set_beside(tmp_path, report)
    of = found["difference"]
    assert (of["metric"], of["better"]) == ("accuracy", better)
    assert of["value"] == pytest.approx(network - baseline)
    assert of["low"] <= of["value"] <= of["high"]
    assert found["network"]["accuracy"] == pytest.approx(network)
    assert found["metrics"]["accuracy"] == pytest.approx(baseline)
    assert words in tell(found)
    assert "40 songs" in tell(found)


@pytest.mark.parametrize("task", ["single_label", "regression"])
def test_it_stands_on_the_page_and_in_json(tmp_path, task):
    report, other = (report_of(task, num_songs=20, num_labels=3) for _ in range(2))
    noise = np.random.default_rng(1).random(other.scores.shape)
    scored(other, (0.5 * other.scores + 0.5 * noise / noise.sum(1, keepdims=True))).save(
        tmp_path / FOLDER
    )
    path = write_scores_page(tmp_path, reports=[report, dataclasses.replace(report, split="valid")])
    page = Page(path.read_text())
    assert page.text.count("Is the network needed?") == 1  # not of valid, where there is none
    assert NAME in page.text
    kept = json.loads((path.parent / "baseline.json").read_text())
    assert set(kept) == {"test"}
    assert kept["test"]["difference"]["metric"] == metrics.HEADLINES[task][0]


def test_of_other_data_or_labels_it_says_nothing(tmp_path):
    report = report_of("single_label")
    assert set_beside(tmp_path, report) is None
    scored(report, report.scores).save(tmp_path / FOLDER)
    others = dataclasses.replace(report, meta={"same_data_as_trained_on": False})
    assert set_beside(tmp_path, others) is None
    assert set_beside(tmp_path, report_of("single_label", num_labels=9)) is None
    assert set_beside(tmp_path, dataclasses.replace(report, split="valid")) is None
