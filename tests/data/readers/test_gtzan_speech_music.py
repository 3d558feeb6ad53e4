"""GTZAN music/speech: two folders, and groups by file name."""

import pytest

from mclf_jax.data.readers import gtzan_speech_music
from mclf_jax.data.sources.files import open_catalogue
from tests.data.readers.trees import write_lines, write_tone

NAMES = ("music/bagpipe", "music/jazz", "music/jazz1", "music/rock_2", "speech/acomic")
NAMES += ("speech/acomic2", "speech/amal", "speech/5")


def tree(root):
    for name in NAMES:
        label, stem = name.split("/")
        write_tone(root / f"{label}_wav" / f"{stem}.wav")
    return root


@pytest.mark.parametrize("folder", ["", "music_speech"])
def test_layouts(tmp_path, folder):
    tree(tmp_path / folder)
    write_lines(tmp_path / folder / "music_wav/._jazz.wav", "a Mac's companion file")
    found = gtzan_speech_music.catalogue(tmp_path)
    assert sorted(item.item_id for item in found.items) == sorted(NAMES)
    assert all(item.labels == (item.item_id.split("/")[0],) for item in found.items)
    assert found.labels == ("music", "speech")


def test_files_that_differ_by_a_number_are_one_group(tmp_path):
    groups = {i.item_id: i.group for i in gtzan_speech_music.catalogue(tree(tmp_path)).items}
    assert groups["music/jazz"] == groups["music/jazz1"]
    assert groups["speech/acomic"] == groups["speech/acomic2"]
    assert groups["music/rock_2"] == "music/rock"
    assert groups["speech/5"] == "speech/5"
    assert len(set(groups.values())) == len(NAMES) - 2


def test_errors(tmp_path):
    write_tone(tmp_path / "music_wav" / "a.wav")
    with pytest.raises(ValueError, match=r"looked for speech_wav; found music_wav/"):
        gtzan_speech_music.catalogue(tmp_path)
    (tmp_path / "music_wav/a.wav").rename(tmp_path / "music_wav/a.txt")
    (tmp_path / "speech_wav").mkdir()
    with pytest.raises(ValueError, match=r"looked for WAV files.*found a.txt in music_wav"):
        gtzan_speech_music.catalogue(tmp_path)


def test_audio_is_read_and_groups_stay_together(tmp_path):
    source = open_catalogue(gtzan_speech_music.catalogue(tree(tmp_path)), sample_rate_hz=4000)
    assert source[0]["audio"].shape == (2000,)
    split_of = {
        source.item_id(i): name for name, found in source.info.splits.items() for i in found
    }
    assert set(split_of.values()) == {"train", "valid", "test"}
    assert split_of["music/jazz"] == split_of["music/jazz1"]
