"""DEAM: two tables of songs, ratings over time, and artists where the metadata is there."""

import pytest

from mclf_jax.data.readers import deam
from mclf_jax.data.sources.files import open_catalogue
from tests.data.readers.trees import RATE_HZ, by_split, write_lines, write_tone

FIRST, LAST = (2, 3, 1001, 1002), (2001, 2002)
AVERAGED = "annotations averaged per song"


def tree(
    root,
    *,
    annotations="annotations",
    audio="MEMD_audio",
    metadata="metadata",
    missing=(),
    duration_s=0.5,
):
    song_level = root / annotations / AVERAGED / "song_level"
    write_lines(
        song_level / "static_annotations_averaged_songs_1_2000.csv",
        "song_id, valence_mean, valence_std, arousal_mean, arousal_std",
        *(f"{song}, 3.1, 0.94, 3.0, 0.63" for song in FIRST),
    )
    write_lines(
        song_level / "static_annotations_averaged_songs_2000_2058.csv",
        "song_id, valence_mean, valence_std, valence_ max_mean, arousal_mean, arousal_std",
        *(f"   {song},         3.2 ,   0.98,    5.0 ,   6.6 ,   0.8" for song in LAST),
    )
    dynamic = root / annotations / AVERAGED / "dynamic (per second annotations)"
    header = "song_id,sample_15000ms,sample_15500ms,sample_45000ms"
    for name in ("valence", "arousal"):  # excerpts have fewer times than songs
        write_lines(
            dynamic / f"{name}.csv",
            header,
            *(f"{song},0.1,-0.2," for song in FIRST),
            *(f"{song},0.1,-0.2,0.3" for song in LAST),
        )
    if metadata:
        write_lines(
            root / metadata / "metadata_2013.csv",
            "song_id,file_name,Artist,Song title,start,end,Genre",
            '2,2.mp3,"\tAlice ","\tOne, two",1.0,1.45,Blues',
            "3,3.mp3,Bob,Three,1.0,1.45,Blues",
        )
        write_lines(
            root / metadata / "metadata_2014.csv",
            "Id,Artist,Album,Track,Genre",
            "1001,alice,A,T,Rock,and,more,cells",
        )
        write_lines(
            root / metadata / "metadata_2015.csv",
            "id,Filename,title,artist,album,genre",
            "2001,a.mp3,T,Carol,A,Rock",
        )
    for song in FIRST + LAST:
        if song not in missing:
            write_tone(root / audio / f"{song}.mp3", duration_s=duration_s)
    return root


@pytest.mark.parametrize(
    "annotations, audio, metadata",
    [
        ("annotations", "MEMD_audio", "metadata"),
        ("DEAM_Annotations/annotations", "DEAM_audio/MEMD_audio", "metadata/metadata"),
        (".", "audio/MEMD_audio", "."),
    ],
)
def test_layouts(tmp_path, annotations, audio, metadata):
    found = deam.catalogue(tree(tmp_path, annotations=annotations, audio=audio, metadata=metadata))
    assert found.task == "regression" and found.labels == ("valence", "arousal")
    assert [(item.item_id, item.values) for item in found.items] == [
        *((str(song), (3.1, 3.0)) for song in FIRST),
        *((str(song), (3.2, 6.6)) for song in LAST),
    ]
    assert by_split(found) == {"train": 4, "test": 2}
    assert found.items[0].file == str(tmp_path / audio / "2.mp3")
    assert [item.group for item in found.items] == [
        *("alice", "bob", "alice", "song 1002", "carol", "song 2002"),
    ]
    assert found.facts.group == "artist" and not found.notes


def test_without_metadata_groups_are_songs(tmp_path):
    found = deam.catalogue(tree(tmp_path, metadata=None))
    assert len({item.group for item in found.items}) == 6
    assert found.facts.group == "song" and "groups are songs" in found.notes[0]


def test_ratings_over_time(tmp_path):
    found = deam.catalogue(tree(tmp_path), annotation="dynamic")
    times = [item.item_id for item in found.items]
    assert times[:2] == ["2@15s", "2@15.5s"] and times[-3:] == [
        *("2002@15s", "2002@15.5s", "2002@45s"),
    ]
    assert len(times) == 2 * len(FIRST) + 3 * len(LAST)
    last = found.items[-1]
    assert (last.start_s, last.duration_s, last.values) == (42, 3, (0.3, 0.3))


def test_missing_audio_is_listed_once_a_song(tmp_path):
    tree(tmp_path, missing=[3, 2002])
    for annotation in ("static", "dynamic"):
        found = deam.catalogue(tmp_path, annotation=annotation)
        assert found.skipped == (("3", "no such file"), ("2002", "no such file"))
        assert "2 of 6 listed files" in found.notes[0]


def test_wrong_folders_and_options(tmp_path):
    with pytest.raises(ValueError, match="looked for annotations/annotations averaged per song"):
        deam.catalogue(tmp_path)
    with pytest.raises(ValueError, match="annotation is 'half_second'; allowed: static, dynamic"):
        deam.catalogue(tmp_path, annotation="half_second")
    with pytest.raises(ValueError, match="context_s is .*; it must be a positive number"):
        deam.catalogue(tmp_path, annotation="dynamic", context_s=-1)
    tree(tmp_path, audio="wavs")
    with pytest.raises(ValueError, match="looked for MEMD_audio.*found .*wavs/"):
        deam.catalogue(tmp_path)
    (tmp_path / "wavs").rename(tmp_path / "MEMD_audio")
    for table in (tmp_path / "annotations" / AVERAGED / "song_level").glob("*2058.csv"):
        table.unlink()
    with pytest.raises(ValueError, match="songs_2000_2058.csv"):
        deam.catalogue(tmp_path)


def test_opens_and_drops_times_after_the_end(tmp_path):
    tree(tmp_path, duration_s=16.0)
    found = deam.catalogue(tmp_path, annotation="dynamic", context_s=1)
    files = open_catalogue(found, sample_rate_hz=RATE_HZ)
    assert len(files) == 12  # of 14
    assert {item for item, _ in files.info.skipped} == {"2001@45s", "2002@45s"}
    assert files[1]["audio"].shape == (RATE_HZ,)
    assert list(files.labels[1].round(3)) == pytest.approx([-0.2, -0.2])
