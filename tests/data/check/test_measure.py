"""What one pass over audio measures, on audio of which it is known."""

import dataclasses

import numpy as np
import pytest

from mclf_jax.data.check import fingerprint, measure
from mclf_jax.data.check.sound import check_files
from tests.data.check.made import folder, labelled, song

RATE_HZ = 16000


def _measure(root, files):
    """What is measured of files {name: (sound, rate_hz)}."""
    songs = {f"train/{name}/{name}": found for name, found in files.items()}
    source = folder(root, {**songs, "valid/z/z.wav": song(99, seconds=1)})
    found = measure.measure_all(source, num_workers=2, progress="off")
    names = [source.item_id(i).split("/")[-1] for i in range(len(source))]
    return dict(zip(names, found, strict=True))


def _one(root, sound, *, rate_hz=RATE_HZ, name="x.wav"):
    return _measure(root, {name: (sound, rate_hz)})[name]


def test_format_and_duration(tmp_path):
    stereo = np.stack([song(0, seconds=2, rate_hz=22050)] * 2, axis=1)
    found = _one(tmp_path, stereo, rate_hz=22050, name="x.flac")
    assert (found.format, found.sample_rate_hz, found.num_channels) == ("FLAC PCM_16", 22050, 2)
    assert found.duration_s == pytest.approx(2.0)


def test_clipping_needs_three_in_a_row_in_any_channel(tmp_path):
    sound = 0.1 * np.ones((16000, 2))
    sound[100:110, 0] = 1.0
    sound[200:202, 1] = 1.0  # a peak that just fits
    found = _one(tmp_path, sound)
    assert found.clipped == pytest.approx(10 / 32000)
    assert found.peak == pytest.approx(1.0, abs=1e-4)


def test_silence_and_its_longest_stretch(tmp_path):
    sound = song(0, seconds=4)
    sound[8000:32000] = 0
    sound[48000:52000] = 1e-4
    found = _one(tmp_path, sound)
    assert found.longest_silence_s == pytest.approx(1.5, abs=0.1)
    assert found.silent_share == pytest.approx(1.75 / 4, abs=0.03)


def test_offset_and_level(tmp_path):
    time_s = np.arange(32000) / 16000
    found = _one(tmp_path, 0.2 + 0.1 * np.sin(2 * np.pi * 440 * time_s))
    assert found.dc_offset == pytest.approx(0.2, abs=1e-3)
    expected_db = 10 * np.log10(0.2**2 + 0.1**2 / 2)
    assert found.level_db == pytest.approx(expected_db, abs=0.05)


@pytest.mark.parametrize("edge_hz", [2000, 6000])
def test_band_edge(tmp_path, edge_hz):
    noise = np.random.default_rng(0).standard_normal(64000)
    spectrum = np.fft.rfft(noise)
    spectrum[int(edge_hz / 8000 * len(spectrum)) :] = 0
    sound = np.fft.irfft(spectrum)
    found = _one(tmp_path, 0.1 * sound / np.abs(sound).max())
    assert found.band_hz == pytest.approx(edge_hz, abs=150)


def test_digest_is_of_the_samples_not_of_the_file(tmp_path):
    sound = (20_000 * song(0, seconds=1)).astype(np.int16)
    found = _measure(
        tmp_path,
        {"x.wav": (sound, RATE_HZ), "y.flac": (sound, RATE_HZ), "w.wav": (sound // 2, RATE_HZ)},
    )
    assert found["x.wav"].digest == found["y.flac"].digest != found["w.wav"].digest


def test_landmarks_of_blocks_are_those_of_the_whole():
    sound = song(0, seconds=20, rate_hz=fingerprint.RATE_HZ)
    blocks = [sound[i : i + 1000, None] for i in range(0, len(sound), 1000)]
    found = measure.measure_blocks(blocks, fingerprint.RATE_HZ, "", keep_one_in=1)
    whole = fingerprint.landmarks(sound)
    np.testing.assert_array_equal(found.landmarks.hashes, whole.hashes)
    np.testing.assert_array_equal(found.landmarks.frames, whole.frames)


def test_long_audio_is_marked_in_chunks(monkeypatch):
    sound = song(0, seconds=20, rate_hz=fingerprint.RATE_HZ)
    monkeypatch.setattr(measure, "_CHUNK_FRAMES", 100)
    found = measure.measure_blocks([sound[:, None]], fingerprint.RATE_HZ, "", keep_one_in=1)
    whole = fingerprint.landmarks(sound)
    pairs = [
        set(zip(m.hashes.tolist(), m.frames.tolist(), strict=True))
        for m in (found.landmarks, whole)
    ]
    assert len(pairs[0] & pairs[1]) > 0.5 * len(pairs[1])
    assert found.landmarks.frames.max() == pytest.approx(whole.frames.max(), abs=70)


def test_parts_of_one_file_are_heard_as_parts(tmp_path):
    sound = song(0, seconds=8)
    whole = folder(tmp_path, {"train/x/x.wav": sound, "valid/y/y.wav": song(1)})
    parts = dataclasses.replace(
        whole,
        files=(whole.files[0],) * 2,
        starts=np.array([0, 4 * RATE_HZ]),
        lengths=np.array([4 * RATE_HZ] * 2),
    )
    found = measure.measure_all(parts, num_workers=1, progress="off")
    assert [heard.duration_s for heard in found] == [4.0, 4.0]
    assert [heard.format for heard in found] == ["", ""]
    assert found[0].digest != found[1].digest


@pytest.mark.parametrize(
    ("skipped", "notes", "said"),
    [
        ((), (), [("passed", "nothing was left out")]),
        ((), ("2 s at most",), [("passed", "no item was skipped"), ("note", "2 s at most")]),
        (
            (("a.wav", "no such file (line 2)"),),
            ("2 s at most",),
            [("warning", "1 item left out: no such file (1)"), ("note", "2 s at most")],
        ),
    ],
)
def test_nothing_was_left_out_is_said_where_that_is_so(skipped, notes, said):
    source = labelled(np.zeros((4, 1)), splits={"train": range(4)}, skipped=skipped, notes=notes)
    found = check_files(source.info)
    assert [(finding.verdict, finding.message) for finding in found] == said


def test_a_file_that_vanished_has_a_reason(tmp_path):
    source = folder(tmp_path, {"train/x/x.wav": song(0), "valid/y/y.wav": song(1)})
    (tmp_path / "train/x/x.wav").unlink()
    found = measure.measure_all(source, num_workers=1, progress="off")
    assert found[0] == "no such file"
    assert found[1].duration_s == 8.0
