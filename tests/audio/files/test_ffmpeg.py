"""What FFmpeg decodes is heard as all else is: one length, the same windows, the same words."""

import struct
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("av")

from mclf_jax.audio.decode import AUDIO_SUFFIXES, AudioError, audio_info, hear, read_audio
from mclf_jax.audio.files import ffmpeg, sound
from mclf_jax.data.sources import scan
from tests.audio.files.containers import KINDS, encoded, glide
from tests.audio.files.test_sound import assert_heard_alike


def _written(tmp_path, content, name="a.m4a"):
    (tmp_path / name).write_bytes(content)
    return tmp_path / name


def _in_front(**options):
    """With its tables before its sound, as on the web."""
    return encoded("aac.m4a", options={"movflags": "faststart"}, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_heard(tmp_path, kind, capfd):
    path = _written(tmp_path, encoded(kind), f"a.{kind}")
    whole, found = assert_heard_alike(path)
    assert not found.part and found.num_channels == 2
    assert found.sample_rate_hz == KINDS[kind][2]
    assert found.duration_s == pytest.approx(2, abs=0.05)
    assert path.suffix in AUDIO_SUFFIXES
    own = read_audio(path, sample_rate_hz=found.sample_rate_hz)
    expected = glide(2.0, found.sample_rate_hz).mean(axis=0)[20_000:60_000]
    # What nothing in them tells: raw AAC keeps the encoder's delay, WMA lacks its first block.
    delay = {"raw.aac": 1024, "wma.wma": -2048}.get(kind, 0)
    heard = own[20_000 + delay : 60_000 + delay]
    assert np.corrcoef(heard, expected)[0, 1] > 0.97
    for layout in ("unknown", "plain"):
        window = {"start_sample": 40_000, "num_samples": 9_999, "layout": layout}
        cut = read_audio(path, sample_rate_hz=found.sample_rate_hz, **window)
        np.testing.assert_array_equal(cut, own[40_000:49_999])
    assert capfd.readouterr().err == ""


def test_lossless_is_bit_equal(tmp_path):
    path = _written(tmp_path, encoded("alac.m4a"))
    original = glide(2.0, 44100)
    # ALAC has 24 bits
    np.testing.assert_allclose(read_audio(path, sample_rate_hz=44100), original.mean(0), atol=2e-7)


@pytest.mark.parametrize("num_samples", [900, 20_184, 44_100])
@pytest.mark.parametrize("kind", ["aac.m4a", "alac.m4a", "opus.mp4"])
def test_mpeg4_is_as_long_as_what_went_in(tmp_path, kind, num_samples):
    # Else a short song that is repeated to fill a window would be another one than its WAV.
    rate_hz = KINDS[kind][2]
    wanted = glide(2.0, rate_hz)[:, :num_samples]
    path = _written(tmp_path, encoded(kind, sounds=[wanted]))
    _, found = assert_heard_alike(path, window=300)
    assert found.num_frames == num_samples and not found.part
    own = read_audio(path, sample_rate_hz=rate_hz)
    assert len(own) == num_samples
    if num_samples > 1000:
        assert np.corrcoef(own, wanted.mean(axis=0))[0, 1] > 0.95


def test_the_first_stream_of_audio_is_heard_pictures_or_not(tmp_path):
    sounds = [glide(1.0, 44100), glide(1.5, 44100, hz=900)]
    several = _written(tmp_path, encoded("aac.m4a", sounds=sounds), "several.m4a")
    alone = _written(tmp_path, encoded("aac.m4a", sounds=sounds[:1]), "alone.m4a")
    video = _written(tmp_path, _with_video(sounds[:1]), "video.mp4")
    expected = read_audio(alone, sample_rate_hz=16000)
    for path in (several, video):
        np.testing.assert_array_equal(read_audio(path, sample_rate_hz=16000), expected)


def _with_video(sounds):
    return encoded("aac.m4a", sounds=sounds, picture=True)


def test_a_file_cut_off_is_used_in_part(tmp_path):
    content = _in_front()
    path = _written(tmp_path, content[: len(content) * 3 // 5])
    _, found = assert_heard_alike(path)
    assert 0.8 < found.duration_s < 1.5
    assert found.part == f"cut off: {found.duration_s:.1f} s of the 2.0 s that its header promises"
    (result,) = scan.scan([path], sample_rate_hz=16000, min_duration_s=0.1, progress="off")
    assert (result.reason, result.part) == (None, found.part)
    # its tables are behind its sound
    without_tables = _written(tmp_path, encoded("aac.m4a")[:20_000], "b.m4a")
    with pytest.raises(AudioError, match=r"MPEG-4 file .*, damaged or cut off \(FFmpeg: "):
        hear(without_tables)


def test_damage_inside_is_told_and_the_rest_is_used(tmp_path):
    content = bytearray(_in_front())
    middle = len(content) // 2
    content[middle : middle + 3000] = np.random.default_rng(0).bytes(3000)
    _, found = assert_heard_alike(_written(tmp_path, content))
    assert "of its packets cannot be decoded; all others are used" in found.part
    assert found.part.startswith("damaged at ")


@pytest.mark.parametrize("word", [b"enca", b"drms"])
def test_encrypted_files_are_told(tmp_path, word):
    content = encoded("aac.m4a", duration_s=0.2).replace(b"mp4a", word)
    with pytest.raises(AudioError, match="encrypted"):
        hear(_written(tmp_path, content))


def test_bombs_are_refused(tmp_path, monkeypatch):
    content = bytearray(encoded("aac.m4a", duration_s=0.2))
    at = content.index(b"stsz")
    content[at + 8 : at + 16] = struct.pack(">II", 50, 50_000_000)
    with pytest.raises(AudioError, match="bytes hold 50000000 packets"):
        hear(_written(tmp_path, content))
    monkeypatch.setattr(sound, "LONGEST_H", 1 / 3600)
    for kind in ("aac.m4a", "raw.aac"):  # which says how long it is, and which does not
        with pytest.raises(AudioError, match="too long"):
            audio_info(_written(tmp_path, encoded(kind), kind))


def test_playlists_open_nothing(tmp_path):
    secret = _written(tmp_path, encoded("aac.m4a"), "secret.m4a")
    for name, content in {
        "list.m4a": f"#EXTM3U\n#EXTINF:2,\n{secret}\n",
        "concat.m4a": f"ffconcat version 1.0\nfile {secret}\n",
    }.items():
        with pytest.raises(AudioError, match="text"):
            hear(_written(tmp_path, content.encode(), name))


def test_without_the_extra_it_is_named(tmp_path, monkeypatch):
    path = _written(tmp_path, encoded("aac.m4a", duration_s=0.2))
    monkeypatch.setattr(ffmpeg, "_library", lambda: None)
    with pytest.raises(AudioError, match=r"MPEG-4 file .*pip install 'mclf-jax\[av\]'") as caught:
        hear(path)
    (result,) = scan.scan([path], sample_rate_hz=16000, min_duration_s=0.1, progress="off")
    assert result.reason == caught.value.reason


def test_av_is_imported_for_its_files_alone(tmp_path):
    made = _written(tmp_path, encoded("aac.m4a", duration_s=0.5))
    code = (
        "import sys, io, numpy, soundfile, mclf_jax\n"
        "from mclf_jax.audio.decode import hear\n"
        f"soundfile.write({str(tmp_path / 'a.wav')!r}, numpy.ones(9999) / 2, 16000)\n"
        f"hear({str(tmp_path / 'a.wav')!r}); assert 'av' not in sys.modules\n"
        f"hear({str(made)!r}); assert 'av' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
