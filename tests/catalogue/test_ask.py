"""Which songs have tags, and which sound alike."""

import sys

import numpy as np
import pytest

from mclf_jax.catalogue import ask, nearest
from mclf_jax.catalogue.ask import search, similar
from tests.catalogue.made import SCORES, embedding_of, make, network

pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made") / "catalogue").folder


def names(found):
    return [song["path"].removeprefix("/songs/") for song in found["songs"]]


def test_tags_by_their_thresholds(folder):
    found = search(folder, "rock, not vocals")  # from .3 on, and below .5
    assert names(found) == ["a/1.wav", "c.wav", "b/1.wav"] and (found["found"], found["of"]) == (
        3,
        5,
    )
    assert found["songs"][0]["score"] == pytest.approx(0.9)
    assert found["songs"][1]["scores"] == pytest.approx({"rock": 0.6, "vocals": 0.05})
    assert names(search(folder, ["rock", "not vocals"], count=1)) == ["a/1.wav"]
    assert names(search(folder, ["path"])) == ["b/1.wav", "b/3.wav"]


def test_one_label_a_song_is_its_best(tmp_path):
    made = make(tmp_path, network=network(task="single_label", thresholds={}))
    assert names(search(made.folder, "rock")) == ["a/1.wav", "c.wav"]
    assert names(search(made.folder, "not rock")) == ["b/3.wav", "b/1.wav", "a/2.wav"]


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ("jazz", "a tag is 'jazz'; .* has scores of rock, vocals, path"),
        (" , ", "tags is empty; it may name rock"),
        ("rock,not rock", "no song can be: rock and not rock"),
    ],
)
def test_tags_that_are_none(folder, tags, said):
    with pytest.raises(ValueError, match=said):
        search(folder, tags)


def test_numbers_are_no_tags(tmp_path):
    made = make(tmp_path, network=network(task="regression", thresholds={}))
    with pytest.raises(ValueError, match="has numbers, which are no tags"):
        search(made.folder, "rock")


def by_numpy(path):
    """[(cosine, path)] of the other songs, the nearest first."""
    others = SCORES.keys() - {path}
    return sorted((float(embedding_of(path) @ embedding_of(o)) / 49, o) for o in others)[::-1]


@pytest.mark.parametrize("method", ["exact", "usearch"])
def test_similar_songs(folder, method, monkeypatch):
    if method == "usearch":
        pytest.importorskip("usearch")
        monkeypatch.setattr(nearest, "EXACT_BELOW", 2)
    for _ in range(2):  # made, and kept
        found = similar(folder, "/songs/a/1.wav", count=3)
        assert (found["method"], found["of"]) == (method, 5)
        expected = by_numpy("/songs/a/1.wav")[:3]
        assert [song["path"] for song in found["songs"]] == [path for _, path in expected]
        scores = [song["score"] for song in found["songs"]]
        np.testing.assert_allclose(scores, [score for score, _ in expected], atol=1e-5)
        assert found["songs"][0]["duration_s"] == 2.5
    assert (folder / "index.usearch").exists() == (method == "usearch")


def test_a_song_by_the_end_of_its_path(folder):
    assert similar(folder, "b/3.wav") == similar(folder, "/songs/b/3.wav")
    assert len(similar(folder, "c.wav")["songs"]) == 4
    with pytest.raises(ValueError, match="1.wav may be one of 2 songs: /songs/a/1.wav, /songs/b"):
        similar(folder, "1.wav")
    with pytest.raises(FileNotFoundError, match="x.wav is no song of .*, and no file"):
        similar(folder, "x.wav")


def test_a_file_that_ends_like_a_song_is_heard(folder, tmp_path, monkeypatch):
    """It is another song, whatever the catalogue has under that name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.wav").write_bytes(b"another")
    heard = []
    embedding = embedding_of("/songs/a/1.wav")
    monkeypatch.setattr(ask, "_heard", lambda _, song, model: heard.append(song) or embedding)
    assert similar(folder, "c.wav")["songs"][0]["path"] == "/songs/a/1.wav" and heard == ["c.wav"]


def test_what_is_done_can_be_asked(tmp_path):
    made = make(tmp_path, shards=1)
    assert search(made.folder, "rock")["of"] == 2
    with pytest.raises(ValueError, match="has no songs yet"):
        similar(make(tmp_path / "empty", shards=0).folder, "a/1.wav")


def test_usearch_is_named_where_it_is_needed(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    monkeypatch.setattr(nearest, "EXACT_BELOW", 2)
    with pytest.raises(ImportError, match=r"has 5 songs, .* pip install 'mclf-jax\[catalogue\]'"):
        similar(folder, "c.wav")
