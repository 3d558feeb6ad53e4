"""A report on disk is the report in memory, to the last bit."""

import dataclasses
import errno
import itertools
import json

import numpy as np
import pytest
from sklearn import metrics as sk

from mclf_jax import metrics
from mclf_jax.common import files
from mclf_jax.common.text import tables
from mclf_jax.evaluation.result import Report, load_report, saved_splits
from mclf_jax.report.songs import mistakes
from tests.damaged_json import changed_fields, whole_files
from tests.reports import PARENTS, partial, report_of


@pytest.mark.parametrize("task", metrics.NAMES)
def test_report_round_trip(tmp_path, task):
    report = report_of(task, num_songs=12)
    surrogate = b"caf\xe9.wav".decode("utf-8", "surrogateescape")
    report = dataclasses.replace(report, items=(surrogate, *report.items[1:]))
    assert report.save(tmp_path) == tmp_path / "test.json"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "test.json",
        "test_per_label.csv",
        "test_predictions.csv",
        "test_scores.npz",
    ]
    assert saved_splits(tmp_path) == ["test"]
    loaded = load_report(tmp_path, "test")
    for field in dataclasses.fields(Report):
        before, after = getattr(report, field.name), getattr(loaded, field.name)
        assert type(before) is type(after)
        if isinstance(before, np.ndarray):
            assert before.dtype == after.dtype
        np.testing.assert_equal(after, before)  # NaN equals NaN
    assert list(loaded.per_label) == list(report.labels)
    json.loads((tmp_path / "test.json").read_text(), parse_constant=pytest.fail)  # no NaN
    rows = (tmp_path / "test_per_label.csv").read_text().splitlines()
    assert rows[0].split(",") == ["label", *next(iter(report.per_label.values()))]
    assert len(rows) == 1 + len(report.labels)
    table = tables.read(tmp_path / "test_predictions.csv", columns=("song", "split"))
    found = [cells for _, cells in table.rows]
    assert [cells["song"] for cells in found][1:] == list(report.items)[1:]
    for n, cells in enumerate(found):
        scores = [float(cells[label]) for label in report.labels]
        np.testing.assert_allclose(scores, report.scores[n], rtol=1e-5)
        if task == "single_label":
            assert cells["truth"] == report.labels[report.targets[n]]
            assert cells["predicted"] == report.labels[report.scores[n].argmax()]


@pytest.mark.parametrize("task", ["multi_label", "regression"])
def test_round_trip(tmp_path, task):
    report = dataclasses.replace(partial(task), parents=PARENTS, group_kind="artist")
    report = dataclasses.replace(report, groups=tuple(f"artist {n // 9}" for n in range(60)))
    report.save(tmp_path)
    json.loads((tmp_path / "test.json").read_text(), parse_constant=pytest.fail)  # no NaN
    loaded = load_report(tmp_path, "test")
    for field in dataclasses.fields(Report):
        np.testing.assert_equal(getattr(loaded, field.name), getattr(report, field.name))
    np.testing.assert_array_equal(loaded.observed, ~np.isnan(report.targets))
    assert report_of("single_label").observed.all()


def test_loading_a_split_that_is_not_there_names_those_that_are(tmp_path):
    report_of("regression", num_labels=1).save(tmp_path)
    with pytest.raises(FileNotFoundError, match="'valid' .* \\(there: test\\)"):
        load_report(tmp_path, "valid")
    with pytest.raises(ValueError, match="split must be"):
        load_report(tmp_path, "../test")


def test_confusion_is_that_of_scikit_learn():
    report = report_of("single_label")
    expected = sk.confusion_matrix(report.targets, report.scores.argmax(axis=1))
    np.testing.assert_array_equal(report.confusion, expected)
    assert report_of("regression").confusion is None
    pairs = mistakes.confused_pairs(report, count=100)
    assert sum(p["songs"] for p in pairs) == report.confusion.sum() - report.confusion.trace()
    assert pairs[0]["songs"] == max(p["songs"] for p in pairs)


def test_a_damaged_report_names_file_and_field(tmp_path):
    path = report_of("single_label", num_songs=12).save(tmp_path)
    text, split = path.read_text(), path.stem
    for what, content in (*whole_files(text), *itertools.islice(changed_fields(text), 0, None, 7)):
        path.write_bytes(content)
        try:
            load_report(tmp_path, split)
        except ValueError as error:
            assert str(path) in str(error), what
    path.write_text(text)
    scores = tmp_path / f"{split}_scores.npz"
    content = scores.read_bytes()
    for damaged in (b"", content[:-30], content[: len(content) // 2], bytes(len(content))):
        scores.write_bytes(damaged)
        with pytest.raises(ValueError, match="_scores.npz is damaged; restore it from a copy"):
            load_report(tmp_path, split)


def test_a_full_disk_leaves_the_report_that_was_there(tmp_path, monkeypatch):
    report = report_of("single_label", num_songs=12)
    report.save(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "write_json", full)
    with pytest.raises(OSError, match="No space"):
        dataclasses.replace(report, scores=report.scores / 2).save(tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
