"""emoMusic: ratings of songs, and of each half second with the excerpt before it."""

import math

import numpy as np
import pytest

from mclf_jax.data.readers import emomusic
from mclf_jax.data.sources.files import open_catalogue
from tests.data.readers.trees import RATE_HZ, by_split, write_lines, write_tone

# song, artist, set, arousal, valence
SONGS = [
    (2, "The New Mystikal Troubadours", "development", 3.0, 3.1),
    (3, '"Kurt  Vile"', "development", 3.3, 3.5),
    (4, "kurt vile", "development", 5.5, 5.7),
    (7, "Tursa", "development", 6.4, 5.8),
    (10, "", "evaluation", 4.7, 4.0),
]
TIMES_MS = (15000, 15500, 16000)


def tree(root, *, songs=SONGS, missing=(), duration_s=0.5, folder="annotations"):
    write_lines(
        root / folder / "songs_info.csv",
        "song_id,file_name,Artist,Song title,start of the segment (min.sec),"
        "end of the segment (min.sec),Genre,Mediaeval 2013 set",
        *(
            f"{s},\t{s}.mp3,\t{a}\t,\tA title,2.01,2.46,\tBlues,{given}"
            for s, a, given, *_ in songs
        ),
    )
    write_lines(
        root / folder / "static_annotations.csv",
        "song_id,mean_arousal,std_arousal,mean_valence,std_valence",
        *(f"{s},{arousal},1.5,{valence},1.2" for s, _, _, arousal, valence in songs),
    )
    header = "song_id," + ",".join(f"sample_{time_ms}ms" for time_ms in TIMES_MS)
    for name, first in (("arousal", 0.1), ("valence", -0.1)):
        write_lines(
            root / folder / f"{name}_cont_average.csv",
            header,
            *(f"{s},{first},{first * 2:g},{first * 3:g}" for s, *_ in songs),
        )
    for song, *_ in songs:
        if song not in missing:
            write_tone(root / f"clips_45seconds/{song}.mp3", duration_s=duration_s)
    return root


@pytest.mark.parametrize("folder", ["annotations", "."])
def test_one_rating_a_song(tmp_path, folder):
    found = emomusic.catalogue(tree(tmp_path, folder=folder))
    assert found.task == "regression" and found.labels == ("valence", "arousal")
    assert [(item.item_id, item.values, item.split) for item in found.items] == [
        ("2", (3.1, 3.0), "train"),
        ("3", (3.5, 3.3), "train"),
        ("4", (5.7, 5.5), "train"),
        ("7", (5.8, 6.4), "train"),
        ("10", (4.0, 4.7), "test"),
    ]
    assert found.items[0].columns == {
        "artist": "The New Mystikal Troubadours",
        "title": "A title",
        "genre": "Blues",
    }
    assert [item.group for item in found.items[1:]] == [
        *("kurt vile", "kurt vile", "tursa", "song 10"),
    ]


def test_a_rating_every_half_second_with_the_excerpt_that_ends_there(tmp_path):
    found = emomusic.catalogue(tree(tmp_path), annotation="dynamic", context_s=15.5)
    assert len(found.items) == 15 and by_split(found) == {"train": 12, "test": 3}
    first, second, third = found.items[:3]
    assert [item.item_id for item in found.items[:3]] == ["2@15s", "2@15.5s", "2@16s"]
    assert first.values == (-0.1, 0.1) and second.values == (-0.2, 0.2)
    # from the beginning where there is less before it
    assert (first.start_s, first.duration_s) == (0, 15)
    assert (third.start_s, third.duration_s) == (0.5, 15.5)
    assert third.columns["song_id"] == "2" and third.columns["time_s"] == "16"
    assert len({item.group for item in found.items[:3]}) == 1


def test_a_time_that_one_table_lacks_is_nan(tmp_path):
    tree(tmp_path)
    write_lines(
        tmp_path / "annotations/valence_cont_average.csv",
        "song_id, sample_15000ms, sample_16000ms",
        *("2, ,0.5", "3,0.25,"),
    )
    found = emomusic.catalogue(tmp_path, annotation="dynamic")
    values = {item.item_id: item.values for item in found.items}
    assert values["2@16s"][0] == 0.5 and values["3@15s"][0] == 0.25
    assert math.isnan(values["2@15s"][0]) and math.isnan(values["4@16s"][0])
    assert values["2@15s"][1] == 0.1


def test_nothing_vanishes(tmp_path):
    tree(tmp_path, missing=[3])
    for name in ("valence", "arousal"):
        write_lines(
            tmp_path / f"annotations/{name}_cont_average.csv",
            "song_id,sample_15000ms",
            *("2,0.1", "3,0.1", "4,0.1", "10,0.1"),
        )
    static = emomusic.catalogue(tmp_path)
    assert static.skipped == (("3", "no such file"),)
    assert "1 of 5 listed files" in static.notes[0]
    dynamic = emomusic.catalogue(tmp_path, annotation="dynamic")
    assert dynamic.skipped == (("3", "no such file"), ("7", "no ratings over time"))


def test_wrong_folders_options_and_tables(tmp_path):
    with pytest.raises(ValueError, match="looked for annotations/songs_info.csv"):
        emomusic.catalogue(tmp_path)
    with pytest.raises(ValueError, match="annotation is 'weekly'; allowed: static, dynamic"):
        emomusic.catalogue(tmp_path, annotation="weekly")
    with pytest.raises(ValueError, match="context_s is .*; it must be a positive number"):
        emomusic.catalogue(tmp_path, context_s=0)
    tree(tmp_path, songs=[(2, "a", "training", 3, 3)])
    with pytest.raises(ValueError, match="line 2: song 2 is in the set 'training'"):
        emomusic.catalogue(tmp_path)
    tree(tmp_path, songs=[(2, "a", "development", "loud", 3)])
    with pytest.raises(ValueError, match="static_annotations.csv, line 2.*'loud'"):
        emomusic.catalogue(tmp_path)
    write_lines(tmp_path / "annotations/static_annotations.csv", "song_id,mean_arousal", "2,3")
    with pytest.raises(ValueError, match="no column mean_valence; it has song_id, mean_arousal"):
        emomusic.catalogue(tmp_path)
    tree(tmp_path)
    write_lines(tmp_path / "annotations/valence_cont_average.csv", "song_id,15s", "2,3")
    with pytest.raises(ValueError, match="no columns such as sample_15000ms"):
        emomusic.catalogue(tmp_path, annotation="dynamic")


def test_opens(tmp_path):
    tree(tmp_path, duration_s=16.0)
    songs = open_catalogue(emomusic.catalogue(tmp_path), sample_rate_hz=RATE_HZ)
    assert songs.info.group_kind == "artist"
    assert len(songs[0]["audio"]) == pytest.approx(16 * RATE_HZ, rel=0.01)
    np.testing.assert_allclose(songs.labels[0], [3.1, 3.0], rtol=1e-6)
    found = emomusic.catalogue(tmp_path, annotation="dynamic", context_s=2)
    files = open_catalogue(found, sample_rate_hz=RATE_HZ)
    assert len(files) == 15
    assert len(files[0]["audio"]) == 2 * RATE_HZ
    in_train = {files.info.groups[i] for i in files.info.splits["train"]}
    assert not in_train & {files.info.groups[i] for i in files.info.splits["valid"]}
