"""What is other in the data is told song by song."""

import dataclasses

import numpy as np
import pytest

from mclf_jax.run import songs
from mclf_jax.run.directory import check_data, describe_run
from tests.small_run import small_model
from tests.songs import Songs


@pytest.fixture
def begun(tmp_path):
    source = Songs(12)
    songs.write(tmp_path, source)
    return tmp_path, source


class Others(Songs):
    """Songs whose labels and names are given."""

    labels = item_ids = None

    def item_id(self, index):
        return self.item_ids[index]


def changed(source, *, labels=None, ids=None, splits=None):
    other = Others(12)
    other.labels = source.labels if labels is None else labels
    other.item_ids = ids or [source.item_id(i) for i in range(12)]
    info = dataclasses.replace(source.info, fingerprint="other")
    other.info = dataclasses.replace(info, splits=splits or source.info.splits)
    return other


def test_each_kind_of_change_is_a_sentence(begun):
    folder, source = begun
    assert songs.changes(folder, source) == []
    labels = np.array(source.labels)
    labels[5] = 1 - labels[5]
    one = source.item_id(5)
    names = source.info.labels
    assert songs.changes(folder, changed(source, labels=labels)) == [
        f"1 song changed its label: {one} ({names[1 - labels[5]]} -> {names[labels[5]]})"
    ]
    ids = ["=new.wav", *(source.item_id(i) for i in range(1, 12))]
    assert songs.changes(folder, changed(source, ids=ids)) == [
        "1 song is new: =new.wav",
        f"1 song is gone: {source.item_id(0)}",
    ]
    splits = {**source.info.splits, "train": source.info.splits["train"][5:]}
    splits["test"] = np.concatenate([source.info.splits["test"], source.info.splits["train"][:5]])
    (said,) = songs.changes(folder, changed(source, splits=splits))
    assert said.startswith("5 songs are in other splits: ") and said.endswith("and 2 more")
    assert "(train -> test)" in said


def test_names_that_spreadsheets_would_run_are_read_back(tmp_path):
    source = changed(Songs(12), ids=["=1+1", "@x", "'y", *map(str, range(9))])
    songs.write(tmp_path, source)
    assert songs.changes(tmp_path, source) == []


def test_the_refusal_says_it(begun):
    folder, source = begun
    data = {"name": "songs", "fingerprint": "songs"}
    meta = describe_run(small_model(), task="single_label", labels=["low", "high"], data=data)
    labels = np.array(source.labels)
    labels[5] = 1 - labels[5]
    other = changed(source, labels=labels)
    with pytest.raises(
        ValueError, match="other data:\n  1 song changed its label: .*\n.*allow-data"
    ):
        check_data(folder, meta, other, data_change="refuse")
    check_data(folder, meta, other, data_change="allow")
