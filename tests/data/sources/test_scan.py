"""Each file is decoded once; the cache is right, and never in the way."""

import json
import os

import numpy as np
import pytest
import soundfile

from mclf_jax.data.sources import scan
from tests.audio.broken import encoded


def _write(path, seconds=1.0, rate_hz=8000, gain=0.1):
    sound = np.random.default_rng(0).standard_normal(int(seconds * rate_hz)) * gain
    soundfile.write(path, sound, rate_hz, subtype="FLOAT")
    return str(path)


def _scan(paths, cache_file, **arguments):
    arguments = {"sample_rate_hz": 16000, "min_duration_s": 0.25, **arguments}
    return scan.scan(paths, cache_file=cache_file, **arguments)


def test_lengths_and_reasons(tmp_path):
    paths = [
        _write(tmp_path / "good.wav"),
        _write(tmp_path / "short.wav", seconds=0.1),
        _write(tmp_path / "silent.wav", gain=0),
        _write(tmp_path / "dither.wav", gain=1e-7),
        _write(tmp_path / "soft.wav", gain=1e-4),
        str(tmp_path / "missing.wav"),
    ]
    offset = np.full(8000, 0.3, np.float32)
    soundfile.write(tmp_path / "offset.wav", offset, 8000)
    offset[4000] = np.nan
    soundfile.write(tmp_path / "nan.wav", offset, 8000, subtype="FLOAT")
    sides = np.stack([offset[:4000], -offset[:4000]], axis=1) * np.hanning(4000)[:, None]
    soundfile.write(tmp_path / "opposite.wav", sides, 8000, subtype="FLOAT")
    paths += [str(tmp_path / f"{name}.wav") for name in ("offset", "nan", "opposite")]
    results = _scan(paths, tmp_path / "cache.json")
    assert [result.path for result in results] == paths
    assert [(result.num_samples, result.reason) for result in results] == [
        (16000, None),
        (1600, "too short: 0.100 s, less than min_duration_s=0.25"),
        (16000, scan.SILENT),
        (16000, scan.SILENT),
        (16000, None),
        (0, "no such file"),
        (16000, scan.SILENT),
        (0, "contains NaN or infinity at 0.500 s"),
        (8000, "silent: its channels are the opposite of each other, and their mean is nothing"),
    ]


def test_second_scan_decodes_only_what_changed(tmp_path, monkeypatch):
    cache_file = tmp_path / "cache" / "scan.json"
    paths = [_write(tmp_path / f"{i}.wav") for i in range(4)]
    _scan(paths, cache_file)
    measured = []
    measure = scan._measure
    monkeypatch.setattr(scan, "_measure", lambda path: measured.append(path) or measure(path))
    results = _scan(paths, cache_file, sample_rate_hz=4000, min_duration_s=2)
    assert measured == []  # rate and least duration are not part of what was measured
    assert results[0].num_samples == 4000
    assert results[0].reason.startswith("too short")

    _write(tmp_path / "2.wav", seconds=3)
    new = _write(tmp_path / "new.wav")
    results = _scan([*paths, new], cache_file)
    assert sorted(measured) == [paths[2], new]
    assert results[2].num_samples == 48000
    measured.clear()
    _scan([*paths, new], cache_file)
    assert measured == []


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[]", b'{"identity": "other"}', b'{"content": 3}']
)
def test_damaged_cache_is_replaced(tmp_path, content):
    cache_file = tmp_path / "scan.json"
    path = _write(tmp_path / "a.wav")
    good = _scan([path], cache_file)
    entries = cache_file.read_text()
    cache_file.write_bytes(content)
    assert _scan([path], cache_file) == good
    assert cache_file.read_text() == entries


def test_damaged_entries_are_measured_again(tmp_path):
    cache_file = tmp_path / "scan.json"
    path = _write(tmp_path / "a.wav")
    good = _scan([path], cache_file)
    content = json.loads(cache_file.read_text())
    for entry in ([], [1, 2], None, [*content["content"][path][:4], "x"], [0, 0, 0, 0, False]):
        cache_file.write_text(json.dumps({**content, "content": {path: entry}}))
        assert _scan([path], cache_file) == good


def test_cache_that_cannot_be_written_does_no_harm(tmp_path):
    (tmp_path / "file").write_text("not a directory")
    path = _write(tmp_path / "a.wav")
    assert _scan([path], tmp_path / "file" / "scan.json")[0].reason is None


def test_entries_of_another_process_are_kept(tmp_path, monkeypatch):
    cache_file = tmp_path / "scan.json"
    first, second = _write(tmp_path / "a.wav"), _write(tmp_path / "b.wav")
    measure = scan._measure

    def meanwhile(path):
        if path == first:
            _scan([second], cache_file)
        return measure(path)

    monkeypatch.setattr(scan, "_measure", meanwhile)
    _scan([first], cache_file)
    assert set(json.loads(cache_file.read_text())["content"]) == {first, second}
    assert sorted(os.listdir(tmp_path)) == ["a.wav", "b.wav", "scan.json"]  # nothing left lying


def test_interrupted_scan_keeps_what_it_found(tmp_path, monkeypatch):
    cache_file = tmp_path / "scan.json"
    paths = [_write(tmp_path / f"{i}.wav") for i in range(3)]
    measure = scan._measure

    def stop_at_last(path):
        if path == paths[2]:
            raise KeyboardInterrupt
        return measure(path)

    monkeypatch.setattr(scan.os, "cpu_count", lambda: 1)
    monkeypatch.setattr(scan, "_measure", stop_at_last)
    with pytest.raises(KeyboardInterrupt):
        _scan(paths, cache_file)
    assert set(json.loads(cache_file.read_text())["content"]) <= set(paths[:2])


def test_default_cache_is_the_users(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    _scan([_write(tmp_path / "a.wav")], None)
    assert [file.suffix for file in (tmp_path / "cache" / "mclf_jax").iterdir()] == [".json"]


def test_progress_bar(tmp_path, capsys):
    path = _write(tmp_path / "a.wav")
    _scan([path], tmp_path / "1.json", progress="on")
    assert "checking audio" in capsys.readouterr().err
    _scan([path], tmp_path / "2.json", progress="auto")  # stderr is not a terminal here
    assert capsys.readouterr().err == ""
    with pytest.raises(ValueError, match="progress"):
        _scan([path], tmp_path / "3.json", progress="yes")


def test_nothing_to_scan(tmp_path):
    assert _scan([], tmp_path / "cache.json") == []


def test_what_is_used_in_part_and_what_is_too_loud_is_told(tmp_path):
    whole = encoded("mp3", duration_s=2)
    (tmp_path / "cut.mp3").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "whole.mp3").write_bytes(whole)
    paths = [tmp_path / "cut.mp3", tmp_path / "whole.mp3", _write(tmp_path / "loud.wav", gain=9000)]
    cache_file = tmp_path / "scan.json"
    cut, sound, loud = _scan(paths, cache_file)
    assert cut.part == "cut off: 1.0 s of the 2.0 s that its header promises"
    assert cut.num_samples == pytest.approx(16000, abs=1200)
    assert not cut.is_plain
    assert sound.is_plain and not sound.part
    assert 20000 < loud.peak < 50000
    assert _scan(paths, cache_file) == [cut, sound, loud]
