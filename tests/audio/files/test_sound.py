"""What a file holds is what decodes, not what its header says, and windows are slices of that."""

import struct
import time

import numpy as np
import pytest

from mclf_jax.audio.decode import (
    AudioError,
    audio_info,
    hear,
    read_audio,
    read_windows,
    resampled_length,
    stream_audio,
)
from mclf_jax.audio.files import flac, mpeg, ogg, sound
from mclf_jax.audio.files.ranges import Bytes, Ranges
from tests.audio.broken import FORMATS, encoded, mp3_frames

ID3 = b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)


def without_info(mp3):
    """The frame that says how many there are is cut away."""
    return mp3[mp3_frames(mp3)[1] :]


def miscounted(mp3, count):
    at = mp3.index(b"Xing") if b"Xing" in mp3 else mp3.index(b"Info")
    return mp3[: at + 8] + struct.pack(">I", count) + mp3[at + 12 :]


def joined_in_the_middle(content, junk, *, frame=100):
    at = mp3_frames(content)[frame]
    return content[:at] + junk + content[at:]


def _four_seconds(kind="vbr.mp3"):
    return encoded(kind, duration_s=4)


def _flac_that_says(num_samples):
    content = bytearray(_four_seconds("flac"))
    content[21] &= 0xF0
    content[22:26] = num_samples.to_bytes(4, "big")
    return bytes(content)


def _changed(content, at, byte):
    return content[:at] + bytes([content[at] ^ byte]) + content[at + 1 :]


def _wav_that_says(num_bytes, *, behind=b""):
    content = bytearray(_four_seconds("wav") + behind)
    content[40:44] = num_bytes.to_bytes(4, "little")
    return bytes(content)


JUNK = b"\x00\x41\x42\xff\xfe" * 400
FRAME_S = 1152 / 44100

# name: (content, seconds, what is said of its parts)
HEARD = {
    "no_count.mp3": (lambda: without_info(_four_seconds()), 4, ""),
    "no_count_constant.mp3": (lambda: without_info(_four_seconds("mp3")), 4, ""),
    "counts_too_few.mp3": (lambda: miscounted(_four_seconds(), 20), 4, ""),
    "counts_too_many.mp3": (lambda: miscounted(_four_seconds(), 900), 4, "cut off: 4.0 s"),
    "marked_as_sound.mp3": (lambda: _changed(_four_seconds(), 12, 0xFF), 4, ""),
    "joined.mp3": (lambda: _four_seconds() + encoded("vbr.mp3", duration_s=3, hz=900), 7, ""),
    "joined_without_counts.mp3": (lambda: 2 * without_info(_four_seconds()), 8, ""),
    "joined_with_tags.mp3": (lambda: 2 * (ID3 + _four_seconds() + b"TAG" + bytes(125)), 8, ""),
    "joined_mono_stereo.mp3": (
        lambda: _four_seconds() + encoded("mp3", duration_s=2, num_channels=2),
        6,
        "",
    ),
    "joined_at_another_rate.mp3": (
        lambda: _four_seconds() + encoded("low.mp3", duration_s=2),
        4,
        "from 4.0 s on its sample rate is 22050 Hz and not 44100 Hz: only what is before is used",
    ),
    "junk.mp3": (
        lambda: joined_in_the_middle(_four_seconds(), JUNK),
        4,
        "damaged at 2.6 s: 2000 bytes are no audio; all others are used",
    ),
    "junk_twice.mp3": (
        lambda: joined_in_the_middle(joined_in_the_middle(_four_seconds(), JUNK), JUNK, frame=50),
        4,
        "damaged at 1.3 s: 2000 bytes are no audio, and at 1 more places",
    ),
    "picture_in_the_middle.mp3": (
        lambda: joined_in_the_middle(
            _four_seconds(), b"ID3\x04\0\0\0\0\x27\x08" + b"\xff\xfb\x90\x64" * 1250
        ),
        4,
        "",
    ),
    "half.mp3": (
        lambda: _four_seconds("mp3")[: len(_four_seconds("mp3")) // 2],
        2,
        "cut off: 2.0 s of the 4.0 s that its header promises",
    ),
    "zeros_behind.mp3": (lambda: _four_seconds("mp3") + bytes(30000), 4, ""),
    "words_behind.mp3": (lambda: _four_seconds() + b"LYRICSBEGIN" + b"la " * 9999, 4, ""),
    "no_song.wav": (_four_seconds, 4, ""),  # its name is wrong, and that is all
    "chained.ogg": (lambda: _four_seconds("ogg") + encoded("ogg", duration_s=3, hz=900), 7, ""),
    "chained_three.ogg": (lambda: 3 * _four_seconds("ogg"), 12, ""),
    "chained.opus": (lambda: 2 * _four_seconds("opus"), 8, ""),
    "chained_mono_stereo.ogg": (
        lambda: _four_seconds("ogg") + encoded("ogg", duration_s=3, num_channels=2),
        7,
        "",
    ),
    "half.ogg": (
        lambda: _four_seconds("ogg")[: len(_four_seconds("ogg")) // 2],
        None,
        "cut off: it ends within a page",
    ),
    "switched_off.wav": (lambda: _wav_that_says(0), 4, ""),
    "piped.wav": (lambda: _wav_that_says(0xFFFFFFFF), 4, ""),
    "piped_by_sox.wav": (lambda: _wav_that_says(0x7FFFFFF0), 4, ""),
    "joined.wav": (lambda: 2 * _four_seconds("wav"), 8, ""),
    "half.wav": (
        lambda: _four_seconds("wav")[:88244],
        2,
        "cut off: 2.0 s of the 4.0 s that its header promises",
    ),
    "half.float.wav": (
        lambda: _four_seconds("float.wav")[: len(_four_seconds("float.wav")) // 2],
        2,
        "cut off: 2.0 s of the 4.0 s that its header promises",
    ),
    "says_too_little.wav": (
        lambda: _wav_that_says(88200),
        2,
        "88200 bytes behind its sound are no chunk of a WAV",
    ),
    "with_chunks.wav": (
        lambda: _wav_that_says(176400, behind=b"LIST\x04\0\0\0INFOid3 \x03\0\0\0ID3\0"),
        4,
        "",
    ),
    "half.aiff": (
        lambda: _four_seconds("aiff")[: len(_four_seconds("aiff")) // 2],
        2,
        "of the 88200 frames that its header promises",
    ),
    "joined.flac": (lambda: 2 * _four_seconds("flac"), 8, ""),
    "piped.flac": (lambda: _flac_that_says(0), 4, ""),
    "counts_too_few.flac": (lambda: _flac_that_says(500), 4, ""),
    "counts_too_many.flac": (
        lambda: _flac_that_says(1 << 30),
        4,
        "cut off: 88200 of the 1073741824 samples that its header promises",
    ),
    "half.flac": (
        lambda: _four_seconds("flac")[: len(_four_seconds("flac")) // 2],
        None,
        "of the 88200 samples that its header promises",
    ),
}


def assert_heard_alike(path, *, sample_rate_hz=16000, window=4000):
    """Every way of reading a file gives the same samples, as many as are said to be there."""
    heard = hear(path).info
    whole = read_audio(path, sample_rate_hz=sample_rate_hz)
    assert len(whole) == resampled_length(
        heard.num_frames, source_rate_hz=heard.sample_rate_hz, sample_rate_hz=sample_rate_hz
    )
    streamed = list(stream_audio(path, sample_rate_hz=sample_rate_hz, block_samples=7001))
    loudest = max(1, np.abs(whole).max(initial=0))
    np.testing.assert_allclose(np.concatenate(streamed), whole, atol=1e-5 * loudest)
    last = max(0, len(whole) - window)
    for starts in (np.linspace(0, last, 4).astype(int), range(0, last + 1, 500)):
        windows = read_windows(path, starts, sample_rate_hz=sample_rate_hz, num_samples=window)
        for start, audio in zip(starts, windows, strict=True):
            loudest = max(1, np.abs(audio).max(initial=0))
            np.testing.assert_allclose(audio, whole[start : start + window], atol=1e-4 * loudest)
    return whole, heard


@pytest.mark.parametrize("name", HEARD)
def test_all_that_decodes_is_heard(tmp_path, name, capfd):
    make, seconds, part = HEARD[name]
    (tmp_path / name).write_bytes(make())
    whole, found = assert_heard_alike(tmp_path / name)
    assert found == audio_info(tmp_path / name)
    if seconds is not None:
        assert found.duration_s == pytest.approx(seconds, abs=4 * FRAME_S)
    assert (part in found.part) if part else not found.part
    assert np.abs(whole).max() > 0.1
    assert capfd.readouterr().err == ""  # mpg123 complains there of what it does not understand


@pytest.mark.parametrize("kind", FORMATS)
def test_a_sound_file_goes_to_the_decoder_as_it_is(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    path.write_bytes(encoded(kind, duration_s=1.5, num_channels=2))
    found = sound.open_sound(path)
    assert found.pieces == (sound.Piece(int(1.5 * found.sample_rate_hz)),)
    assert not found.part


def test_what_is_between_joined_songs_is_as_they_are_alone(tmp_path):
    first, second = encoded("mp3", duration_s=3), encoded("mp3", duration_s=2, hz=1000)
    for name, content in (("a", first), ("b", second), ("ab", ID3 + first + ID3 + second)):
        (tmp_path / f"{name}.mp3").write_bytes(content)
    a, b, both = (read_audio(tmp_path / f"{n}.mp3", sample_rate_hz=44100) for n in ("a", "b", "ab"))
    np.testing.assert_allclose(both[: len(a) - 2000], a[:-2000], atol=1e-6)
    # Between them is what an encoder pads the one with, and the delay of the other.
    begin = 1152 * (len(mp3_frames(first)) - 1)
    np.testing.assert_allclose(both[begin:][2000:80000], b[2000:80000], atol=1e-3)


@pytest.mark.parametrize("kind", ["ogg", "opus", "flac"])
def test_what_is_lost_inside_is_told(tmp_path, kind):
    content = encoded(kind, duration_s=6)
    (tmp_path / f"a.{kind}").write_bytes(_changed(content, len(content) // 2, 0xFF))
    for read in (
        lambda path: hear(path),
        lambda path: read_audio(path, sample_rate_hz=16000),
        lambda path: list(stream_audio(path, sample_rate_hz=16000, block_samples=9999)),
    ):
        with pytest.raises(AudioError, match="damaged"):
            read(tmp_path / f"a.{kind}")


@pytest.mark.parametrize(
    ("rate_hz", "reason"),
    [(1, "sample rate is 1 Hz"), (999, "999 Hz"), (1_000_000, "768000 Hz"), (2**31 - 1, "music")],
)
def test_rates_beyond_sense_are_refused(tmp_path, rate_hz, reason):
    content = bytearray(encoded("wav", duration_s=1.5))
    content[24:28] = struct.pack("<I", rate_hz)
    (tmp_path / "a.wav").write_bytes(content)
    for read in (
        audio_info,
        hear,
        lambda path: next(stream_audio(path, sample_rate_hz=16000, block_samples=100)),
    ):
        with pytest.raises(AudioError, match=reason):
            read(tmp_path / "a.wav")


def test_lengths_beyond_sense_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sound, "LONGEST_H", 1 / 3600)
    (tmp_path / "a.wav").write_bytes(encoded("wav", duration_s=1.5))
    with pytest.raises(AudioError, match="too long"):
        audio_info(tmp_path / "a.wav")


def test_a_file_is_looked_at_again_when_it_has_changed(tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(without_info(_four_seconds()))
    assert audio_info(path).duration_s == pytest.approx(4, abs=0.1)
    path.write_bytes(without_info(encoded("mp3", duration_s=2)))
    assert audio_info(path).duration_s == pytest.approx(2, abs=0.1)


def test_ranges_are_a_file(tmp_path):
    (tmp_path / "a").write_bytes(bytes(range(100)))
    expected = b"head" + bytes(range(10, 20)) + bytes(range(50, 53))
    with Ranges(tmp_path / "a", [(10, 20), (50, 53)], head=b"head") as file:
        assert file.read() == expected
        for at in range(len(expected) + 2):
            for count in (1, 3, 30):
                assert file.seek(at) == at
                assert file.read(count) == expected[at : at + count]
        assert file.seek(-2, 2) == len(expected) - 2


def test_bytes_are_found_across_stretches(tmp_path):
    content = bytes(300_000) + b"OggS" + bytes(500_000) + b"OggS"
    (tmp_path / "a").write_bytes(content)
    with open(tmp_path / "a", "rb", buffering=0) as file:
        data = Bytes(file)
        assert data.find(b"OggS", 0) == 300_000
        assert data.find(b"OggS", 300_001) == 800_004
        assert data.find(b"OggS", 800_005) == -1
        assert data.at(299_999, 5) == b"\0OggS"
        assert data.at(800_006, 100) == b"gS"[:2]


@pytest.mark.parametrize("content", [b"", b"\xff", b"\xff\xfb\x90\x64", b"OggS", b"fLaC", b"ID3"])
def test_nothing_is_found_in_next_to_nothing(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with open(tmp_path / "a", "rb", buffering=0) as file:
        assert not mpeg.layout(Bytes(file)).streams
        assert not flac.streams(Bytes(file), 0)
        assert len(ogg.links(Bytes(file)).ranges) <= 1


@pytest.mark.parametrize(
    ("name", "piece"),
    [
        ("erased.mp3", b"\xff"),  # as flash memory is
        ("headers.mp3", b"\xff\xfb\x90\x64"),
        ("tags.mp3", b"ID3\x04\0\0\0\0\0\0"),
        ("pages.ogg", b"OggS\0\2" + bytes(21)),
        ("songs.flac", b"fLaC\0\0\0\x22"),
        ("waves.wav", b"RIFF\4\0\0\0WAVE"),
        ("chunks.wav", b"RIFF\4\0\0\0WAVE" + b"LIST\0\0\0\0"),
    ],
)
def test_no_time_is_wasted_on_what_is_made_to(tmp_path, name, piece):
    (tmp_path / name).write_bytes(piece * (500_000 // len(piece)))
    start = time.perf_counter()
    with pytest.raises(AudioError):
        audio_info(tmp_path / name)
    assert time.perf_counter() - start < 3
