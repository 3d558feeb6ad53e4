"""The card of runs of every task, from their directories alone."""

import dataclasses

import numpy as np
import pytest

from mclf_jax.cli.main import main as cli
from mclf_jax.config import base
from mclf_jax.report.card import card_facts, stated, weak, write_card
from mclf_jax.run import directory
from tests.report.parsed import HOSTILE
from tests.reports import in_a_tree, report_of
from tests.small_run import small_model


@pytest.fixture
def run(tmp_path):
    """A run directory without weights, which a card does not need."""
    data = {"name": "gtzan", "fingerprint": "abc", "splits": {"test": 60}}
    meta = directory.describe_run(small_model(), task="single_label", labels=("a", "b"), data=data)
    (tmp_path / "small").mkdir()
    directory.write_run(tmp_path / "small", config=base(), meta=meta, skipped=())
    return tmp_path / "small"


def card_of(run, report):
    report.save(run / "report")
    return write_card(run)


def test_a_run_that_nobody_evaluated(run):
    text = write_card(run)
    for words in (
        "# Model card: small",
        "trained on GTZAN",
        "Tzanetakis and P. Cook",
        "Not evaluated yet",
        "not recorded",
        "Not stated.",
    ):
        assert words in text
    assert card_facts(run)["missing"] == list(stated.FIELDS)
    assert "\n\n\n" not in text


@pytest.mark.parametrize("task", ["single_label", "multi_label", "regression"])
def test_every_task(run, task):
    report = report_of(task, num_labels=3)
    text = card_of(run, report)
    metric = {"single_label": "Accuracy", "multi_label": "PR-AUC, macro", "regression": "R2"}[task]
    assert f"| {metric} " in text.replace("R²", "R2") and "95 %: " in text
    assert "**Weak labels.**" in text and "Cannot be known: the report does not say" in text
    assert ("Expected calibration error" in text) == (task != "regression")
    assert "Songs skipped: 1." in text


def test_labels_of_strangers_stay_text(run):
    labels = (HOSTILE, "a|b", "x\n\n# heading", "[link](javascript:x)")
    text = card_of(run, report_of("single_label", labels=labels))
    assert "<script" not in text and "\n# heading" not in text and "a|b" not in text
    assert r"a\|b" in text and r"\[link\]" in text and "{{ 7 * 7 }}" in text.replace("\\", "")
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith(" |") for line in tables)


def test_groups_are_those_with_enough_songs_and_the_worst_first():
    report = report_of("single_label", num_songs=24, num_labels=2)
    scores = np.eye(2)[report.targets]
    scores[:6] = 1 - scores[:6]  # six songs are wrong
    groups = ("bad",) * 8 + ("good",) * 12 + ("few",) * 4
    report = dataclasses.replace(report, scores=scores, groups=groups, group_kind="artist")
    assert weak.groups(report) == [
        {"group": "bad", "songs": 8, "error": 0.75},
        {"group": "good", "songs": 12, "error": 0.0},
    ]
    assert weak.groups(dataclasses.replace(report, groups=())) is None
    alone = dataclasses.replace(report, groups=tuple(map(str, range(24))))
    assert weak.groups(alone) == []


def test_weak_and_rare_labels_with_their_intervals():
    report = report_of("multi_label", num_songs=60, num_labels=10)
    found = weak.labels(report)
    assert [each["score"] for each in found] == sorted(each["score"] for each in found)
    assert all(each["interval"]["low"] <= each["score"] <= 1 for each in found)
    assert len(found) == weak.NUM_SHOWN and "label 1" not in {each["label"] for each in found}
    assert next(iter(weak.rare(report))) == "label 1"  # has no song at all
    branches = weak.branches(in_a_tree())
    assert {each["branch"] for each in branches} <= {"label 1", "label 2", "label 3"}
    assert [each["score"] for each in branches] == sorted(each["score"] for each in branches)


def test_what_is_stated_is_put_in_and_never_overwritten(run, tmp_path, capsys):
    assert cli(["card", str(run)]) == 0
    said = capsys.readouterr().out
    assert f"not stated in {run}/card.toml: owner, contact" in said and "mclf evaluate" in said
    path = run / "card.toml"
    text = path.read_text().replace('owner = ""', 'owner = "Ada <b>"')
    path.write_text(text.replace('known_harms = ""', 'known_harms = ["one", "two"]'))
    out = tmp_path / "new" / "README.md"
    assert cli(["card", str(run), "--out", str(out)]) == 0
    assert "owner" not in capsys.readouterr().out
    assert "Made by: Ada &lt;b>" in out.read_text() and "- one\n- two" in out.read_text()
    assert 'owner = "Ada <b>"' in path.read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("owner = ", "is no TOML"),
        ("owner = 3", "owner is 3; it must be a text or a list of texts"),
        ('author = "me"', "has author; a model card takes annotators"),
    ],
)
def test_what_is_no_statement_is_refused(tmp_path, text, words):
    (tmp_path / "card.toml").write_text(text)
    with pytest.raises(ValueError, match=words):
        stated.read(tmp_path)


def test_scores_of_other_weights_are_left_out(run):
    (run / "checkpoints" / "latest" / "121").mkdir(parents=True)
    text = card_of(run, report_of("single_label", num_labels=3))  # of step 120
    assert "weights have changed since: test. Evaluate again." in text and "Accuracy" not in text
