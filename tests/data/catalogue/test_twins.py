"""Labels that look the same are told of, with what merges them; merged, they are one."""

import unicodedata

import pytest

from mclf_jax import data
from mclf_jax.config import load
from mclf_jax.data.catalogue import twins
from mclf_jax.data.catalogue.items import Item
from mclf_jax.data.catalogue.label_lists import LABEL_LISTS
from tests import ROOT

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "bohème") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    "other",
    ["Hip-Hop", "HIP-HOP", "hip\u2011hop", "hip-hop\u200b", "\ufeffhip-hop", "hip\u00ad-hop"]
    + ["ｈｉｐ-ｈｏｐ", "hip-hop\ufe0f", "hip-hop\u00a0", "\thip-hop"],
)
def test_what_looks_the_same(other):
    assert twins.seen(other) == twins.seen("hip-hop")


@pytest.mark.parametrize("other", ["hip hop", "hiphop", "hip-hop 2", "hip_hop", "trip-hop"])
def test_what_does_not(other):
    assert twins.seen(other) != twins.seen("hip-hop")


def test_accents_and_words():
    assert twins.seen(COMPOSED) == twins.seen(DECOMPOSED) != twins.seen("boheme")
    assert twins.seen("new  wave") == twins.seen("New\u2003Wave") != twins.seen("newwave")
    assert twins.seen("STRASSE") == twins.seen("straße")
    assert not twins.seen("\u200b\u2060 \u3164")


@pytest.mark.parametrize("name", LABEL_LISTS)
def test_published_lists_have_none(name):
    assert not twins.find([], known=LABEL_LISTS[name].labels)


def _items(*labels):
    cells = enumerate(labels)
    return [Item(str(k), f"{k}.wav", labels=tuple(cell.split("|"))) for k, cell in cells]


def test_the_most_frequent_spelling_is_kept_else_the_first_by_name():
    items = _items("Rock", "rock", "rock", "jazz", "Pop", "pop", "rock|ROCK")
    found = twins.find(items)
    assert [dict(one) for one in found] == [
        {"Pop": 1, "pop": 1},
        {"rock": 3, "ROCK": 1, "Rock": 1},
    ]
    merged = twins.merge(items, found)
    assert [item.labels for item in merged] == [
        *[("rock",)] * 3, ("jazz",), ("Pop",), ("Pop",), ("rock",),
    ]  # fmt: skip
    assert not twins.find(merged)
    assert twins.merge(items[::-1], twins.find(items[::-1])) == merged[::-1]


def test_of_a_known_list_its_own_spelling_is_kept():
    (found,) = twins.find(_items("Rock", "Rock", "rock"), known=("rock", "jazz"))
    assert list(found.items()) == [("rock", 1), ("Rock", 2)]


def _folder(root, labels, *, header="path,label"):
    for k in range(len(labels)):
        (root / f"{k}.wav").touch()
    rows = [f"{k}.wav,{label}" for k, label in enumerate(labels)]
    (root / "manifest.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    return root


def test_a_folder_tells_of_them_and_merges_them(tmp_path):
    root = _folder(tmp_path, ["rock", "rock", "Rock", "jazz", COMPOSED, DECOMPOSED, "\u200b"])
    found = data.catalogue("folder", path=root)
    assert found.notes == (
        "labels that look the same and count as different: 'bohe\\u0300me' (1 file) and 'bohème'"
        " (1 file); 'rock' (2 files) and 'Rock' (1 file). data.args.merge_labels='twins' makes"
        " one of each",
    )
    assert [item.labels for item in found.items][:3] == [("rock",), ("rock",), ("Rock",)]
    assert found.items[6].labels == ()
    merged = data.catalogue("folder", path=root, merge_labels="twins")
    assert {label for item in merged.items for label in item.labels} == {"rock", "jazz", DECOMPOSED}
    assert merged.notes[-1].startswith("labels that look the same, merged into the first spelling")
    with pytest.raises(ValueError, match="merge_labels is 'case'; allowed: off, twins"):
        data.catalogue("folder", path=root, merge_labels="case")


def test_tags_that_were_looked_for_are_merged_too(tmp_path):
    cells = ["Flute|flute,banjo|FLUTE", "flute,", "banjo,Banjo"]
    root = _folder(tmp_path, cells, header="path,labels,observed")
    merged = data.catalogue("folder", path=root, merge_labels="twins").items
    assert [(item.labels, item.observed) for item in merged] == [
        (("flute",), ("banjo", "flute")),
        (("flute",), None),
        (("banjo",), ("banjo",)),
    ]


def test_subfolders_and_the_spelling_of_a_list(tmp_path):
    for folder in ("Rock", "rock", "ROCK", "jazz"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "0.wav").touch()
    (note,) = data.catalogue("folder", path=tmp_path).notes
    assert "'ROCK' (1 file) and 'Rock' (1 file) and 'rock' (1 file)" in note
    kept = data.catalogue("folder", path=tmp_path, labels="gtzan")
    assert (len(kept.items), len(kept.skipped)) == (2, 2)
    assert "merge_labels='twins' takes 'ROCK', 'Rock' for labels of the list; " in kept.notes[0]
    merged = data.catalogue("folder", path=tmp_path, labels="gtzan", merge_labels="twins")
    assert [item.labels for item in merged.items] == [("rock",)] * 2 + [("jazz",)] + [("rock",)]


def test_the_option_is_one_of_the_config():
    path = f"{ROOT}/configs/folder.py:path=DIR"
    assert "merge_labels" not in load(path).data.args
    config = load(path, overrides=["--config.data.args.merge_labels=twins"])
    assert config.data.args.merge_labels == "twins"
    with pytest.raises(ValueError, match="has no field 'data.args.merge_label'"):
        load(path, overrides=["--config.data.args.merge_label=twins"])
