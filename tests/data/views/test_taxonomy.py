"""Taxonomies: what is read, what becomes of labels, and every way to get one wrong."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mclf_jax.data.views.taxonomy import Taxonomy, apply, read

NAN = np.nan
NAMES = ("rock", "metal", "voice", "vocals", "weird")


def _apply(form, labels, *, names=NAMES, task="multi_label", parents=None, labelled=None):
    labels = np.asarray(labels)
    if labelled is None:
        labelled = np.ones(len(labels), bool)
    return apply(read(form), labels, names, task=task, labelled=labelled, parents=parents)


def test_read_from_a_file_as_from_a_dict(tmp_path):
    form = {"merge": {"vocal": ["voice", "vocals"]}, "drop": ["weird"], "parents": {"a": "b"}}
    (tmp_path / "mine.json").write_text(json.dumps(form))
    expected = Taxonomy(merge={"vocal": ("voice", "vocals")}, drop=("weird",), parents={"a": "b"})
    assert read(tmp_path / "mine.json") == read(str(tmp_path / "mine.json")) == expected
    assert read(form) == expected


def test_rename_merge_and_drop_keep_the_order():
    new = _apply(
        {"rename": {"metal": "Metal"}, "merge": {"vocals": ["vocals", "voice"]}, "drop": ["weird"]},
        [[1, 0, 0, 0, 1], [0, 1, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 1, 1, 0]],
    )
    assert new.names == ("rock", "Metal", "vocals")
    np.testing.assert_array_equal(new.targets[:], [[1, 0, 0], [0, 1, 1], [0, 0, 1], [0, 0, 1]])
    assert new.targets[:].dtype == np.float32
    assert not new.without.any()


def test_merging_what_is_unobserved():
    new = _apply(
        {"merge": {"vocal": ["voice", "vocals"]}},
        [[0, 0, 1, NAN, 0], [0, 0, 0, NAN, 0], [0, 0, NAN, NAN, 0], [NAN, 0, 0, 0, 0]],
    )
    np.testing.assert_array_equal(new.targets[:][:, 2], [1, NAN, NAN, 0])
    np.testing.assert_array_equal(new.targets[:][:, 0], [0, 0, 0, NAN])


@given(
    st.lists(
        st.lists(st.sampled_from([0.0, 1.0, NAN]), min_size=5, max_size=5), min_size=1, max_size=8
    )
)
def test_labels_are_closed_under_parents(rows):
    form = {"parents": {"metal": "rock", "rock": "music", "voice": "music"}}
    new = _apply(form, rows)
    assert new.names == (*NAMES, "music")
    column = dict(zip(new.names, new.targets[:].T, strict=True))
    for child, parent in new.parents.items():
        assert (column[parent][column[child] == 1] == 1).all()
    # What was known stays known, except that a child can overrule that its parent is not there.
    old = np.array(rows)
    changed = ~np.isclose(new.targets[:][:, :5], old, equal_nan=True)
    assert (new.targets[:][:, :5][changed] == 1).all()
    # A parent of its own is known to be absent only where all its children are.
    absent = column["music"] == 0
    below = np.stack([column[name] for name in ("rock", "voice")])
    np.testing.assert_array_equal(absent, (below == 0).all(axis=0))


def test_parents_that_are_there_already():
    parents = {"death metal": "metal", "metal": "rock", "rock": "music", "jazz": "music"}
    names = ("music", "rock", "metal", "death metal", "jazz")
    labels = [[1, 1, 1, 1, 0], [1, 0, 0, 0, 1]]
    dropped = _apply({"drop": ["metal"]}, labels, names=names, parents=parents)
    assert dropped.parents == {"death metal": "rock", "rock": "music", "jazz": "music"}
    renamed = _apply({"rename": {"rock": "Rock"}}, labels, names=names, parents=parents)
    assert renamed.parents == {
        "death metal": "metal",
        "metal": "Rock",
        "Rock": "music",
        "jazz": "music",
    }
    merged = {"merge": {"metal": ["metal", "death metal"]}}
    new = _apply(merged, labels, names=names, parents=parents)
    assert new.parents == {"metal": "rock", "rock": "music", "jazz": "music"}
    across = {"merge": {"heavy": ["metal", "jazz"]}}
    with pytest.raises(ValueError, match="'heavy' has the parents 'rock' and 'music': say in"):
        _apply(across, labels, names=names, parents=parents)
    said = _apply(across | {"parents": {"heavy": "rock"}}, labels, names=names, parents=parents)
    assert said.parents["heavy"] == "rock"


def test_one_label_of_many():
    labels, labelled = np.array([0, 1, 2, 3, 4, 4]), np.array([True] * 5 + [False])
    form = {"merge": {"vocal": ["voice", "vocals"]}, "drop": ["weird"]}
    new = _apply(form, labels, task="single_label", labelled=labelled)
    assert (new.task, new.names) == ("single_label", ("rock", "metal", "vocal"))
    np.testing.assert_array_equal(new.targets[:][:4], [0, 1, 2, 2])
    assert new.targets[:].dtype == np.int32
    np.testing.assert_array_equal(new.without, [False] * 4 + [True, False])


def test_one_label_of_many_becomes_tags_with_parents():
    labels, labelled = np.array([0, 1, 2, 4, 0]), np.array([True] * 4 + [False])
    form = {"parents": {"metal": "rock"}, "drop": ["weird", "vocals"]}
    new = _apply(form, labels, task="single_label", labelled=labelled)
    assert (new.task, new.names) == ("multi_label", ("rock", "metal", "voice"))
    nothing = [NAN] * 3
    np.testing.assert_array_equal(
        new.targets[:], [[1, 0, 0], [1, 1, 0], [0, 0, 1], nothing, nothing]
    )
    np.testing.assert_array_equal(new.without, [False, False, False, True, False])


def test_targets_of_regression():
    form = {"rename": {"v": "valence"}, "drop": ["a"]}
    new = _apply(form, [[0.5, 2], [NAN, 1]], names=("v", "a"), task="regression")
    assert new.names == ("valence",)
    np.testing.assert_array_equal(new.targets[:], np.float32([[0.5], [NAN]]))
    for wrong in ({"merge": {"both": ["v", "a"]}}, {"parents": {"v": "mood"}}):
        with pytest.raises(ValueError, match="renamed and dropped"):
            _apply(wrong, [[0.5, 2]], names=("v", "a"), task="regression")


@pytest.mark.parametrize(
    "form, message",
    [
        ({"drop": ["vocal"]}, "drop: 'vocal' is no label; did you mean 'vocals'"),
        ({"rename": {"zzz": "a"}}, "rename: 'zzz' is no label; there are rock, metal"),
        ({"merge": {"x": ["metl", "rock"]}}, "merge: 'metl' is no label; did you mean 'metal'"),
        ({"parents": {"roc": "music"}}, "parents: 'roc' is no label; did you mean 'rock'"),
        ({"drop": ["rock"], "rename": {"rock": "a"}}, "'rock' is in rename and in drop"),
        ({"rename": {"rock": "metal"}}, "'rock', 'metal' all become 'metal': use merge"),
        ({"merge": {"rock": ["voice"]}}, r"become 'rock': list all of them in merge\['rock'\]"),
        (
            {"parents": {"rock": "a", "a": "b", "b": "rock"}},
            "goes in a circle: rock > a > b > rock",
        ),
        ({"parents": {"rock": "rock"}}, "circle: rock > rock"),
        ({"drop": list(NAMES)}, r"leaves 0 label\(s\) of 5: none"),
        ({"dropped": ["rock"]}, "has dropped; a taxonomy takes drop, merge, parents, rename"),
        ({"merge": {"x": "rock"}}, "merge must be a dict of names to lists of names"),
        ({"rename": ["rock"]}, "rename must be a dict of names to names"),
        ({"drop": "rock"}, "drop must be a list of names, got 'rock'"),
    ],
)
def test_errors(form, message):
    with pytest.raises(ValueError, match=message):
        _apply(form, np.zeros((2, 5)))


def test_one_class_is_no_choice():
    with pytest.raises(ValueError, match=r"leaves 1 label\(s\) of 5: rock"):
        _apply({"drop": list(NAMES[1:])}, np.zeros(2, int), task="single_label")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        read(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ValueError, match="bad.json' is not JSON"):
        read(tmp_path / "bad.json")
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(ValueError, match="must be a dict of rename, merge, drop, parents, got"):
        read(tmp_path / "list.json")


def test_files_of_other_people(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text('{"drop": ["rock"]}', encoding="utf-8-sig")  # as Notepad saves it
    assert read(path).drop == ("rock",)
    for text in ('{"drop": ["a"], "drop": ["b"]}', "[" * 100_000, "NaN"):
        path.write_text(text)
        with pytest.raises(ValueError, match="mine.json' is not JSON"):
            read(path)
