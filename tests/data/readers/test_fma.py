"""FMA: two header lines, four sizes, genres alone, as tags and in their hierarchy."""

import csv

import pytest

from mclf_jax.data.readers import fma
from mclf_jax.data.sources.files import open_catalogue
from tests.data.readers.trees import RATE_HZ, by_split, write_lines, write_tone

HEADER = [
    ("", ""),
    ("album", "id"),
    ("artist", "id"),
    ("artist", "name"),
    ("set", "split"),
    ("set", "subset"),
    ("track", "genre_top"),
    ("track", "genres"),
    ("track", "license"),
    ("track", "title"),
]
# id, album, artist id, artist, split, subset, genre_top, genres
TRACKS = [
    (2, 1, 1, "AWOL", "training", "small", "Hip-Hop", "[21]"),
    (5, 1, 1, "AWOL", "training", "small", "Rock", "[89]"),
    (10, 6, 6, "Kurt Vile", "validation", "small", "Rock", "[12]"),
    (140, 61, 54, "Alec K.", "test", "small", "Hip-Hop", "[21]"),
    (1039, 2, 7, "Nico", "training", "medium", "Jazz", "[4]"),
    (20, 4, 4, "Nicky Cook", "training", "large", "", "[89, 21]"),
    (30, 4, 4, "Nicky Cook", "training", "large", "", "[]"),
]


def tree(root, *, folder="fma_small", tracks=TRACKS, missing=(), dates=()):
    write_lines(
        root / "fma_metadata/genres.csv",
        "genre_id,#tracks,parent,title,top_level",
        "4,1,0,Jazz,4",
        "12,2,0,Rock,12",
        "21,3,0,Hip-Hop,21",
        "25,1,12,Punk,12",
        "89,2,25,Post-Punk,12",
        "111,1,25,Power-Pop,12",
    )
    with (root / "fma_metadata/tracks.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        header = [*HEADER, ("album", "date_released"), ("track", "date_recorded")]
        header = header if dates else HEADER
        rows.writerows(zip(*header, strict=True))
        rows.writerow(["track_id"] + [""] * (len(header) - 1))
        for number, (*cells, genres) in enumerate(tracks):
            title = 'A "title",\nin two lines'
            rows.writerow([*cells, genres, "Attribution", title, *(dates and dates[number % 3])])
    for track_id, *_ in tracks:
        if track_id not in missing:
            write_tone(root / folder / f"{track_id:06d}"[:3] / f"{track_id:06d}.mp3")
    return root


def test_dates(tmp_path):
    assert "year" not in fma.catalogue(tree(tmp_path / "without")).items[0].columns
    dates = [("2009-01-05 00:00:00", "2008-11-26"), ("", "2008-11-26 00:00:00"), ("", "")]
    found = fma.catalogue(tree(tmp_path / "with", dates=dates)).items
    assert [item.columns["year"] for item in found] == ["2009", "2008", "", "2009"]
    assert found[0].columns["date_released"] == "2009-01-05"
    assert found[1].columns["date_recorded"] == "2008-11-26"


def test_small_with_one_genre_a_track(tmp_path):
    found = fma.catalogue(tree(tmp_path))
    assert found.task == "single_label" and found.labels == ("Hip-Hop", "Rock")
    assert [(i.item_id, i.split, i.labels, i.group) for i in found.items] == [
        ("000002", "train", ("Hip-Hop",), "1"),
        ("000005", "train", ("Rock",), "1"),
        ("000010", "valid", ("Rock",), "6"),
        ("000140", "test", ("Hip-Hop",), "54"),
    ]
    assert found.items[0].file == str(tmp_path / "fma_small/000/000002.mp3")
    assert found.items[0].licence == "Attribution"
    assert found.items[2].columns["artist"] == "Kurt Vile"
    assert not found.parents and not found.skipped and not found.notes


def test_medium_is_read_from_the_folder_of_large_and_contains_small(tmp_path):
    found = fma.catalogue(tree(tmp_path, folder="fma_large"), subset="medium")
    assert found.labels == ("Hip-Hop", "Jazz", "Rock")
    assert by_split(found) == {"train": 3, "valid": 1, "test": 1}
    assert found.items[-1].file == str(tmp_path / "fma_large/001/001039.mp3")


def test_genres_as_tags_and_closed_under_their_ancestors(tmp_path):
    tree(tmp_path, folder="fma_full")
    tags = fma.catalogue(tmp_path, subset="full", labels="genres")
    assert tags.task == "multi_label"
    assert tags.labels == ("Jazz", "Rock", "Hip-Hop", "Post-Punk")  # in the order of genres.csv
    assert not tags.parents
    closed = fma.catalogue(tmp_path, subset="full", labels="hierarchy")
    assert closed.labels == ("Jazz", "Rock", "Hip-Hop", "Punk", "Post-Punk")
    assert closed.parents == {"Punk": "Rock", "Post-Punk": "Punk"}
    labels = {item.item_id: set(item.labels) for item in closed.items}
    assert labels["000005"] == {"Post-Punk", "Punk", "Rock"}
    assert labels["000020"] == {"Post-Punk", "Punk", "Rock", "Hip-Hop"}
    for item in closed.items:
        assert all(closed.parents.get(label, label) in item.labels for label in item.labels)


def test_tracks_without_a_genre_are_unlabelled_and_counted(tmp_path):
    tree(tmp_path, folder="fma_large")
    one = fma.catalogue(tmp_path, subset="large")
    assert [i.item_id for i in one.items if i.split == "unlabelled"] == ["000020", "000030"]
    assert one.notes == ("2 tracks have no genre_top: they are in the split unlabelled",)
    tags = fma.catalogue(tmp_path, subset="large", labels="genres")
    assert [i.item_id for i in tags.items if i.split == "unlabelled"] == ["000030"]


def test_genres_of_one_title_stay_two_labels(tmp_path):
    tree(tmp_path)
    with (tmp_path / "fma_metadata/genres.csv").open("a") as file:
        file.write("900,1,4,Punk,4\n")
    tracks = fma.catalogue(tmp_path, labels="hierarchy")
    assert tracks.parents["Post-Punk"] == "Punk (25)"


def test_known_faults_and_missing_files_are_listed(tmp_path):
    short = (98565, 1, 9, "x", "training", "small", "Rock", "[12]")
    tree(tmp_path, tracks=[*TRACKS, short], missing=[10])
    found = fma.catalogue(tmp_path)
    assert found.skipped == (
        ("098565", "shorter than 30 s: a known fault of FMA"),
        ("000010", "no such file"),
    )
    assert "1 of 4 listed files are not on disk" in found.notes[0]
    assert len(fma._SHORT_CLIPS) == 21


def test_wrong_folders_and_options_say_what_is_needed(tmp_path):
    with pytest.raises(ValueError, match="looked for fma_metadata/tracks.csv"):
        fma.catalogue(tmp_path)
    tree(tmp_path)
    with pytest.raises(ValueError, match=r"looked for fma_large; found .*fma_small/"):
        fma.catalogue(tmp_path, subset="large")
    with pytest.raises(ValueError, match="subset is 'tiny'; allowed: small, medium"):
        fma.catalogue(tmp_path, subset="tiny")
    with pytest.raises(ValueError, match="labels is 'moods'; allowed: genre_top"):
        fma.catalogue(tmp_path, labels="moods")
    write_lines(tmp_path / "fma_metadata/tracks.csv", "track_id,title", "2,Food")
    with pytest.raises(ValueError, match="two header lines with the columns set.split"):
        fma.catalogue(tmp_path)


def test_genres_above_each_other_in_a_circle(tmp_path):
    tree(tmp_path)
    file = tmp_path / "fma_metadata/genres.csv"
    file.write_text(file.read_text() + "901,0,902,One,901\n902,0,901,Other,901\n")
    with pytest.raises(ValueError, match=r"genres.csv: .* in a circle: \[90"):
        fma.catalogue(tmp_path)


@pytest.mark.parametrize("cell, bad", [("training", "train"), ("[12]", "[13]"), ("[12]", "12, 3")])
def test_rows_that_are_not_understood_name_their_line(tmp_path, cell, bad):
    row = tuple(bad if value == cell else value for value in (2, 1, 1, "a", "training", "small",
                                                              "Rock", "[12]"))  # fmt: skip
    tree(tmp_path, tracks=[row])
    with pytest.raises(ValueError, match=r"tracks.csv, line 5: id, split or genres"):
        fma.catalogue(tmp_path, labels="genres")


def test_opens(tmp_path):
    files = open_catalogue(
        fma.catalogue(tree(tmp_path), labels="hierarchy"), sample_rate_hz=RATE_HZ
    )
    assert files.info.group_kind == "artist"
    assert files.info.parents == {"Punk": "Rock", "Post-Punk": "Punk"}
    assert files.info.columns["album_id"] == ("1", "1", "6", "61")
    assert {name: list(found) for name, found in files.info.splits.items()} == {
        "train": [0, 1],
        "valid": [2],
        "test": [3],
    }
    example = files[1]
    assert len(example["audio"]) == pytest.approx(RATE_HZ / 2, rel=0.2)
    assert list(example["label"]) == [1, 0, 1, 1]
