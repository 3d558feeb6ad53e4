"""The page of a checked data set is one file that shows what was found."""

import dataclasses

import numpy as np
import pytest

from mclf_jax.data import check
from mclf_jax.data.check.duplicates import Duplicates, Match
from mclf_jax.data.check.finding import Finding
from mclf_jax.figures import dataset
from mclf_jax.report.check import write_check_page
from tests.data.check.made import folder, labelled, song
from tests.report.parsed import HOSTILE, Page


def _page(result, tmp_path):
    source = write_check_page(result, tmp_path / "new" / "page.html").read_text(encoding="utf-8")
    return source, Page(source)


def test_page_of_a_folder_with_a_leak(tmp_path):
    songs = {
        "train/x/<b>&1.wav": song(0),
        "test/y/2.wav": song(0),
        "valid/z/3.wav": song(1),
        "train/w/4.wav": song(2),
    }
    result = check.check(folder(tmp_path, songs), progress="off")
    source, page = _page(result, tmp_path)
    assert "train/x/&lt;b&gt;&amp;1.wav" in source and "<b>&1" not in source
    assert ">leak</span>" in source and "All 1 matches" in page.text
    assert page.counts["svg"] == 2  # audio, labels


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("num_labels", [3, 80])
def test_page_of_tags(tmp_path, num_labels):
    rng = np.random.default_rng(0)
    values = (rng.random((200, num_labels)) < 0.3).astype(np.float32)
    values[::5, 0] = np.nan
    splits = {"train": np.arange(100), "valid": np.arange(100, 150), "test": np.arange(150, 200)}
    names = [f"tag {k} $x$" for k in range(num_labels)]
    result = check.check(labelled(values, splits=splits, labels=names), audio="skip")
    source, page = _page(result, tmp_path)
    assert page.counts["svg"] == 2  # labels, co-occurrence
    assert "labels are partial" in page.text
    assert ("most and the" in source) == (num_labels > dataset.MAX_LABELS)


def test_page_of_a_regression(tmp_path):
    values = np.random.default_rng(0).standard_normal((30, 2))
    splits = {"train": np.arange(20), "test": np.arange(20, 30)}
    source = labelled(values, splits=splits, task="regression", labels=["valence", "arousal"])
    _, page = _page(check.check(source, audio="skip"), tmp_path)
    assert "valence" in page.text and "svg" not in page.counts


def test_hostile_names_are_shown_as_text(tmp_path):
    labels = [f"{name} {HOSTILE}" for name in "abc"]
    values = (np.random.default_rng(0).random((60, 3)) < 0.5).astype(np.float32)
    splits = {"train": np.arange(40), "test": np.arange(40, 60)}
    result = check.check(labelled(values, splits=splits, labels=labels), audio="skip")
    found = Finding(
        "files", "leak", f"message {HOSTILE}", tuple(f"{i} {HOSTILE}" for i in range(20))
    )
    traps = Finding("traps", "note", "a trap")
    repeated = Finding("duplicates", "warning", "one is there twice")
    match = Match(0, 1, kind="exact copy", shared_s=1.0, offset_s=0.0, similarity=1.0)
    result = dataclasses.replace(
        result,
        name=f"name {HOSTILE}",
        licence=f"licence {HOSTILE}",
        findings=(found, traps, repeated, *result.findings),
        item_ids=(f"item {HOSTILE}", *result.item_ids[1:]),
        duplicates=Duplicates((match,), clusters=((0, 1),), num_too_short=0, keep_one_in=1),
    )
    _, page = _page(result, tmp_path)
    for begin in ("name", "licence", "message", "item", "0", "11", "19", "a", "c"):
        assert f"{begin} {HOSTILE}" in page.text, begin
    assert "8 more" in page.text and f"Known traps of name {HOSTILE}" in page.text
