"""One length for all that listen: of damaged files, too, the same windows are heard everywhere."""

import os
import warnings

import numpy as np
import pytest
import soundfile

from mclf_jax import data
from mclf_jax.audio.decode import read_audio, stream_audio
from mclf_jax.data.check import check
from tests.audio.broken import encoded, mp3_frames


@pytest.fixture
def folder(tmp_path):
    """Songs of two labels, some of them damaged."""
    whole = encoded("vbr.mp3", duration_s=3)
    frames = mp3_frames(whole)
    contents = {
        "a/whole.mp3": whole,
        "a/no_count.mp3": whole[frames[1] :],
        "a/cut.mp3": whole[: len(whole) // 2],
        "b/joined.mp3": 2 * whole[frames[1] :],
        "b/junk.mp3": whole[: frames[40]] + b"\0AB\xff\xfe" * 400 + whole[frames[40] :],
        "b/chained.ogg": 2 * encoded("ogg", duration_s=2),
        "b/lost.flac": encoded("flac", duration_s=2)[:-9000] + bytes(9000),
    }
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    loud = 16000 * np.sin(np.arange(32000) / 6)
    soundfile.write(tmp_path / "a" / "loud.wav", loud, 16000, subtype="FLOAT")
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
