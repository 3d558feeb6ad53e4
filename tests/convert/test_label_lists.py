"""Label lists that ship: how many, which task, and the order that data sets publish."""

import csv

import numpy as np
import pytest

import mclf_jax as mclf
from mclf_jax.convert.run import read_labels
from mclf_jax.data.base.source import TASKS
from mclf_jax.data.catalogue.label_lists import LABEL_LISTS
from tests import SHARED

METADATA = SHARED / "metadata"
COUNTS = {
    "mtat": 50,
    "mtat_jongpillee": 50,
    "msd_lastfm": 50,
    "msd_cals": 50,
    "jamendo_top50": 50,
    "jamendo_genre": 87,
    "jamendo_instrument": 40,
    "jamendo_moodtheme": 56,
    "gtzan": 10,
    "keys": 24,
}


def test_counts_tasks_and_sources():
    assert {name: len(listed.labels) for name, listed in LABEL_LISTS.items()} == COUNTS
    for name, listed in LABEL_LISTS.items():
        assert len(set(listed.labels)) == len(listed.labels), name
        assert all(label == label.strip() != "" for label in listed.labels), name
        assert listed.task in TASKS and len(listed.source) > 20
        assert mclf.label_list(name) is listed
        assert read_labels(name) == listed
    single = [name for name in COUNTS if LABEL_LISTS[name].task == "single_label"]
    assert single == ["gtzan", "keys"]
    with pytest.raises(ValueError, match="label list is 'mtt'; allowed: mtat, mtat_jongpillee"):
        mclf.label_list("mtt")


def test_the_two_orders_of_magnatagatune_differ_in_two_columns():
    ours, theirs = (LABEL_LISTS[name].labels for name in ("mtat", "mtat_jongpillee"))
    different = [i for i in range(50) if ours[i] != theirs[i]]
    assert different == [47, 48]
    assert (ours[47], ours[48]) == ("metal", "female voice") == (theirs[48], theirs[47])


def test_sorted_lists_are_sorted():
    for name in ("jamendo_top50", "jamendo_genre", "jamendo_instrument", "jamendo_moodtheme"):
        assert list(LABEL_LISTS[name].labels) == sorted(LABEL_LISTS[name].labels)
    assert set(LABEL_LISTS["jamendo_top50"].labels) <= {
        label
        for name in ("jamendo_genre", "jamendo_instrument", "jamendo_moodtheme")
        for label in LABEL_LISTS[name].labels
    }


def published(name):
    path = METADATA / name
    if not path.exists():
        pytest.skip(f"the published metadata are not here: {path}")
    return path


def test_order_of_magnatagatune_as_published():
    tags = np.load(published("magnatagatune/tags.npy"), allow_pickle=False)
    assert tuple(tags.tolist()) == LABEL_LISTS["mtat"].labels


def test_order_of_the_million_song_dataset_as_published():
    lines = published("msd/50tagList.txt").read_text().splitlines()
    assert tuple(line.strip() for line in lines) == LABEL_LISTS["msd_lastfm"].labels


@pytest.mark.parametrize("name", ["top50tags", "instrument", "moodtheme"])
def test_labels_of_jamendo_are_those_of_the_splits(name):
    tags = set()
    for split in ("train", "validation", "test"):
        path = published(f"mtg_jamendo/autotagging_{name}-{split}.tsv")
        with path.open(newline="") as file:
            rows = csv.reader(file, delimiter="\t")
            next(rows)
            tags |= {tag for row in rows for tag in row[5:]}
    labels = LABEL_LISTS["jamendo_top50" if name == "top50tags" else f"jamendo_{name}"].labels
    assert tuple(sorted(tags)) == labels


def test_labels_of_gtzan_are_those_of_the_splits():
    lines = published("gtzan/train_filtered.txt").read_text().split()
    assert tuple(sorted({line.partition("/")[0] for line in lines})) == LABEL_LISTS["gtzan"].labels
