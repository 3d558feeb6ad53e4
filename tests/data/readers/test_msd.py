"""Million Song Dataset: the forms of the lists, the songs, and pickles that are not opened."""

import dataclasses
import pickle

import numpy as np
import pytest

from mclf_jax.data.catalogue.label_lists import label_list
from mclf_jax.data.readers import msd
from mclf_jax.data.sources.files import open_catalogue
from tests.data.readers.trees import by_split, real_metadata, write_lines, write_tone

CALS, LASTFM = label_list("msd_cals").labels, label_list("msd_lastfm").labels
A, B, C, D, E = (f"TRAAA{letter}K000F0000000" for letter in "ABCDE")
LISTS = {"train": (A, B), "valid": (C,), "test": (D,)}


def write_arrays(folder, lists=LISTS, *, ids="{}_ids.npy", tags="{}_binaries.npy"):
    """Song i of all has the tags i and i + 1."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for split, tracks in lists.items():
        rows = np.zeros((len(tracks), 50))
        for row in rows:
            row[number : number + 2] = 1
            number += 1
        if ids.endswith(".txt"):
            write_lines(folder / ids.format(split), *tracks)
        else:
            np.save(folder / ids.format(split), np.array(tracks))
        np.save(folder / tags.format(split), rows)
    return folder


def write_songs(folder, *tracks, suffix=".mp3"):
    for track in tracks:
        write_tone(folder / track[2] / track[3] / track[4] / f"{track}{suffix}")


@pytest.fixture
def root(tmp_path):
    write_songs(tmp_path / "audio", A, B, C, D, E)
    return tmp_path


@pytest.mark.slow
def test_the_real_tag_list_and_the_real_ids(tmp_path):
    folder = real_metadata("msd")
    assert tuple((folder / "50tagList.txt").read_text().split("\n")[:50]) == LASTFM
    lists = {
        split: np.load(folder / f"cals_{split}_ids.npy").tolist() for split in ("valid", "test")
    }
    for split, tracks in lists.items():
        assert len(set(tracks)) == msd.FACTS.splits["labels=cals"][split]
        np.save(tmp_path / f"{split}_ids.npy", np.array(tracks))
        np.save(tmp_path / f"{split}_binaries.npy", np.eye(50)[np.arange(len(tracks)) % 50])
    write_arrays(tmp_path, {"train": (A, B)})
    here = (A, lists["valid"][7], lists["test"][-1])
    write_songs(tmp_path / "audio", *here)
    found = msd.catalogue(tmp_path)
    assert {item.item_id for item in found.items} == set(here)
    assert {item.item_id: item.labels for item in found.items}[here[1]] == (CALS[7],)
    assert len(found.skipped) == 34730 + 34913 + 2 - 3
    assert {reason for _, reason in found.skipped} == {"no such file"}


@pytest.mark.parametrize("folder", ["", "splits", "data/splits", "cals_annotation"])
def test_cals_arrays(root, folder):
    write_arrays(root / folder)
    found = msd.catalogue(root)
    assert by_split(found) == {"test": 1, "valid": 1, "train": 2}
    assert found.labels == CALS
    assert {item.item_id: item.labels for item in found.items} == {
        A: CALS[:2],
        B: CALS[1:3],
        C: CALS[2:4],
        D: CALS[3:5],
    }


def test_students_are_unlabelled_and_none_is_left_out(root):
    write_arrays(root)
    # as published: ids, splits and a length in samples; an empty cell is NONE
    rows = (f"{A}\tTRAIN\t1", f"{E}\tSTUDENT\t1", f"{E[:-1]}0\tNONE\t1", f"{E[:-1]}1\t\t1")
    write_lines(root / "msd_splits.tsv", "clip_ids\tsplits\tlength", *rows)
    found = msd.catalogue(root)
    assert by_split(found) == {"test": 1, "valid": 1, "train": 2, "unlabelled": 1}
    assert "2 songs of the split NONE are left out" in found.notes
    np.save(root / "student_ids.npy", np.array([E]))
    assert msd.catalogue(root).items == found.items


def test_lastfm_text_lists(root):
    write_arrays(root, ids="{}_x_msd_id.txt", tags="{}_y.npy")
    found = msd.catalogue(root, labels="lastfm")
    assert found.labels == LASTFM
    assert found.items[-1].labels == LASTFM[1:3]


def test_a_table_of_ones_own(root):
    rows = (f"{A},train,rock|pop", f"{B},TRAIN,pop", f"{C},validation,rock", f"{D},test,rock")
    write_lines(root / "tracks.csv", "track_id,split,tags", *rows, f"{E},student,")
    found = msd.catalogue(root)
    assert by_split(found) == {"train": 2, "valid": 1, "test": 1, "unlabelled": 1}
    assert found.items[0].labels == ("pop", "rock")
    write_lines(root / "tracks.csv", "track_id,split,tags", *rows, f"{E},test,")
    with pytest.raises(ValueError, match="line 6: in the split test but without a tag"):
        msd.catalogue(root)
    write_lines(root / "tracks.csv", "track_id,split,tags", f"{A},train,polka")
    with pytest.raises(ValueError, match="line 2: polka not in the tags of labels='cals'"):
        msd.catalogue(root)
    write_lines(root / "tracks.csv", "track_id,split,tags", f"{A},dev,rock")
    with pytest.raises(ValueError, match="line 2: split is 'dev'; allowed are TRAIN"):
        msd.catalogue(root)
    write_lines(root / "tracks.csv", "track_id,split,tags", "8947470,train,rock")
    with pytest.raises(ValueError, match="line 2: '8947470' is not a track id"):
        msd.catalogue(root)


def test_a_song_in_two_splits_counts_in_test(root):
    write_arrays(root, {"train": (A, B, D), "valid": (C,), "test": (D,)})
    found = msd.catalogue(root)
    assert by_split(found) == {"test": 1, "valid": 1, "train": 2}
    assert found.skipped == ((D, "listed in test too, where it counts"),)


def test_a_labelled_song_without_a_tag_is_negative_not_unlabelled(root):
    write_arrays(root)
    np.save(root / "test_binaries.npy", np.zeros((1, 50)))
    found = msd.catalogue(root)
    assert found.items[0].item_id == D and found.items[0].is_labelled


def test_years(root):
    write_arrays(root)
    assert "year" not in msd.catalogue(root).items[0].columns
    rows = (f"1969<SEP>{A}<SEP>An artist<SEP>A title", f"2001<SEP>{E}<SEP>Another<SEP>A <SEP> b")
    file = write_lines(root / "AdditionalFiles" / "tracks_per_year.txt", *rows)
    years = {item.item_id: item.columns.get("year") for item in msd.catalogue(root).items}
    assert years == {A: "1969", B: None, C: None, D: None}
    write_lines(file, f"in 1969<SEP>{A}<SEP>An artist<SEP>A title")
    with pytest.raises(ValueError, match="line 1: expected year, track, artist and title"):
        msd.catalogue(root)


def test_artists(root):
    write_arrays(root)
    assert any("unique_tracks.txt" in note for note in msd.catalogue(root).notes)
    rows = [f"{track}<SEP>SO1<SEP>Artist {track[5]}<SEP>Title, é" for track in (A, C, E)]
    write_lines(root / "unique_tracks.txt", *rows)
    found = {item.item_id: item for item in msd.catalogue(root).items}
    assert found[A].group == "Artist A" and found[B].group == ""
    assert found[C].columns == {"song_id": "SO1", "artist": "Artist C", "title": "Title, é"}
    write_lines(root / "unique_tracks.txt", rows[0], "TRX<SEP>only two")
    with pytest.raises(ValueError, match="line 2: expected track, song, artist and title"):
        msd.catalogue(root)


def test_places_of_the_songs(tmp_path):
    write_arrays(tmp_path)
    write_tone(tmp_path / "audio" / f"{A}.clip.mp3")
    write_tone(tmp_path / "audio/deep/er" / f"{B}.wav")
    write_tone(tmp_path / "songs/8/9/8947470.clip.mp3")
    assert {item.item_id for item in msd.catalogue(tmp_path).items} == {A, B}
    write_lines(tmp_path / "paths.csv", "track_id,path", f"{D},8/9/8947470.clip.mp3")
    found = msd.catalogue(tmp_path, audio="songs", audio_paths="paths.csv")
    assert [item.item_id for item in found.items] == [D]
    assert len(found.skipped) == 3
    with pytest.raises(ValueError, match="looked for other.csv"):
        msd.catalogue(tmp_path, audio="songs", audio_paths="other.csv")
    with pytest.raises(ValueError, match="audio='mp3' must be a folder"):
        msd.catalogue(tmp_path, audio="mp3")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no audio of Million Song.*empty/A/A/A/TRAAADK"):
        msd.catalogue(tmp_path, audio="empty")


class _Trap:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


def test_pickles_are_never_opened(root):
    trap = pickle.dumps(_Trap())
    (root / "filtered_list_train.cP").write_bytes(trap)
    (root / "MSD_id_to_7D_id.pkl").write_bytes(trap)
    with pytest.raises(ValueError, match=r"filtered_list_train.cP: pickles .* train_ids.npy"):
        msd.catalogue(root, labels="lastfm")
    write_arrays(root)
    np.save(root / "train_ids.npy", np.array([A, _Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"train_ids.npy is not a plain array .*dtype=str"):
        msd.catalogue(root)


def test_errors(root, monkeypatch):
    with pytest.raises(ValueError, match=r"looked for train_ids.npy or .*tracks.csv.*found audio/"):
        msd.catalogue(root)
    write_arrays(root)
    with pytest.raises(ValueError, match="labels is .*; allowed: cals, lastfm"):
        msd.catalogue(root, labels="top50")
    np.save(root / "test_binaries.npy", np.ones((2, 50)))
    with pytest.raises(ValueError, match=r"0 or 1 in \[1, 50\].*shape \[2, 50\]"):
        msd.catalogue(root)
    (root / "valid_ids.npy").unlink()
    with pytest.raises(ValueError, match="looked for valid_ids.npy"):
        msd.catalogue(root)
    write_arrays(root)
    sizes = {"labels=cals": {"train": 2, "valid": 1, "test": 1}, "labels=lastfm": {}}
    monkeypatch.setattr(msd, "FACTS", dataclasses.replace(msd.FACTS, splits=sizes))
    with pytest.raises(ValueError, match="have the sizes of labels='cals', got labels='lastfm'"):
        msd.catalogue(root, labels="lastfm")


def test_audio_is_read(root):
    write_arrays(root)
    np.save(root / "student_ids.npy", np.array([E]))
    source = open_catalogue(msd.catalogue(root), sample_rate_hz=4000)
    assert abs(source[0]["audio"]).max() > 0.3
    assert source[0]["label"].sum() == 2
    assert len(source.info.splits["unlabelled"]) == 1


def test_a_song_that_is_listed_with_two_paths(root):
    write_lines(root / "tracks.csv", "track_id,split,tags", f"{A},TRAIN,rock")
    write_lines(root / "paths.csv", "track_id,path", f"{A},a.mp3", f"{A},a.mp3", f"{A},b.mp3")
    with pytest.raises(ValueError, match="paths.csv, line 4: .*b.mp3, and .*a.mp3 above"):
        msd.catalogue(root, audio_paths="paths.csv")
