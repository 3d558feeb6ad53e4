"""Artists and albums of files' tags keep songs together, where that makes sense."""

import mutagen
import numpy as np
import pytest
import soundfile

from mclf_jax import data
from mclf_jax.config import base, from_json, to_json
from mclf_jax.data.catalogue import file_tags

FORMATS = {"flac": "FLAC", "ogg": "OGG", "mp3": "MP3"}


def songs(root, tags, *, suffixes=("flac", "ogg", "mp3")):
    """Songs in two subfolders, label a and b in turn, with these tags, {} for none."""
    for i, of_song in enumerate(tags):
        suffix = suffixes[i % len(suffixes)]
        path = root / "ab"[i % 2] / f"{i:02}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        sound = 0.1 * np.sin(np.arange(8000) / (3 + i))
        soundfile.write(path, sound, 16000, format=FORMATS[suffix])
        if of_song:
            file = mutagen.File(path, easy=True)
            if file.tags is None:
                file.add_tags()
            file.update({name: [value] for name, value in of_song.items()})
            file.save()
    return root


def grouped(root, **options):
    return data.catalogue("folder", path=root, **options)


def test_artists_stay_together(tmp_path):
    tags = [{"artist": f" Band {i // 4} ", "album": f"Album {i}"} for i in range(22)] + [{}, {}]
    found = grouped(songs(tmp_path, tags))
    by_id = {item.item_id: item.group for item in found.items}
    assert by_id["a/00.flac"] == by_id["b/01.ogg"] == by_id["a/02.mp3"] == "Band 0"
    assert by_id["a/22.ogg"] == "" and len({*by_id.values()}) == 7
    assert (
        "songs of one artist stay in one split, by the tags of 22 of 24 files (6 artists)"
        in (found.notes[-1])
    )
    source = data.build("folder", path=tmp_path, sample_rate_hz=8000, progress="off")
    splits = {g: set() for g in source.info.groups}
    for split, items in source.info.splits.items():
        for i in items:
            splits[source.info.groups[i]].add(split)
    assert all(len(found) == 1 for found in splits.values())
    assert not any(item.group for item in grouped(tmp_path, groups="file").items)


def test_albums_where_artists_say_nothing(tmp_path):
    tags = [{"artist": "Various Artists", "album": f"Album {i // 4}"} for i in range(16)]
    found = grouped(songs(tmp_path, tags))
    assert {item.group for item in found.items} == {f"Album {i}" for i in range(4)}


@pytest.mark.parametrize(
    ("artists", "why"),
    [
        (["ab"[i % 2] for i in range(12)], "the artist says the label"),
        (["one"] * 8 + ["x", "y", "z", "w"], "the artist 'one' has 8 of 12 songs"),
    ],
)
def test_what_nothing_could_be_learnt_with_is_not_taken(tmp_path, artists, why):
    found = grouped(songs(tmp_path, [{"artist": artist} for artist in artists]))
    assert not any(item.group for item in found.items) and why in found.notes[-1]


def test_a_group_that_is_given_is_kept(tmp_path):
    songs(tmp_path, [{"artist": f"Band {i // 3}"} for i in range(12)], suffixes=("flac",))
    rows = [f"{'ab'[i % 2]}/{i:02}.flac,{'ab'[i % 2]},{'g' * (i == 0)}" for i in range(12)]
    (tmp_path / "manifest.csv").write_text("path,label,group\n" + "\n".join(rows))
    assert {item.group for item in grouped(tmp_path).items} == {"", "g"}


def test_damaged_tags_and_changed_files(tmp_path, monkeypatch):
    songs(tmp_path, [{"artist": f"Band {i // 3}"} for i in range(12)], suffixes=("mp3",))
    assert grouped(tmp_path).items[0].group == "Band 0"
    read = []
    monkeypatch.setattr(file_tags, "_tags_of", lambda path: read.append(path) or ("New", "New / X"))
    assert grouped(tmp_path).items[0].group == "Band 0" and not read  # kept from before
    file = tmp_path / "a" / "00.mp3"
    file.write_bytes(b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + file.read_bytes()[10:])
    assert grouped(tmp_path).items[0].group == "New" and read == [str(file)]
    monkeypatch.undo()
    file.write_bytes(b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + file.read_bytes()[9:])
    assert grouped(tmp_path).items[0].group == ""


def test_runs_of_earlier_versions_keep_their_groups():
    config = base()
    config.data.name = "folder"
    old = to_json(config).replace('"split_rule": "hash",', "")
    assert from_json(old).data.args.groups == "file"
    assert "groups" not in from_json(to_json(config)).data.args
