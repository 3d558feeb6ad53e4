"""Labels of a model and of data, matched by name."""

import numpy as np
import pytest

from mclf_jax.data.catalogue.label_lists import LABEL_LISTS
from mclf_jax.trial.labels import joined, match, normal_form, read_synonyms, told

NAN = np.nan


def matched(of_model, of_data, synonyms=None):
    return match(of_model, of_data, synonyms=read_synonyms(synonyms))


def pairs(found, of_model, of_data):
    places = zip(found.of_model, found.of_data, strict=True)
    return [([of_model[k] for k in ours], [of_data[k] for k in theirs]) for ours, theirs in places]


def test_by_name_without_case_punctuation_and_kind():
    found = matched(("Hip-Hop", "rock", "waltz"), ("genre---rock", "hip hop", "R&B", "piano"))
    assert found.labels == ("genre---rock", "hip hop")
    assert (found.of_model, found.of_data) == (((1,), (0,)), ((0,), (1,)))
    assert found.renamed == {"rock": "genre---rock", "Hip-Hop": "hip hop"}
    assert (found.only_model, found.only_data) == (("waltz",), ("R&B", "piano"))
    lines = "; ".join(told(found))
    assert "1 labels of the model alone: waltz; 2 labels of the data alone: R&B, piano" in lines
    assert normal_form("???") == "???"  # not the same as every other label of signs


def test_the_same_name_comes_first():
    """A list against itself is itself, whatever is alike in it."""
    both = ("no vocal", "no-vocal", "NO VOCAL", "beat")
    found = matched(both, both)
    assert found.labels == both and not found.renamed
    for each in LABEL_LISTS.values():
        of_list = matched(each.labels, each.labels)
        assert of_list.labels == each.labels
        assert all(len(places) == 1 for places in (*of_list.of_model, *of_list.of_data))


def test_synonyms_are_of_either_side_and_may_join_several():
    model, data = ("vocal", "Vocals", "singing", "piano"), ("voice", "Piano", "choir")
    for given in (
        {"voice": ["vocal", "vocals", "singing"]},
        {"vocal": "voice", "vocals": "Voice", "singing": "vocal"},
        {"merge": {"voice": ["vocal", "Vocals"]}, "rename": {"singing": "voice"}},
    ):
        found = matched(model, data, given)
        assert pairs(found, model, data) == [
            (["vocal", "Vocals", "singing"], ["voice"]),
            (["piano"], ["Piano"]),
        ]
    found = matched(model, data, {"drop": ["piano"], "rename": {"vocal": "voice"}})
    assert found.labels == ("voice",) and "piano" in found.only_model
    assert matched(model, data, {"organ": "voice"}).unknown == ("organ",)


def test_synonyms_from_files(tmp_path):
    (tmp_path / "names.toml").write_text('rap = "hip hop"\n"r&b" = ["soul", "rnb"]\n')
    found = read_synonyms(tmp_path / "names.toml")
    assert found == {"rap": ("hip hop",), "r&b": ("soul", "rnb")}
    (tmp_path / "names.json").write_text('{"rap": "hip hop"}')
    assert read_synonyms(str(tmp_path / "names.json")) == {"rap": ("hip hop",)}
    (tmp_path / "bad.toml").write_text("rap")
    with pytest.raises(ValueError, match="bad.toml' is not TOML"):
        read_synonyms(tmp_path / "bad.toml")
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        read_synonyms(tmp_path / "absent.json")
    with pytest.raises(ValueError, match="'rap' is 3; it must be a name or a list of names"):
        read_synonyms({"rap": 3})


def test_single_labels_of_both():
    found = matched(("a", "b", "c"), ("C", "A", "z"))
    scores = np.array([[0.2, 0.5, 0.3], [0.6, 0.2, 0.2], [0.1, 0.8, 0.1]])
    tasks = {"of_model": "single_label", "of_data": "single_label"}
    both = joined(found, scores, np.array([0, 1, 2]), **tasks)
    np.testing.assert_allclose(both["scores"], [[0.6, 0.4], [0.25, 0.75]])
    assert both["targets"].tolist() == [0, 1] and both["kept"].tolist() == [True, True, False]
    both = joined(found, np.array([[0, 1, 0], [0.6, 0.2, 0.2]]), np.array([0, 1]), **tasks)
    np.testing.assert_allclose(both["scores"], [[0.5, 0.5], [0.25, 0.75]])  # nothing for either
    merged = match(("a", "b", "c"), ("x", "c"), synonyms={"x": ("a", "b")})
    both = joined(merged, scores, np.array([0, 1, 0]), **tasks)
    np.testing.assert_allclose(both["scores"][:, 0], [0.7, 0.8, 0.9])


def test_tags_of_either():
    found = match(("a", "b", "c"), ("x", "c"), synonyms={"x": ("a", "b")})
    scores = np.array([[0.2, 0.9, 0.3], [0.6, 0.2, 0.2]])
    how = {"of_model": "multi_label", "of_data": "single_label"}
    both = joined(found, scores, np.array([0, 1]), **how)
    np.testing.assert_allclose(both["scores"], [[0.9, 0.3], [0.6, 0.2]])
    assert both["targets"].tolist() == [[1, 0], [0, 1]] and both["kept"].all()
    # Of two labels of the data that are one of the model, unknown is not absent.
    found = match(("x",), ("a", "b"), synonyms={"x": ("a", "b")})
    targets = np.array([[1, NAN], [0, NAN], [0, 0]])
    how = {"of_model": "single_label", "of_data": "multi_label"}
    both = joined(found, np.full((3, 1), 0.5), targets, **how)
    np.testing.assert_array_equal(both["targets"][:, 0], [1, NAN, 0])


def test_numbers_are_numbers():
    found = matched(("valence", "arousal"), ("Arousal",))
    how = {"of_model": "regression", "of_data": "regression"}
    both = joined(found, np.array([[1.0, 2.0]]), np.array([[3.0]]), **how)
    assert both["scores"].tolist() == [[2.0]] and both["targets"].tolist() == [[3.0]]
    with pytest.raises(ValueError, match="numbers and labels cannot be compared"):
        joined(
            found, np.ones((1, 2)), np.ones((1, 1)), of_model="regression", of_data="multi_label"
        )
    several = match(("valence", "arousal"), ("a",), synonyms={"a": ("valence", "arousal")})
    with pytest.raises(ValueError, match="several numbers cannot be one"):
        joined(several, np.ones((1, 2)), np.ones((1, 1)), **how)
