"""Splits of a folder of songs: those of its manifest, and those that are made."""

import re

import pytest

from tests.data.readers.folders import (
    items_of,
    open_folder,
    write_song,
    write_songs,
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def test_unknown_split(tmp_path):
    rows = [{"path": "a.wav", "label": "a", "split": "train"}]
    rows.append({"path": "b.wav", "label": "b", "split": "dev"})
    root = write_songs(tmp_path, rows)
    with pytest.raises(ValueError, match=r"line 3: split is 'dev'; allowed are train, valid"):
        open_folder(root)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("hash", "by a hash of the group with seed 3: train 52, valid 20, test 8"),
        ("dealt", "by group with seed 3: train 56, valid 12, test 12"),
    ],
)
def test_splits_made_by_group(tmp_path, rule, says):
    rows = [
        {"path": f"{i}.wav", "label": "ab"[i % 2], "group": f"band {i // 4}"} for i in range(80)
    ]
    root = write_songs(tmp_path, rows)
    source = open_folder(root, seed=3, split_rule=rule)
    assert source.info.notes == (f"no splits given: made 70/15/15 {says}",)
    members = [
        {source.info.groups[i] for i in source.info.splits[split]}
        for split in ("train", "valid", "test")
    ]
    assert sum(map(len, members)) == len(set.union(*members)) == 20
    other = open_folder(root, seed=4, split_rule=rule)
    assert items_of(other, "test") != items_of(source, "test")
    assert other.info.fingerprint != source.info.fingerprint


def test_fractions_of_splits(tmp_path):
    rows = [{"path": f"{i}.wav", "label": "ab"[i % 2]} for i in range(100)]
    root = write_songs(tmp_path, rows)
    halves = open_folder(root, split_fractions=(0.5, 0.25, 0.25))
    assert "made 50/25/25 by a hash" in halves.info.notes[0]
    assert len(halves.info.splits["train"]) < len(open_folder(root).info.splits["train"])
    assert set(open_folder(root, split_fractions=(0.8, 0, 0.2)).info.splits) == {"train", "test"}
    for wrong in ((0.5, 0.5), (1.2, -0.1, -0.1)):
        with pytest.raises(ValueError, match="data.split_fractions is .*; it must be those of"):
            open_folder(root, split_fractions=wrong)
    with pytest.raises(ValueError, match="data.split_rule is 'random'; allowed: hash, dealt"):
        open_folder(root, split_rule="random")


def test_valid_made_from_train(tmp_path):
    rows = [
        {"path": f"{i}.wav", "label": "ab"[i % 2], "split": "train" if i < 40 else "test"}
        for i in range(50)
    ]
    source = open_folder(write_songs(tmp_path, rows), split_rule="dealt")
    assert source.info.notes == (
        "no valid split given: made from train by group with seed 0: train 34, valid 6",
    )
    assert set(items_of(source, "test")) == {f"{i}.wav" for i in range(40, 50)}


def test_some_rows_without_split(tmp_path):
    rows = [
        {"path": f"{i:02}.wav", "label": "ab"[i % 2], "group": f"g{i // 2}", "split": ""}
        for i in range(30)
    ]
    for i, split in ((0, "test"), (2, "train"), (4, "valid")):
        rows[i]["split"] = split
    source = open_folder(write_songs(tmp_path, rows), split_rule="dealt")
    assert source.info.notes == (
        "27 of 30 rows had no split: 3 joined the split of their group, by group with seed 0:"
        " train 16, valid 4, test 4",
    )
    assert {"00.wav", "01.wav"} <= set(items_of(source, "test"))
    assert {"04.wav", "05.wav"} <= set(items_of(source, "valid"))


def test_notes_on_leakage_and_labels(tmp_path):
    rows = [
        {"path": f"{i}.wav", "label": "ab"[i % 2], "split": split, "group": f"g{i}"}
        for i, split in enumerate(["train"] * 4 + ["valid"] * 2 + ["test"] * 2)
    ]
    rows[6]["group"] = "g1"
    rows[7]["label"] = "only here"
    root = write_songs(tmp_path, [*rows, {**rows[0], "path": "lost.wav", "label": "lost"}])
    (root / "lost.wav").write_bytes(b"")
    assert open_folder(root).info.notes == (
        "labels without any usable file, left out: lost",
        "leakage: 1 of the groups in more than one of the given splits, such as 'g1' in train and"
        " test; scores on valid or test will be too good",
        "labels that valid or test has and train has not, so cannot be learnt: only here",
    )


@pytest.mark.parametrize(
    ("content", "splits", "note"),
    [
        ("path,label\na.wav,x\nd.wav,y\n", ("train", "valid"), "1; too few groups for test. Fill"),
        ("path,label,group\na.wav,x,g\nd.wav,y,g\n", ("train",), "groups for valid and test. Fill"),
        (
            "path,label,split\na.wav,x,test\nd.wav,y,test\n",
            ("test",),
            "in the split train .*. Fill",
        ),
        (
            "path,label,group,split\na.wav,x,g,train\nd.wav,y,g,train\n",
            ("train",),
            "no valid split given: .* train 2; too few groups for valid. Fill",
        ),
    ],
)
def test_very_few_songs_are_read_with_a_word_about_splits(tmp_path, content, splits, note):
    for name in ("a.wav", "d.wav"):
        write_song(tmp_path / name)
    (tmp_path / "manifest.csv").write_text(content)
    info = open_folder(tmp_path).info
    assert tuple(info.splits) == splits and sum(map(len, info.splits.values())) == 2
    assert any(re.search(note, each) for each in info.notes)
