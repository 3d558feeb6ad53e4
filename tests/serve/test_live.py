"""A stream says what the taggram of the whole sound says, in whatever pieces it comes."""

import io
import json
import signal
import subprocess
import sys
import types

import numpy as np
import pytest
import soundfile

from mclf_jax.api import Tagger
from mclf_jax.audio.decode import AudioError
from mclf_jax.export import archive
from mclf_jax.serve import live
from mclf_jax.serve.live import Stream
from tests import ROOT
from tests.export.bundles import RATE_HZ, small_bundle, song


@pytest.fixture(scope="module")
def tagger():
    return Tagger.of(small_bundle())


def heard(stream, pieces):
    moments = [moment for piece in pieces for moment in stream.feed(piece)]
    return [*moments, *stream.finish()]


@pytest.mark.parametrize("rate", [RATE_HZ, 1600])
@pytest.mark.parametrize("piece", [7, 333, 100_000])
def test_it_is_the_taggram(tagger, rate, piece):
    audio = song(num_samples=3333)
    stream = Stream(tagger, sample_rate_hz=rate, hop_s=0.1)
    moments = heard(stream, np.split(audio, range(piece, len(audio), piece)))
    wanted = tagger.taggram(audio, hop_s=0.1, sample_rate_hz=rate)
    found = np.array([list(moment.scores.values()) for moment in moments])
    np.testing.assert_allclose([m.time_s for m in moments], wanted["times_s"], atol=1e-9)
    np.testing.assert_allclose(found, wanted["scores"], atol=1e-4 if rate != RATE_HZ else 1e-6)


@pytest.mark.parametrize("num_samples", [1, 300, 500])
def test_a_short_sound_has_one_answer(tagger, num_samples):
    audio = song(num_samples=num_samples)
    (moment,) = heard(Stream(tagger, sample_rate_hz=RATE_HZ), [audio[:1], audio[1:]])
    wanted = tagger.taggram(audio, sample_rate_hz=RATE_HZ)
    assert moment.time_s == pytest.approx(wanted["times_s"][0])
    assert list(moment.scores.values()) == pytest.approx(wanted["scores"][0], abs=1e-6)


def test_memory_is_that_of_a_window(tagger):
    stream = Stream(tagger, sample_rate_hz=RATE_HZ)
    for _ in stream.feed(np.zeros((50_000, 2))):
        assert len(stream._held) < 4 * max(RATE_HZ, stream.window)
    assert len(stream._held) <= 2 * stream.window


def test_what_comes_too_fast_is_skipped_and_counted(tagger):
    stream = Stream(tagger, sample_rate_hz=RATE_HZ, hop_s=0.1)
    moments = list(stream.feed(song(num_samples=900), late="skip"))
    assert [round(moment.end_s, 6) for moment in moments] == [0.9] and stream.num_skipped == 4


def test_answers_are_averaged_over_the_last_seconds(tagger):
    audio = song(num_samples=2000)
    single = heard(Stream(tagger, sample_rate_hz=RATE_HZ, hop_s=0.25), [audio])
    smooth = heard(Stream(tagger, sample_rate_hz=RATE_HZ, hop_s=0.25, smooth_s=0.5), [audio])
    means = [np.mean([single[i].scores["low"], single[i - 1].scores["low"]]) for i in range(1, 7)]
    assert [moment.scores["low"] for moment in smooth[1:7]] == pytest.approx(means)


def test_what_cannot_be_streamed_is_refused(tagger):
    with pytest.raises(ValueError, match="hop_s is -1"):
        Stream(tagger, sample_rate_hz=RATE_HZ, hop_s=-1)
    with pytest.raises(ValueError, match="has learnt no labels"):
        Stream(Tagger.of(small_bundle(labels=())), sample_rate_hz=RATE_HZ)
    with pytest.raises(AudioError, match="not all finite"):
        list(Stream(tagger, sample_rate_hz=RATE_HZ).feed(np.array([np.nan])))


def test_a_microphone_that_loses_sound_says_so(monkeypatch):
    class InputStream:
        def __init__(self, callback, blocksize, **how):
            self.callback, self.blocksize = callback, blocksize

        def __enter__(self):
            for number in range(70):  # more than wait
                self.callback(np.full((self.blocksize, 1), number, "f4"), self.blocksize, None, "")

        def __exit__(self, *error):
            pass

    fake = types.SimpleNamespace(InputStream=InputStream, PortAudioError=RuntimeError)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    block = next(live.read_microphone(sample_rate_hz=RATE_HZ, block_s=0.1))
    assert block["samples"].shape == (6400,) and block["lost"]
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ImportError, match=r"mclf-jax\[microphone\]"):
        next(live.read_microphone(sample_rate_hz=RATE_HZ, block_s=0.1))


@pytest.fixture
def command(tmp_path):
    archive.write_archive(small_bundle(), tmp_path / "x.mclf")
    return [sys.executable, "-m", "mclf_jax.cli", "stream", str(tmp_path / "x.mclf")]


@pytest.mark.slow
def test_the_command_takes_raw_samples_and_wav(command, tagger):
    audio = song(num_samples=1700)
    wav = io.BytesIO()
    soundfile.write(wav, np.stack([audio, audio], axis=1), RATE_HZ, format="WAV")
    raw = np.round(audio * 32768).astype("<i2").tobytes()
    options = ["--format", "json", "--top", "2"]
    said = [
        subprocess.run(
            [*command, *options, *more], input=data, cwd=ROOT, capture_output=True, check=True
        )
        for data, more in ((wav.getvalue(), []), (raw, ["--rate", str(RATE_HZ)]))
    ]
    lines = [[json.loads(line) for line in done.stdout.splitlines()] for done in said]
    wanted = tagger.taggram(audio, sample_rate_hz=RATE_HZ)
    for found in lines:
        assert [line["time_s"] for line in found] == pytest.approx(list(wanted["times_s"]))
        assert [line["scores"]["low"] for line in found] == pytest.approx(
            list(wanted["scores"][:, 0]), abs=1e-3
        )
    assert b"windows of 0.5 s, an answer every 0.25 s" in said[0].stderr
    refused = subprocess.run(
        command, input=b"RIFF....WAVE", cwd=ROOT, capture_output=True, check=False
    )
    assert refused.returncode == 1 and b"WAV without sound" in refused.stderr


@pytest.mark.slow
def test_ctrl_c_ends_it_in_a_line(command):
    with subprocess.Popen(
        [*command, "--rate", str(RATE_HZ)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdin.write(np.zeros(1000, "<i2").tobytes())
        process.stdin.flush()
        assert process.stdout.readline().startswith(b"0:00.5")
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=20)[1]
    assert process.returncode == 130 and b"Traceback" not in said
