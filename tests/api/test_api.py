"""The tagger: songs of any length, files and arrays, and the same scores as evaluation."""

import numpy as np
import pytest
import soundfile

import mclf_jax as mclf
from mclf_jax.audio.decode import AudioError
from mclf_jax.train import train
from tests.songs import RATE_HZ, Songs
from tests.tiny import tiny_config


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A tiny run, and its first test song as a file."""
    workdir = tmp_path_factory.mktemp("run")
    train(tiny_config(), workdir=workdir)
    song = workdir / "song.wav"
    index = int(Songs(24).info.splits["test"][0])
    soundfile.write(song, Songs(24)[index]["audio"] / 32, RATE_HZ, subtype="FLOAT")
    return workdir, song


@pytest.fixture(scope="module")
def tagger(run):
    return mclf.load(run[0])


def test_files_arrays_and_lists_agree(run, tagger):
    _, song = run
    scores = tagger.predict(song)
    assert list(scores) == ["low", "high"]
    assert sum(scores.values()) == pytest.approx(1)
    audio, _ = soundfile.read(song, dtype="float32")
    both = tagger.predict([str(song), audio], sample_rate_hz=RATE_HZ)
    with pytest.raises(ValueError, match="audio is an empty list"):
        tagger.embed([])
    assert both[0] == pytest.approx(scores) and both[1] == pytest.approx(scores, abs=1e-6)
    embeddings = tagger.embed([song, song])
    assert embeddings.shape == (2, 16) and embeddings.dtype == np.float32
    np.testing.assert_allclose(tagger.embed(song), embeddings[0], atol=1e-6)


def test_same_scores_as_evaluation(run, tagger):
    workdir, _ = run
    report = mclf.evaluate(workdir, split="test")
    index = int(report.items[0].split()[1])
    scores = tagger.predict(Songs(24)[index]["audio"], sample_rate_hz=RATE_HZ)
    np.testing.assert_allclose(list(scores.values()), report.scores[0], atol=1e-5)
    assert set(report.metrics) >= {"loss", "accuracy", "f1_macro"}
    with pytest.raises(ValueError, match=r"no songs in split 'unlabelled'.*train \(16\)"):
        mclf.evaluate(workdir, split="unlabelled")


@pytest.mark.parametrize("num_samples", [1, 40, 499, 500, 501, 20_000])
def test_any_length(tagger, num_samples):
    audio = np.random.default_rng(0).standard_normal(num_samples).astype(np.float32) * 0.1
    scores = tagger.predict(audio, sample_rate_hz=RATE_HZ)
    assert np.isfinite(list(scores.values())).all()
    taggram = tagger.taggram(audio, hop_s=0.25, sample_rate_hz=RATE_HZ)
    times, seconds = taggram["times_s"], num_samples / RATE_HZ
    assert taggram["labels"] == ("low", "high")
    assert taggram["scores"].shape == (len(times), 2)
    np.testing.assert_allclose(times[0], min(seconds, 0.5) / 2)
    if seconds > 0.5:
        np.testing.assert_allclose(times[-1], seconds - 0.25)
        assert (np.diff(times) <= 0.25 + 1e-9).all()


def test_how_songs_are_cut_is_the_runs_until_it_is_said(run, tagger):
    workdir, song = run
    audio, _ = soundfile.read(song, dtype="float32")
    usual = tagger.predict(song)  # the run's 2 windows, at both ends
    ends = [audio[:500], audio[-500:]]
    parts = [list(scores.values()) for scores in tagger.predict(ends, sample_rate_hz=RATE_HZ)]
    assert list(usual.values()) == pytest.approx(np.mean(parts, axis=0), abs=1e-6)
    assert mclf.load(workdir, num_windows=2).predict(song) == pytest.approx(usual, abs=1e-6)
    every = mclf.load(workdir, hop_s=0.1)
    means = every.taggram(song)["scores"].mean(axis=0)
    assert list(every.predict(song).values()) == pytest.approx(means, abs=1e-6)
    longer = mclf.load(workdir, window_s=1.0)
    assert longer.model.window_samples == 1000
    assert longer.taggram(song)["window_s"] == 1.0
    assert longer.embed([song, song]).shape == (2, 16)
    with pytest.raises(ValueError, match="leave one of them out"):
        mclf.load(workdir, num_windows=2, hop_s=0.1)
    with pytest.raises(ValueError, match="window_s=0.05 does not suit short_chunk_cnn"):
        mclf.load(workdir, window_s=0.05)


def test_arrays_at_another_rate_are_resampled(tagger):
    t = np.arange(44100) / 44100
    audio = np.sin(2 * np.pi * 50 * t).astype(np.float32)
    at_model_rate = np.sin(2 * np.pi * 50 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
    np.testing.assert_allclose(
        list(tagger.predict(audio, sample_rate_hz=44100).values()),
        list(tagger.predict(at_model_rate, sample_rate_hz=RATE_HZ).values()),
        atol=0.02,
    )


def test_bad_input(tagger, tmp_path):
    with pytest.raises(ValueError, match="sample_rate_hz is needed"):
        tagger.predict(np.zeros(10, np.float32))
    with pytest.raises(ValueError, match=r"mono audio.*\[2, 10\]"):
        tagger.predict(np.zeros((2, 10), np.float32), sample_rate_hz=RATE_HZ)
    with pytest.raises(ValueError, match="int16"):
        tagger.predict(np.zeros(10, np.int16), sample_rate_hz=RATE_HZ)
    with pytest.raises(AudioError, match="no samples"):
        tagger.predict(np.zeros(0, np.float32), sample_rate_hz=RATE_HZ)
    with pytest.raises(AudioError, match="NaN"):
        tagger.predict(np.full(10, np.nan, np.float32), sample_rate_hz=RATE_HZ)
    with pytest.raises(AudioError, match="absent.wav"):
        tagger.predict(tmp_path / "absent.wav")
    with pytest.raises(FileNotFoundError, match="is not a run directory: it has no config.json"):
        mclf.load(tmp_path)


def test_a_run_without_a_checkpoint_says_so(run, tmp_path):
    for name in ("config.json", "meta.json"):
        (tmp_path / name).write_text((run[0] / name).read_text())
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        mclf.load(tmp_path)
