"""Rows of a manifest that are about parts of songs."""

import numpy as np
import pytest

from mclf_jax.audio.decode import read_audio
from mclf_jax.data.base.columns import columns_of
from tests.data.readers.folders import open_folder, write_manifest, write_song


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def rows_of(song):
    rows = [("0", "0.5", "speech"), ("0.5", "1.25", "music"), ("1.25", "", "speech")]
    return [{"path": song, "start_s": a, "end_s": b, "label": label} for a, b, label in rows]


def test_parts_are_items_of_one_group(tmp_path):
    names = [f"{i}.wav" for i in range(6)]
    for seed, name in enumerate(names):
        write_song(tmp_path / name, seconds=2, seed=seed)
    rows = [row for name in names for row in rows_of(name)]
    write_manifest(tmp_path, [*rows, rows[0]])
    source = open_folder(tmp_path)
    assert source.item_ids[:3] == ("0.wav#t=0,0.5", "0.wav#t=0.5,1.25", "0.wav#t=1.25")
    assert [source.num_samples(i) for i in range(3)] == [8000, 12000, 12000]
    second = source.read(1, start_sample=0, num_samples=99)
    whole = read_audio(tmp_path / "0.wav", sample_rate_hz=16000, start_sample=8000, num_samples=99)
    np.testing.assert_array_equal(second, whole)
    for split in source.info.splits.values():  # parts of a song stay together
        assert len({source.info.groups[i] for i in split}) * 3 == len(split)
    assert "listed again in line 20" in dict(source.info.skipped)["0.wav#t=0,0.5"]
    assert not {"start_s", "end_s"} & set(source.info.columns)
    assert columns_of(source, [0, 2])["format"] == ("wav", "wav")


def test_a_song_is_of_one_group_with_its_parts(tmp_path):
    names = [f"{i}.wav" for i in range(6)]
    for seed, name in enumerate(names):
        write_song(tmp_path / name, seconds=2, seed=seed)
    whole = [
        {"path": n, "start_s": s, "end_s": "", "label": "speech"}
        for n, s in zip(names, "000   ", strict=True)
    ]
    write_manifest(tmp_path, [*whole, *(row for name in names for row in rows_of(name))])
    info = open_folder(tmp_path).info
    assert len(set(info.groups)) == 6 and len(info.groups) == 24


def test_what_is_no_part_is_listed(tmp_path):
    for name in ("a.wav", "b.wav"):
        write_song(tmp_path / name, seconds=1)
    rows = [{"path": n, "start_s": "", "end_s": "", "label": n} for n in ("a.wav", "b.wav")]
    for start, end in (("0.8", "0.2"), ("x", "1"), ("-1", "1"), ("5", "6")):
        rows.append({"path": "a.wav", "start_s": start, "end_s": end, "label": "a.wav"})
    write_manifest(tmp_path, rows)
    source = open_folder(tmp_path)
    assert source.item_ids == ("a.wav", "b.wav")
    said = [reason for _, reason in source.info.skipped]
    assert "at 5 s of 1.000 s there is nothing left" in said
    for start, end, line in (("0.8", "0.2", 4), ("x", "1", 5), ("-1", "1", 6)):
        assert (
            f"start_s is '{start}' and end_s '{end}', no part of a song (manifest.csv, line {line})"
            in said
        )
