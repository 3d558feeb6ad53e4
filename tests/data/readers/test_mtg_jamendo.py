"""MTG-Jamendo: the real lists, the layouts of metadata and audio, licences of each song."""

import itertools

import pytest

from mclf_jax.data.catalogue.label_lists import label_list
from mclf_jax.data.readers import mtg_jamendo
from mclf_jax.data.sources.files import open_catalogue
from tests.data.readers.trees import by_split, real_metadata, write_lines, write_tone

HEADER = "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS"
ROWS = {
    "train": (
        "1000214 7 14/1000214.mp3 genre---rock mood/theme---happy",
        "215 8 15/215.mp3 genre---metal",
    ),
    "validation": ("948 9 48/948.mp3 genre---pop",),
    "test": ("950 10 50/950.mp3 instrument---piano genre---pop",),
}


def tree(root, *, folder="data/splits/split-0", tags="top50tags", audio="audio", low=""):
    for name, rows in ROWS.items():
        lines = []
        for row in rows:
            track, artist, path, *found = row.split()
            cells = (f"track_{track:0>7}", f"artist_{artist:0>6}", "album_000001", path, "251.7")
            lines.append("\t".join((*cells, *found)))
            write_tone(root / audio / path.replace(".mp3", f"{low}.mp3"))
        file = root / folder / f"autotagging{'_' * bool(tags)}{tags}-{name}.tsv"
        write_lines(file, HEADER, *lines)
    return root


@pytest.mark.parametrize("tags", ["top50", "instrument", "moodtheme"])
def test_the_real_lists(tags):
    folder = real_metadata("mtg_jamendo")
    name = mtg_jamendo._TAGS[tags]
    labels = mtg_jamendo._labels(tags)
    counts, artists, seen = {}, {}, set()
    for published, split in mtg_jamendo._SPLITS.items():
        items = list(
            mtg_jamendo._read_list(
                folder / f"{name}-{published}.tsv",
                split=split,
                labels=frozenset(labels),
                audio=folder,
                licences={},
            )
        )
        counts[split] = len(items)
        artists[split] = {item.group for item in items}
        seen.update(*(item.labels for item in items))
        assert all(item.group and item.columns["album"] for item in items)
        assert all(float(item.columns["duration_s"]) >= 30 for item in items)
    assert counts == mtg_jamendo.FACTS.splits[f"tags={tags}"]
    assert seen == set(labels)
    assert not any(a & b for a, b in itertools.combinations(artists.values(), 2))


def test_the_splits_differ_as_the_faults_say():
    folder = real_metadata("mtg_jamendo")

    def share(split, tag):
        lines = (folder / f"autotagging_top50tags-{split}.tsv").read_text().splitlines()[1:]
        return sum(tag in line.split("\t") for line in lines) / len(lines)

    for tag, ratio in (("instrument---computer", 2.6), ("genre---downtempo", 0.5)):
        assert share("test", tag) / share("train", tag) == pytest.approx(ratio, abs=0.05)


def test_all_is_the_three_together():
    labels = mtg_jamendo._labels("all")
    assert len(labels) == 183 and list(labels) == sorted(labels)
    assert set(label_list("jamendo_top50").labels) <= set(labels)
    assert sum(mtg_jamendo.FACTS.splits["tags=all"].values()) == 55525


@pytest.mark.parametrize("folder", ["data/splits/split-0", "splits/split-0", "split-0", "."])
def test_places_of_the_lists(tmp_path, folder):
    found = mtg_jamendo.catalogue(tree(tmp_path, folder=folder))
    assert by_split(found) == {"train": 2, "valid": 1, "test": 1}
    assert found.labels == label_list("jamendo_top50").labels
    first = found.items[0]
    assert first.labels == ("genre---rock", "mood/theme---happy")
    assert first.group == "artist_000007"
    assert first.columns == {
        "album": "album_000001",
        "duration_s": "251.7",
        "path": "14/1000214.mp3",
    }


@pytest.mark.parametrize(
    ("audio", "low"),
    [("audio", ""), ("raw_30s/audio", ""), ("raw_30s/audio-low", ".low"), ("", ".low")],
)
def test_places_of_the_audio(tmp_path, audio, low):
    assert len(mtg_jamendo.catalogue(tree(tmp_path, audio=audio, low=low)).items) == 4


def test_audio_may_lie_elsewhere(tmp_path):
    tree(tmp_path / "metadata", audio=tmp_path / "songs")
    for audio in ("../songs", str(tmp_path / "songs")):
        found = mtg_jamendo.catalogue(tmp_path / "metadata", audio=audio)
        assert len(found.items) == 4
    with pytest.raises(ValueError, match="audio='nowhere' must be a folder .*data/"):
        mtg_jamendo.catalogue(tmp_path / "metadata", audio="nowhere")
    with pytest.raises(ValueError, match="no audio of MTG-Jamendo"):
        mtg_jamendo.catalogue(tmp_path / "metadata")


def test_licences_of_the_songs(tmp_path):
    write_lines(
        tree(tmp_path) / "audio_licenses.txt",
        "14/1000214.mp3",
        "What a license: by A from Jamendo: http://www.jamendo.com/track/1000214",
        "Available under a Creative Commons Attribution license: http://example.org/by/3.0/",
        "",
    )
    items = mtg_jamendo.catalogue(tmp_path).items
    assert [item.licence for item in items] == ["http://example.org/by/3.0/", "", "", ""]


def test_other_splits_and_missing_songs(tmp_path):
    tree(tmp_path, folder="data/splits/split-3", tags="")
    (tmp_path / "audio/48/948.mp3").unlink()
    found = mtg_jamendo.catalogue(tmp_path, split=3, tags="all")
    assert found.skipped == (("track_0000948", "no such file"),)
    assert any("1 of 4" in note for note in found.notes)


def test_errors(tmp_path):
    with pytest.raises(ValueError, match="split-2/autotagging_genre-train.tsv .*found nothing"):
        mtg_jamendo.catalogue(tmp_path, split=2, tags="genre")
    tree(tmp_path, folder=".", tags="genre")
    with pytest.raises(ValueError, match="split=1 needs a folder split-1"):
        mtg_jamendo.catalogue(tmp_path, split=1, tags="genre")
    with pytest.raises(ValueError, match="line 2: track_1000214 has the unknown tags mood/theme"):
        mtg_jamendo.catalogue(tmp_path, tags="genre")
    (tmp_path / "autotagging_genre-test.tsv").unlink()
    with pytest.raises(ValueError, match="looked for autotagging_genre-test.tsv; found audio/"):
        mtg_jamendo.catalogue(tmp_path, tags="genre")
    with pytest.raises(ValueError, match="tags is .*; allowed: top50"):
        mtg_jamendo.catalogue(tmp_path, tags="mood")
    for split in (5, True, "0"):
        with pytest.raises(ValueError, match="split is .*; allowed: 0, 1, 2, 3, 4"):
            mtg_jamendo.catalogue(tmp_path, split=split)


def test_audio_is_read(tmp_path):
    source = open_catalogue(mtg_jamendo.catalogue(tree(tmp_path)), sample_rate_hz=4000)
    assert abs(source[0]["audio"]).max() > 0.3
    assert source[0]["label"].sum() == 2
    assert source.info.group_kind == "artist" and "leakage" not in " ".join(source.info.notes)
