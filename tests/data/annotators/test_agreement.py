"""Several annotators: what most say, how far they agree, and a manifest of it."""

import csv
import math

import numpy as np
import pytest
import soundfile

from mclf_jax import data
from mclf_jax.data.annotators.agreement import agreement, describe
from mclf_jax.data.annotators.annotations import (
    alike,
    majority,
    read_annotations,
    write_manifest,
)


def _table(tmp_path, rows, *, header="path,annotator,label"):
    file = tmp_path / "annotations.csv"
    file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return read_annotations(file)


GENRES = [
    "1.wav,ann,rock", "1.wav,bob,rock", "1.wav,cy,jazz",
    "2.wav,ann,jazz", "2.wav,bob,jazz", "2.wav,cy,jazz",
    "3.wav,ann,rock", "3.wav,bob,jazz",
    "4.wav,ann,pop", "4.wav,bob,",
]  # fmt: skip
TAGS = [
    "1.wav,ann,loud|fast", "1.wav,bob,fast", "1.wav,cy,fast|slow",
    "2.wav,ann,slow", "2.wav,bob,",
    "3.wav,ann,", "3.wav,bob,",
]  # fmt: skip


def test_majority_of_one_label(tmp_path):
    annotations = _table(tmp_path, GENRES)
    assert (annotations.task, annotations.labels) == ("single_label", ("jazz", "pop", "rock"))
    resolved = majority(annotations)
    assert resolved.labels == {"1.wav": ("rock",), "2.wav": ("jazz",), "4.wav": ("pop",)}
    assert resolved.unresolved == {"3.wav": ("jazz", "rock")}
    with pytest.raises(ValueError, match="ties='present' is for multi-label"):
        majority(annotations, ties="present")
    with pytest.raises(ValueError, match="'random'; allowed: unknown, absent, present"):
        majority(annotations, ties="random")


def test_majority_of_tags(tmp_path):
    annotations = _table(tmp_path, TAGS, header="item,annotator,labels")
    resolved = majority(annotations)
    assert resolved.labels == {"1.wav": ("fast",), "2.wav": (), "3.wav": ()}
    assert resolved.unresolved == {"2.wav": ("slow",)}
    absent = majority(annotations, ties="absent")
    assert absent.labels["2.wav"] == () and not absent.unresolved
    assert majority(annotations, ties="present").labels["2.wav"] == ("slow",)


def test_agreement_on_one_label(tmp_path):
    from sklearn.metrics import cohen_kappa_score

    found = agreement(_table(tmp_path, GENRES))
    assert found.num_items == 3
    pairs = {pair.of: pair for pair in found.pairs}
    assert list(pairs) == ["ann, bob", "ann, cy", "bob, cy"]
    first = pairs["ann, bob"]
    assert (first.num_items, first.agreement) == (3, pytest.approx(2 / 3))
    theirs = cohen_kappa_score(["rock", "jazz", "rock"], ["rock", "jazz", "jazz"])
    assert first.cohen_kappa == pytest.approx(theirs)
    assert found.agreement == pytest.approx((2 / 3 + 1 / 2 + 1 / 2) / 3)
    assert found.cohen_kappa == pytest.approx((theirs + 0 + 0) / 3)
    labels = {label.of: label for label in found.labels}
    assert [labels[name].num_items for name in ("jazz", "pop", "rock")] == [3, 0, 2]
    assert math.isnan(labels["pop"].cohen_kappa) and labels["pop"].agreement == 1
    assert labels["jazz"].cohen_kappa == pytest.approx(found.cohen_kappa)  # of two labels


def test_agreement_on_tags(tmp_path):
    found = agreement(_table(tmp_path, TAGS, header="path,annotator,labels"))
    labels = {label.of: label for label in found.labels}
    assert labels["fast"].agreement == 1
    assert labels["fast"].cohen_kappa == 1
    assert labels["slow"].agreement == pytest.approx((2 / 3 + 0 + 0) / 3)
    pairs = {pair.of: pair for pair in found.pairs}
    # Of loud and slow, bob chose none: kappa is 0. On fast they agree.
    assert pairs["ann, bob"].cohen_kappa == pytest.approx(1 / 3)
    assert pairs["ann, bob"].agreement == pytest.approx((2 / 3 + 1 + 2 / 3) / 3)
    # Only one item: fast is never absent there, so undefined.
    assert pairs["bob, cy"].num_items == 1
    assert found.agreement == pytest.approx(np.mean([pair.agreement for pair in found.pairs]))


def test_described_for_people(tmp_path):
    lines = describe(agreement(_table(tmp_path, GENRES))).splitlines()
    assert lines[0] == (
        "3 items with two annotators or more: agreement 0.556, Cohen's kappa 0.133, "
        "means over pairs of annotators"
    )
    assert [line.split()[0] for line in lines[3:6]] == ["jazz", "rock", "pop"]
    assert lines[5].split() == ["pop", "0", "1.000", "nan"]
    assert lines[8].split() == ["ann,", "bob", "3", "0.667", "0.400"]


def test_no_item_with_two_annotators(tmp_path):
    found = agreement(_table(tmp_path, ["1.wav,ann,rock", "2.wav,bob,jazz"]))
    assert found.num_items == 0
    assert math.isnan(found.agreement)
    assert math.isnan(found.cohen_kappa)
    assert found.pairs == ()


def _songs(tmp_path, names):
    for seed, name in enumerate(names):
        noise = 0.1 * np.random.default_rng(seed).standard_normal(2000)
        soundfile.write(tmp_path / name, noise, 8000)


@pytest.mark.parametrize("column", ["label", "labels"])
def test_the_folder_reader_takes_the_manifest(tmp_path, column):
    names = [f"{i}.wav" for i in range(12)]
    _songs(tmp_path, names)
    rows = []
    for i, name in enumerate(names):
        split = ["train", "valid", "test"][i % 3]
        says = "rock" if i % 2 else "jazz"
        rows += [f"{name},{who},{says},{split},band {i}" for who in ("ann", "bob")]
    rows[0] = "0.wav,ann,rock,train,band 0"  # bob says jazz
    annotations = _table(tmp_path, rows, header=f"path,annotator,{column},split,group")
    resolved = majority(annotations)
    assert resolved.unresolved == {"0.wav": ("jazz", "rock")}
    write_manifest(annotations, resolved, tmp_path / "manifest.csv")
    with (tmp_path / "manifest.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    observed = {"observed": ""} if column == "labels" else {}
    assert first == observed | {
        "path": "0.wav",
        column: "",
        "split": "unlabelled",
        "group": "band 0",
        "tied": "jazz|rock",
    }
    source = data.build("folder", path=tmp_path, sample_rate_hz=8000, progress="off")
    assert source.info.labels == ("jazz", "rock")
    assert source.info.task == {"label": "single_label", "labels": "multi_label"}[column]
    assert [source.item_id(i) for i in source.info.splits["unlabelled"]] == ["0.wav"]
    assert len(source.info.splits["train"]) == 3
    assert "band 3" in source.info.groups


def test_tied_tags_are_unknown_and_no_tags_are_an_answer(tmp_path):
    names = [f"{i}.wav" for i in range(9)]
    _songs(tmp_path, names)
    says = {"ann": ["loud|fast", "", "loud"], "bob": ["loud", "", "loud"]}
    rows = [
        f"{name},{who},{tags[i % 3]},{['train', 'valid', 'test'][i // 3]}"
        for i, name in enumerate(names)
        for who, tags in says.items()
    ]
    annotations = _table(tmp_path, rows, header="path,annotator,labels,split")
    write_manifest(annotations, majority(annotations), tmp_path / "manifest.csv")
    source = data.build("folder", path=tmp_path, sample_rate_hz=8000, progress="off")
    assert source.info.labels == ("fast", "loud")
    assert {split: len(items) for split, items in source.info.splits.items()} == {
        "train": 3,
        "valid": 3,
        "test": 3,
    }
    np.testing.assert_array_equal(source.labels[0], [np.nan, 1])  # one of two heard it as fast
    np.testing.assert_array_equal(source.labels[1], [0, 0])
    np.testing.assert_array_equal(source.labels[2], [0, 1])


def test_tables_that_make_no_sense(tmp_path):
    with pytest.raises(ValueError, match="one of the columns label and labels"):
        _table(tmp_path, ["1.wav,ann,x"], header="path,annotator,tag")
    with pytest.raises(ValueError, match="no column annotator"):
        _table(tmp_path, ["1.wav,x"], header="path,label")
    with pytest.raises(ValueError, match="line 3: ann says 'jazz' of 1.wav, and 'rock' above"):
        _table(tmp_path, ["1.wav,ann,rock", "1.wav,ann,jazz"])
    with pytest.raises(ValueError, match="line 2: path and annotator must not be empty"):
        _table(tmp_path, ["1.wav,,rock"])
    with pytest.raises(ValueError, match="line 3: split of 1.wav is 'test', and 'train' above"):
        _table(
            tmp_path,
            ["1.wav,ann,rock,train", "1.wav,bob,rock,test"],
            header="path,annotator,label,split",
        )
    with pytest.raises(ValueError, match="has no annotation"):
        _table(tmp_path, ["1.wav,ann,"])
    with pytest.raises(ValueError, match="no such file"):
        read_annotations(tmp_path / "none.csv")


def test_rows_of_one_annotator_add_up_for_tags(tmp_path):
    rows = ["1.wav,ann,rock", "1.wav,ann,loud", "1.wav,bob,rock|loud"]
    annotations = _table(tmp_path, rows, header="path,annotator,labels")
    assert majority(annotations).labels == {"1.wav": ("loud", "rock")}


def test_what_a_spreadsheet_would_calculate_comes_back_as_it_was(tmp_path):
    _songs(tmp_path, names := ["-0.wav", "+1.wav", "2.wav"])
    rows = [f"{name},ann,{label}" for name, label in zip(names, ["=A1", "@b", "=A1"], strict=True)]
    annotations = _table(tmp_path, rows)
    write_manifest(annotations, majority(annotations), tmp_path / "manifest.csv")
    with (tmp_path / "manifest.csv").open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@")]
    items = data.catalogue("folder", path=tmp_path).items
    assert {item.item_id: item.labels for item in items} == {
        "-0.wav": ("=A1",),
        "+1.wav": ("@b",),
        "2.wav": ("=A1",),
    }


def test_names_that_look_the_same_are_told_of(tmp_path):
    annotations = _table(tmp_path, ["1.wav,ann,Rock", "1.wav,bob,rock", "2.wav,Bob,rock"])
    assert alike(annotations) == [
        "labels that look the same and count as different: 'rock' and 'Rock'. Write each in one"
        " way",
        "annotators that look the same and count as different: 'Bob' and 'bob'. Write each in one"
        " way",
    ]
    assert not alike(_table(tmp_path, GENRES))
