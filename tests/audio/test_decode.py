"""Windows are slices of the whole file, in every format; failures say what is wrong."""

import pickle
import tracemalloc

import numpy as np
import pytest
import soundfile

from mclf_jax.audio import decode
from mclf_jax.audio.decode import (
    AudioError,
    audio_info,
    hear,
    read_audio,
    read_windows,
    resampled_length,
    stream_audio,
)


def _sound(num_frames, num_channels=1, seed=0):
    """A glide over noise: every stretch of it differs from every other."""
    t = np.arange(num_frames) / 22050
    noise = np.random.default_rng(seed).standard_normal((num_channels, num_frames))
    glide = 0.3 * np.sin(2 * np.pi * (200 + 30 * t) * t)
    return (glide + 0.1 * noise).astype(np.float32).T


def _assert_windows_equal_whole(path, *, sample_rate_hz, num_samples=3000, num_windows=12):
    whole = read_audio(path, sample_rate_hz=sample_rate_hz)
    assert whole.dtype == np.float32
    assert whole.ndim == 1
    streamed = list(stream_audio(path, sample_rate_hz=sample_rate_hz, block_samples=7001))
    assert {len(block) for block in streamed[:-1]} <= {7001}
    assert sum(map(len, streamed)) == len(whole)
    np.testing.assert_allclose(np.concatenate(streamed), whole, atol=1e-5)

    end = len(whole)
    starts = np.random.default_rng(1).integers(0, end, num_windows).tolist()
    for start in [0, 1, *starts, end - 8000, end - 3000, end - 10, end - 1]:
        start = max(0, start)
        window = read_audio(
            path, sample_rate_hz=sample_rate_hz, start_sample=start, num_samples=num_samples
        )
        assert window.dtype == np.float32
        expected = whole[start : start + num_samples]
        assert window.shape == expected.shape, f"window at {start} of {end}"
        np.testing.assert_allclose(window, expected, atol=1e-5, err_msg=f"at {start} of {end}")
    for start in (end, end + 1, end + 10**6):
        window = read_audio(
            path, sample_rate_hz=sample_rate_hz, start_sample=start, num_samples=num_samples
        )
        assert window.shape == (0,)

    # overlapping windows come of one pass; these few of seeks, where the format allows it
    for starts in (range(0, end + 4000, 1000), [5, 5, end // 2, end - 10, end + 10]):
        windows = read_windows(path, starts, sample_rate_hz=sample_rate_hz, num_samples=num_samples)
        for start, window in zip(starts, windows, strict=True):
            assert window.dtype == np.float32
            expected = whole[start : start + num_samples]
            assert window.shape == expected.shape, f"window at {start} of {end}"
            np.testing.assert_allclose(window, expected, atol=1e-5, err_msg=f"at {start} of {end}")
    return whole


@pytest.mark.parametrize("num_channels", [1, 2, 6])
@pytest.mark.parametrize(
    ("source_rate_hz", "sample_rate_hz"),
    [(44100, 16000), (48000, 22050), (8000, 16000), (192000, 16000), (16000, 16000)],
)
def test_windows_at_every_rate(tmp_path, source_rate_hz, sample_rate_hz, num_channels):
    path = tmp_path / "a.wav"
    num_frames = 2 * source_rate_hz + 123
    soundfile.write(path, _sound(num_frames, num_channels), source_rate_hz)
    whole = _assert_windows_equal_whole(path, sample_rate_hz=sample_rate_hz)
    assert len(whole) == resampled_length(
        num_frames, source_rate_hz=source_rate_hz, sample_rate_hz=sample_rate_hz
    )


@pytest.mark.parametrize(
    ("format", "subtype", "source_rate_hz", "options"),
    [
        ("WAV", "PCM_U8", 22050, {}),
        ("WAV", "PCM_24", 44100, {}),
        ("WAV", "FLOAT", 44100, {}),
        ("WAV", "GSM610", 8000, {}),  # libsndfile cannot seek in it
        ("AIFF", "PCM_16", 44100, {}),
        ("FLAC", "PCM_16", 44100, {}),
        ("OGG", "VORBIS", 44100, {}),  # a seek into the last page is off by up to a block
        ("OGG", "VORBIS", 22050, {}),
        ("OGG", "OPUS", 48000, {}),
        ("MP3", "MPEG_LAYER_III", 44100, {}),
        # without the bit reservoir of the frames before, these come out wrong
        ("MP3", "MPEG_LAYER_III", 44100, {"bitrate_mode": "VARIABLE", "compression_level": 0.9}),
        ("MP3", "MPEG_LAYER_III", 48000, {"bitrate_mode": "CONSTANT", "compression_level": 0.9}),
        ("MP3", "MPEG_LAYER_III", 22050, {"bitrate_mode": "VARIABLE", "compression_level": 0.9}),
        ("MP3", "MPEG_LAYER_III", 16000, {"bitrate_mode": "CONSTANT", "compression_level": 0.9}),
    ],
)
@pytest.mark.parametrize("sample_rate_hz", [16000, 22050])
def test_windows_in_every_format(
    tmp_path, capfd, format, subtype, source_rate_hz, options, sample_rate_hz
):
    path = tmp_path / "a.audio"
    sound = _sound(12 * source_rate_hz + 77)
    soundfile.write(path, sound, source_rate_hz, format=format, subtype=subtype, **options)
    _assert_windows_equal_whole(path, sample_rate_hz=sample_rate_hz)
    assert capfd.readouterr().err == ""  # mpg123 complains there about seeks without run-up


def test_stereo_mp3(tmp_path):
    path = tmp_path / "a.mp3"
    soundfile.write(path, _sound(8 * 44100, 2), 44100)
    _assert_windows_equal_whole(path, sample_rate_hz=22050)


def test_resampling_keeps_pitch_and_time(tmp_path):
    path = tmp_path / "a.wav"
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(44100) / 44100)
    soundfile.write(path, tone, 44100, subtype="FLOAT")
    audio = read_audio(path, sample_rate_hz=16000, start_sample=4000, num_samples=8000)
    expected = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(4000, 12000) / 16000)
    np.testing.assert_allclose(audio, expected, atol=1e-4)


def test_channels_are_averaged(tmp_path):
    path = tmp_path / "a.wav"
    left, right = _sound(1000), _sound(1000, seed=1)
    soundfile.write(path, np.concatenate([left, right], axis=1), 8000, subtype="FLOAT")
    audio = read_audio(path, sample_rate_hz=8000)
    np.testing.assert_allclose(audio, ((left + right) / 2)[:, 0], atol=1e-7)


def test_info_is_the_header(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, _sound(24000, 2), 48000)
    info = audio_info(path)
    assert (info.sample_rate_hz, info.num_frames, info.num_channels) == (48000, 24000, 2)
    assert info.duration_s == 0.5


def test_positions_must_not_be_negative(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, _sound(1000), 8000)
    with pytest.raises(ValueError, match="start_sample=-1"):
        read_audio(path, sample_rate_hz=8000, start_sample=-1)
    with pytest.raises(ValueError, match="num_samples=-5"):
        read_audio(path, sample_rate_hz=8000, num_samples=-5)
    with pytest.raises(ValueError, match="block_samples"):
        next(stream_audio(path, sample_rate_hz=8000, block_samples=0))
    assert read_audio(path, sample_rate_hz=8000, num_samples=0).shape == (0,)
    for starts in ([-1, 3], [0, 5, 4]):
        with pytest.raises(ValueError, match="starts must rise"):
            next(read_windows(path, starts, sample_rate_hz=8000, num_samples=10))
    assert list(read_windows(path, [], sample_rate_hz=8000, num_samples=10)) == []


def test_windows_are_sought_or_cut_from_one_pass_whichever_decodes_less(tmp_path, monkeypatch):
    """Reading a long file window by window must not decode it again and again."""
    decoded = []
    blocks = decode._mono_blocks

    def counting(*args, **kwargs):
        for block in blocks(*args, **kwargs):
            decoded.append(len(block))
            yield block

    monkeypatch.setattr(decode, "_mono_blocks", counting)
    for name, rate, starts, most in (
        ("a.wav", 44100, range(0, 60 * 8000, 4000), 60),  # overlapping
        ("a.wav", 44100, range(0, 60 * 8000, 80000), 7),  # 6 of them
        ("a.mp3", 22050, range(0, 60 * 8000, 80000), 60),  # a seek would decode from the start
    ):
        path = tmp_path / name
        soundfile.write(path, _sound(60 * rate), rate)
        decoded.clear()
        list(read_windows(path, starts, sample_rate_hz=8000, num_samples=8000))
        assert sum(decoded) <= most * rate


@pytest.mark.parametrize("block_samples", [1 << 14, 1 << 18])
def test_streaming_takes_bounded_memory(tmp_path, block_samples):
    def peak_bytes(seconds):
        path = tmp_path / f"{seconds}.wav"
        soundfile.write(path, np.tile(_sound(44100), (seconds, 1)), 44100)
        tracemalloc.start()
        total = sum(map(len, stream_audio(path, sample_rate_hz=16000, block_samples=block_samples)))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert total == seconds * 16000
        return peak

    assert peak_bytes(240) < 1.2 * peak_bytes(80)


def test_truncated_mp3_is_as_long_as_what_decodes(tmp_path):
    whole, cut = tmp_path / "whole.mp3", tmp_path / "cut.mp3"
    soundfile.write(whole, _sound(10 * 44100), 44100)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    audio = _assert_windows_equal_whole(cut, sample_rate_hz=16000)
    assert 4 * 16000 < len(audio) < 6 * 16000
    assert audio_info(cut).num_frames == hear(cut).info.num_frames  # the header says 10 s
    with pytest.raises(ValueError, match="sample_rate_hz is 0; it must be a positive number"):
        read_audio(cut, sample_rate_hz=0)
    assert audio_info(cut).part == "cut off: 5.0 s of the 10.0 s that its header promises"


def test_errors_say_what_the_file_is(tmp_path):
    soundfile.write(tmp_path / "a.flac", _sound(44100), 44100)
    soundfile.write(tmp_path / "none.wav", np.zeros(0, np.float32), 44100)
    flac = (tmp_path / "a.flac").read_bytes()
    damaged = bytearray(flac)
    damaged[len(flac) // 2] ^= 0xFF
    contents = {
        "empty.wav": (b"", "empty"),
        "text.wav": (b"hello, this is text\n" * 50, "text"),
        "page.mp3": (b"<!DOCTYPE html><html>404</html>" * 50, "web page"),
        "cover.mp3": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9, "PNG"),
        "tags.mp3": (b"ID3\x04\0\0\0\0\x01\0" + bytes(128), "only tags"),
        "thousands_of_tags.mp3": ((b"ID3\x04" + bytes(6)) * 1001, "over a thousand tags"),
        "no_frames.mp3": (b"ID3\x04\0\0\0\0\x7f\0" + bytes(128), "MP3, damaged or cut off$"),
        "song.m4a": (b"\0\0\0\x20ftypM4A " + bytes(range(256)) * 9, "MPEG-4"),
        "zeros.wav": (bytes(2000), "zero bytes"),
        "header.flac": (flac[:50], "FLAC, damaged or cut off"),
        "damaged.flac": (bytes(damaged), "breaks off after"),
        "none.wav": ((tmp_path / "none.wav").read_bytes(), "no audio"),
    }
    for name, (content, reason) in contents.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(AudioError, match=reason) as caught:
            read_audio(path, sample_rate_hz=16000)
        assert caught.value.path == str(path)
        assert str(path) in str(caught.value)
        with pytest.raises(AudioError, match=reason):
            list(stream_audio(path, sample_rate_hz=16000, block_samples=1000))
    (tmp_path / "folder.wav").mkdir()
    for name, reason in (("folder.wav", "directory"), ("missing.wav", "no such file")):
        with pytest.raises(AudioError, match=reason):
            audio_info(tmp_path / name)


def test_errors_survive_the_way_back_from_a_worker():
    error = pickle.loads(pickle.dumps(AudioError("a.wav", "no such file")))
    assert (error.path, error.reason) == ("a.wav", "no such file")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite(tmp_path, value):
    path = tmp_path / "a.wav"
    sound = _sound(3 * 8000, 2)
    sound[16000, 1] = value
    soundfile.write(path, sound, 8000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"NaN or infinity at 2\.000 s"):
        read_audio(path, sample_rate_hz=16000)
    with pytest.raises(AudioError, match=r"NaN or infinity at 2\.000 s"):
        list(stream_audio(path, sample_rate_hz=16000, block_samples=1000))
    assert len(read_audio(path, sample_rate_hz=16000, num_samples=16000)) == 16000
