"""A folder of songs becomes a data set; what is wrong with it is listed or said."""

import pickle
import shutil
import unicodedata

import numpy as np
import pytest
import soundfile

from mclf_jax import data
from mclf_jax.audio.decode import read_audio
from tests.data.readers.folders import (
    items_of,
    open_folder,
    write_manifest,
    write_song,
    write_songs,
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def test_manifest_with_splits(tmp_path):
    rows = [
        {"path": f"{label}/{i}.wav", "label": label, "split": split, "group": f"{label}{i}", "x": i}
        for label in ("rock", "jazz")
        for i, split in enumerate(["train", "train", "validation", "Test"])
    ]
    rows.append({"path": "new.wav", "label": "", "split": "", "group": "", "x": ""})
    source = open_folder(write_songs(tmp_path, rows, encoding="utf-8-sig"))
    info = source.info
    assert (info.name, info.task, info.labels) == ("folder", "single_label", ("jazz", "rock"))
    assert (info.version, info.licence, info.skipped) == ("unversioned", "unknown", ())
    assert info.notes == ()
    assert items_of(source, "train") == ["jazz/0.wav", "jazz/1.wav", "rock/0.wav", "rock/1.wav"]
    assert items_of(source, "valid") == ["jazz/2.wav", "rock/2.wav"]
    assert items_of(source, "test") == ["jazz/3.wav", "rock/3.wav"]
    assert items_of(source, "unlabelled") == ["new.wav"]
    assert [int(source.labels[i]) for i in info.splits["train"]] == [0, 0, 1, 1]
    assert info.groups[:2] == ("jazz0", "jazz1")

    last = info.splits["test"][-1]
    example = source[last]
    whole = read_audio(tmp_path / "rock/3.wav", sample_rate_hz=16000)
    np.testing.assert_array_equal(example["audio"], whole)
    assert source.num_samples(last) == len(whole)
    assert {key: (value.dtype, value.shape) for key, value in example.items()} == {
        "audio": (np.float32, (8000,)),
        "label": (np.int32, ()),
        "valid": (np.float32, ()),
        "index": (np.int32, ()),
    }
    assert (example["label"], example["valid"], example["index"]) == (1, 1, last)
    window = source.read(last, start_sample=1000, num_samples=500)
    np.testing.assert_allclose(window, whole[1000:1500], atol=1e-5)
    copy = pickle.loads(pickle.dumps(source))
    assert copy.info.fingerprint == info.fingerprint
    np.testing.assert_array_equal(copy[last]["audio"], whole)


def test_it_is_found_by_name(tmp_path):
    root = write_songs(tmp_path, [{"path": f"{i}.wav", "label": "ab"[i % 2]} for i in range(8)])
    source = data.build("folder", sample_rate_hz=22050, path=str(root))
    assert source.info.sample_rate_hz == 22050


def test_everything_that_can_be_wrong_is_listed(tmp_path):
    names = {
        "whole.mp3": {"seconds": 4, "rate_hz": 44100},
        "eight_bit.wav": {"subtype": "PCM_U8"},
        "high_rate.wav": {"rate_hz": 192000},
        "six_channels.wav": {"num_channels": 6},
        "clip.wav": {"seconds": 0.1},
        "Café del Mar/piñata song.flac": {},
        "twice.wav": {},
        **{f"plain{i}.ogg": {} for i in range(4)},
    }
    for seed, (name, options) in enumerate(names.items()):
        write_song(tmp_path / name, seed=seed, **options)
    mp3 = (tmp_path / "whole.mp3").read_bytes()
    (tmp_path / "cut.mp3").write_bytes(mp3[: len(mp3) // 2])
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("not a wave\n" * 100)
    soundfile.write(tmp_path / "nan.wav", np.full(8000, np.nan, np.float32), 8000, subtype="FLOAT")
    soundfile.write(tmp_path / "silent.wav", np.zeros(8000), 8000)
    listed = [*names, "cut.mp3", "empty.wav", "text.wav", "nan.wav", "silent.wav", "missing.wav"]
    rows = [{"path": name, "label": "ab"[i % 2]} for i, name in enumerate(listed)]
    write_manifest(tmp_path, [*rows, {"path": "./twice.wav", "label": rows[6]["label"]}])

    source = open_folder(tmp_path)
    assert dict(source.info.skipped) == {
        "clip.wav": "too short: 0.100 s, less than min_duration_s=0.125",
        "empty.wav": "the file is empty (0 bytes)",
        "missing.wav": "no such file (manifest.csv, line 18)",
        "nan.wav": "contains NaN or infinity at 0.000 s",
        "silent.wav": "silent to the last sample",
        "text.wav": "not audio: it seems to be text",
        "twice.wav": "listed again in line 19 of manifest.csv: line 8 counts",
    }
    assert len(source.info.skipped) == 7
    kept = {*names, "cut.mp3"} - {"clip.wav"}
    assert set(source.item_ids) == kept
    assert len(source) == len(kept)
    for i in range(len(source)):
        audio = source[i]["audio"]
        assert len(audio) == source.num_samples(i), source.item_id(i)
        assert np.isfinite(audio).all()
        assert audio.std() > 0
    cut = source.item_ids.index("cut.mp3")
    assert 1.5 * 16000 < source.num_samples(cut) < 2.5 * 16000


def test_duplicate_with_another_label(tmp_path):
    rows = [{"path": f"{i}.wav", "label": "ab"[i % 2]} for i in range(8)]
    root = write_songs(tmp_path, [*rows, {"path": "3.wav", "label": "a"}])
    source = open_folder(root)
    assert source.info.skipped == (
        (
            "3.wav",
            "listed again in line 10 of manifest.csv with other entries (a): line 5 counts (b)",
        ),
    )
    assert len(source) == 8
    assert source.labels[3] == 1


def test_no_label_but_a_split(tmp_path):
    rows = [{"path": f"{i}.wav", "label": "ab"[i % 2], "split": "train"} for i in range(8)]
    rows.append({"path": "c.wav", "label": "", "split": "test"})
    rows.append({"path": "d.wav", "label": "", "split": "unlabelled"})
    # a label of an unlabelled item is not looked at
    rows.append({"path": "e.wav", "label": "never heard", "split": "unlabelled"})
    source = open_folder(write_songs(tmp_path, rows))
    assert source.info.skipped == (
        ("c.wav", "in the split 'test' but without a label (manifest.csv, line 10)"),
    )
    assert items_of(source, "unlabelled") == ["d.wav", "e.wav"]
    assert source.info.labels == ("a", "b")
    assert source.labels[len(source) - 1] == 0


def test_subfolders_are_a_manifest(tmp_path):
    paths = [f"{label}/{album}/{i}.ogg" for label in "ab" for album in "xy" for i in range(4)]
    (tmp_path / "with").mkdir()
    root = write_songs(tmp_path / "with", [{"path": path, "label": path[0]} for path in paths])
    bare = tmp_path / "bare"
    shutil.copytree(root, bare)
    (bare / "manifest.csv").unlink()
    (bare / "a" / "cover.jpg").write_bytes(b"\xff\xd8\xff")
    (bare / "a" / "._0.ogg").write_bytes(b"what macOS leaves behind")
    (bare / "b" / "again").symlink_to(bare)  # must not go round
    with_manifest, without = open_folder(root), open_folder(bare)
    assert without.item_ids == with_manifest.item_ids == tuple(sorted(paths))
    assert without.info.fingerprint == with_manifest.info.fingerprint
    assert without.info.labels == ("a", "b")
    assert without.info.notes == with_manifest.info.notes
    np.testing.assert_array_equal(without.labels, with_manifest.labels)
    for split, indices in with_manifest.info.splits.items():
        np.testing.assert_array_equal(without.info.splits[split], indices)


def test_subfolders_list_what_cannot_be_read(tmp_path):
    for i in range(8):
        write_song(tmp_path / "ab"[i % 2] / f"{i}.WAV", seed=i)
    (tmp_path / "a" / "x.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    write_song(tmp_path / "loose.wav")
    source = open_folder(tmp_path)
    ((path, reason),) = source.info.skipped
    assert path == "a/x.m4a"
    assert reason.startswith("cannot be decoded: it seems to be an MPEG-4 file (m4a, mp4, AAC)")
    assert items_of(source, "unlabelled") == ["loose.wav"]


def test_accents_composed_or_not(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "é è.wav") for form in ("NFC", "NFD"))
    for listed, stored in ((composed, decomposed), (decomposed, composed)):
        root = tmp_path / str(len(listed))
        for i in range(8):
            write_song(root / f"{i}.wav", seed=i)
        write_song(root / stored)
        paths = [listed, *(f"{i}.wav" for i in range(8))]
        write_manifest(root, [{"path": p, "label": "ab"[i % 2]} for i, p in enumerate(paths)])
        source = open_folder(root)
        assert source.info.skipped == ()
        assert len(source[8]["audio"]) == 8000


def test_tags(tmp_path):
    tags = ["rock | guitar", "guitar|guitar|", "voice", "rock|voice"]
    rows = [{"path": f"{i}.wav", "labels": tags[i % 4]} for i in range(40)]
    rows.append({"path": "x.wav", "labels": " | "})
    source = open_folder(write_songs(tmp_path, rows))
    assert (source.info.task, source.info.labels) == ("multi_label", ("guitar", "rock", "voice"))
    assert source.labels.dtype == np.float32
    label = {source.item_id(i): source.labels[i].tolist() for i in range(len(source))}
    assert [label[f"{i}.wav"] for i in range(4)] == [[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 1]]
    assert label["x.wav"] == [0, 0, 0]
    assert items_of(source, "unlabelled") == ["x.wav"]
    assert source[0]["label"].shape == (3,)


def test_numbers(tmp_path):
    rows = [{"path": f"{i}.wav", "valence": i / 10, "Arousal": -i} for i in range(20)]
    rows.append({"path": "none.wav", "valence": "", "Arousal": ""})
    rows.append({"path": "half.wav", "valence": "1", "Arousal": ""})
    rows.append({"path": "word.wav", "valence": "high", "Arousal": "1"})
    root = write_songs(tmp_path, rows)
    source = open_folder(root, targets="valence|arousal")
    assert (source.info.task, source.info.labels) == ("regression", ("valence", "arousal"))
    seven = source.item_ids.index("7.wav")
    np.testing.assert_allclose(source.labels[seven], [0.7, -7])
    assert source.labels[seven].dtype == np.float32
    assert items_of(source, "unlabelled") == ["none.wav"]
    half = source.labels[source.item_ids.index("half.wav")]  # nobody said how arousing it is
    np.testing.assert_array_equal(half, [1, np.nan])
    assert dict(source.info.skipped) == {
        "word.wav": "valence is 'high', not a number (manifest.csv, line 24)",
    }
    with pytest.raises(ValueError, match="columns path, valence, arousal; regression needs"):
        open_folder(root, targets="valence|energy")
    with pytest.raises(ValueError, match="targets='valence.arousal' are for regression"):
        open_folder(root, targets="valence|arousal", task="multi_label")


def test_any_column_may_be_the_label(tmp_path):
    eras = ("60s", "70s|80s", "")
    rows = [{"path": f"{i}.wav", "label": "xy"[i % 2], "era": eras[i % 3]} for i in range(12)]
    root = write_songs(tmp_path, rows)
    one = open_folder(root, targets="Era", task="single_label")
    assert (one.info.task, one.info.labels) == ("single_label", ("60s", "70s|80s"))
    assert len(one.info.splits["unlabelled"]) == 4
    several = open_folder(root, targets="era", task="multi_label")
    assert (several.info.task, several.info.labels) == ("multi_label", ("60s", "70s", "80s"))
    np.testing.assert_array_equal(several.labels[several.item_ids.index("1.wav")], [0, 1, 1])
    assert set(open_folder(root).info.columns) == {"era"}


def test_silence_may_be_a_label(tmp_path):
    for i in range(8):
        write_song(tmp_path / "music" / f"{i}.wav", seed=i)
        (tmp_path / "silence").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "silence" / f"{i}.wav", np.zeros(8000), 8000)
    source = open_folder(tmp_path)
    assert (len(source), source.info.skipped) == (16, ())
    assert source.info.notes[0] == (
        "silent to the last sample, but kept because the label is 'silence': 8 of 16 files,"
        " such as silence/0.wav"
    )
    with pytest.raises(ValueError, match=r"1 label\(s\) with usable audio \(music\)"):
        open_folder(tmp_path, silent_label="nothing")


def test_fingerprint(tmp_path):
    rows = [{"path": f"{i}.wav", "label": "ab"[i % 2]} for i in range(8)]
    (tmp_path / "one").mkdir()
    root = write_songs(tmp_path / "one", rows)
    fingerprint = open_folder(root).info.fingerprint
    copy = tmp_path / "copy"
    shutil.copytree(root, copy, copy_function=shutil.copyfile)  # other times of change
    write_manifest(copy, rows[::-1])
    assert open_folder(copy).info.fingerprint == fingerprint
    assert data.build("folder", path=copy, sample_rate_hz=8000).info.fingerprint != fingerprint
    write_song(copy / "3.wav", seconds=0.6, seed=3)
    assert open_folder(copy).info.fingerprint != fingerprint
    write_manifest(root, [{**rows[0], "label": "b"}, *rows[1:]])
    assert open_folder(root).info.fingerprint != fingerprint


def test_licences_are_named(tmp_path):
    rows = [
        {"path": f"{i}.wav", "label": "ab"[i % 2], "licence": ["CC0", "CC-BY"][i % 2]}
        for i in range(8)
    ]
    assert open_folder(write_songs(tmp_path, rows)).info.licence == "CC-BY; CC0"


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ("", {}, r"columns \(none\); it needs path, and label or labels"),
        ("file;label\n", {}, "columns file;label; it needs path"),
        ("path,genre\na.wav,x\n", {}, "columns path, genre; it needs label"),
        ("path,label,labels\na.wav,x,x\n", {}, "say which to use"),
        ("path,labels\na.wav,x\n", {"task": "single_label"}, "it needs label"),
        ("path,label\na.wav,x\n", {"task": "regression"}, "needs targets="),
        ("path,label\na.wav,x\n", {"task": "tags"}, "task is 'tags'; allowed: auto"),
        ("path,label\nb.wav,x\nc.wav,y\n", {}, "is usable: b.wav: no such file"),
        ("path,label\na.wav,x\n", {}, "at least two"),
    ],
)
def test_manifests_that_cannot_be_used(tmp_path, content, arguments, message):
    write_song(tmp_path / "a.wav")
    write_song(tmp_path / "d.wav")
    (tmp_path / "manifest.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        open_folder(tmp_path, **arguments)


def test_folders_that_cannot_be_used(tmp_path):
    with pytest.raises(ValueError, match="no such folder"):
        open_folder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"no manifest.csv and no audio in it"):
        open_folder(tmp_path)
    with pytest.raises(ValueError, match="subfolders give one label"):
        open_folder(tmp_path, task="multi_label")
    (tmp_path / "manifest.csv").write_bytes("path,label\né.wav,x\n".encode("latin-1"))
    with pytest.raises(ValueError, match="not UTF-8"):
        open_folder(tmp_path)
