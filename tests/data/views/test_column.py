"""A column in place of labels: what is learnt of it, in which splits, and what is refused."""

import numpy as np
import pytest

from mclf_jax.data.base.targets import in_own_unit
from mclf_jax.data.views.pretext import apply
from tests.data.labelled import labelled

YEARS = tuple(str(1955 + 5 * (i % 10)) if i % 8 else "" for i in range(40))
ALBUMS = tuple(f"album {i % 3}" for i in range(40))
MOODS = tuple("happy|calm" if i % 2 else "calm" for i in range(40))
SPLITS = {"train": range(20), "valid": range(20, 30), "test": range(30, 40)}


def source_of(**columns):
    columns = {"year": YEARS, "album": ALBUMS, "mood": MOODS, **columns}
    return labelled(np.arange(40) % 2, splits=SPLITS, columns=columns, parents={"a": "b"})


def test_numbers_become_regression_that_keeps_their_unit():
    source = source_of()
    seen = apply(source, "column", column="year")
    assert seen.info.task == "regression" and not seen.info.parents
    assert {split: list(items) for split, items in seen.info.splits.items()} == {
        "train": [i for i in range(20) if i % 8],
        "valid": [i for i in range(20, 30) if i % 8],
        "test": [i for i in range(30, 40) if i % 8],
        "unlabelled": [0, 8, 16],
    }
    train = seen.labels[seen.info.splits["train"], 0]
    assert abs(train.mean()) < 1e-2 and abs(train.std() - 1) < 1e-2
    assert seen.info.labels == ("year",)
    years = [float(YEARS[i]) for i in seen.info.splits["test"]]
    back = in_own_unit(seen.labels[seen.info.splits["test"]], seen.info.unit)
    assert back[:, 0].tolist() == years and back.dtype == np.float32
    assert np.isnan(seen.labels[0, 0])
    assert "3 items of valid and test have none" not in seen.info.notes[-1]
    assert "2 items of valid and test have none" in seen.info.notes[-1]
    plain = apply(source, "column", column="year", scaling="none")
    assert plain.info.unit == () and plain.labels[1, 0] == 1960
    assert apply(source, "column", column="album").info.unit == ()
    assert plain.info.fingerprint != seen.info.fingerprint


def test_eras_are_labels_in_their_order():
    seen = apply(source_of(), "column", column="year", edges=(1970, 1980))
    assert seen.info.task == "single_label"
    assert seen.info.labels == ("before 1970", "1970 up to 1980", "from 1980")
    one = apply(source_of(), "column", column="year", edges=1970)
    assert one.info.labels == ("before 1970", "from 1970")
    of_item = {YEARS[i]: seen.labels[i] for i in seen.info.splits["train"]}
    assert (of_item["1965"], of_item["1970"], of_item["1980"]) == (0, 1, 2)


def test_words_are_one_label_or_tags():
    album = apply(source_of(), "column", column="album")
    assert album.info.labels == ("album 0", "album 1", "album 2")
    np.testing.assert_array_equal(album.labels[:4], [0, 1, 2, 0])
    mood = apply(source_of(), "column", column="mood")
    assert (mood.info.task, mood.info.labels) == ("multi_label", ("calm", "happy"))
    np.testing.assert_array_equal(mood.labels[:2], [[1, 0], [1, 1]])
    years = apply(source_of(), "column", column="year", kind="single_label", min_items=2)
    assert years.info.labels == tuple(sorted(years.info.labels))
    counts = np.bincount(years.labels[years.info.splits["train"]])
    assert counts.min() >= 2


def test_labels_that_train_has_not_are_left_out():
    albums = ("x", "y") * 10 + ("z", "x") * 10
    seen = apply(source_of(album=albums), "column", column="album")
    assert seen.info.labels == ("x", "y")
    assert list(seen.info.splits["test"]) == [31, 33, 35, 37, 39]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"column": "tempo"}, "column is 'tempo'; allowed: year, album, mood"),
        ({"column": "album", "kind": "regression"}, "is 'album 0' at item 0, which is no number"),
        ({"column": "year", "edges": (1980, 1970)}, "numbers that rise"),
        ({"column": "year", "edges": "1970"}, "edges is '1970'; it must be numbers that rise"),
        ({"column": "year", "edges": (1,), "kind": "regression"}, "but kind is 'regression'"),
        ({"column": "album", "min_items": 9}, "has 0 label.s. with 9 items"),
        ({"column": "none"}, "is empty in train of labelled"),
    ],
)
def test_what_is_refused(arguments, message):
    columns = {"none": ("",) * 40} if arguments["column"] == "none" else {}
    with pytest.raises(ValueError, match=message):
        apply(source_of(**columns), "column", **arguments)
