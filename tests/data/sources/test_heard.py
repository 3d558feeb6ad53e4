"""One length for all that listen: of damaged files, too, the same windows are heard everywhere."""

import os
import warnings

import numpy as np
import pytest

from mclf_jax import data
from mclf_jax.audio.decode import read_audio, stream_audio
from mclf_jax.data.check import check
from mclf_jax.data.prepare.reader import prepared
from mclf_jax.data.prepare.run import prepare
from tests.audio.broken import damaged_songs, encoded


@pytest.fixture
def folder(tmp_path):
    damaged_songs(tmp_path)
    os.mkfifo(tmp_path / "b" / "pipe.mp3")
    with open(os.fsencode(tmp_path) + b"/a/caf\xe9.wav", "wb") as file:
        file.write(encoded("wav", duration_s=1))
    return tmp_path


def test_a_data_set_of_damaged_files(folder):
    source = data.build("folder", sample_rate_hz=16000, path=folder)
    seconds = {name: source.num_samples(i) / 16000 for i, name in enumerate(source.item_ids)}
    assert seconds == pytest.approx(
        {
            "a/caf\\xe9.wav": 1,
            "a/cut.mp3": 1.5,
            "a/loud.wav": 2,
            "a/no_count.mp3": 3,
            "a/whole.mp3": 3,
            "b/chained.ogg": 4,
            "b/joined.mp3": 6,
            "b/junk.mp3": 3,
            "b/lost.flac": seconds.get("b/lost.flac", 0),
        },
        abs=0.1,
    )
    for i, file in enumerate(source.files):
        whole = read_audio(file, sample_rate_hz=16000)
        assert len(whole) == source.num_samples(i)
        last = source.read(i, start_sample=len(whole) - 8000, num_samples=9000)
        np.testing.assert_allclose(last, whole[-8000:], atol=1e-4 * max(1, np.abs(whole).max()))
        blocks = stream_audio(file, sample_rate_hz=16000, block_samples=5000)
        assert sum(map(len, blocks)) == len(whole)
    assert dict(source.info.skipped)["b/pipe.mp3"] == "a named pipe (fifo), not a file"
    parts = dict(source.info.parts)
    assert parts["a/cut.mp3"].startswith("cut off: 1.4 s of the 3.0 s")
    assert parts["b/junk.mp3"].startswith("damaged at 1.0 s: 2000 bytes are no audio")
    assert {"a/whole.mp3", "a/no_count.mp3", "b/joined.mp3", "b/chained.ogg"}.isdisjoint(parts)
    notes = "\n".join(source.info.notes)
    assert "used in part: " in notes
    assert "far outside -1..1: 1 of " in notes and "not divided by 32768" in notes


def test_data_check_lists_them(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = check(data.build("folder", sample_rate_hz=16000, path=folder), progress="off")
    said = "\n".join(str(finding) for finding in result.findings)
    assert "used in part: " in said
    assert "a/cut.mp3: cut off: 1.4 s" in said
    assert "far outside -1..1" in said
    assert "a named pipe" in said


@pytest.mark.parametrize("encoding", ["int16", "flac"])
def test_what_is_prepared_is_what_is_heard(folder, tmp_path_factory, encoding):
    found = data.catalogue("folder", path=folder)
    raw = data.build("folder", sample_rate_hz=16000, path=folder)
    out = prepare(
        found,
        tmp_path_factory.mktemp("out"),
        sample_rate_hz=16000,
        encoding=encoding,
        num_workers=1,
        progress="off",
    )
    source = prepared(path=out, sample_rate_hz=16000)
    assert source.item_ids == raw.item_ids
    assert source.info.parts == raw.info.parts
    assert source.info.skipped == raw.info.skipped
    assert [note for note in raw.info.notes if "files, such as" in note]
    assert {note for note in raw.info.notes if "files, such as" in note} <= set(source.info.notes)
    for i, name in enumerate(raw.item_ids):
        assert source.num_samples(i) == raw.num_samples(i)
        if name != "a/loud.wav":  # which is clipped
            np.testing.assert_allclose(source[i]["audio"], raw[i]["audio"], atol=1e-4)
