"""The tagger: songs of any length, files and arrays, and the same scores as evaluation."""

import dataclasses
import inspect
import io

import jax.numpy as jnp
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
    # The same songs as if they were other data, by the tagger's own way of hearing them.
    other = mclf.evaluate(workdir, data=Songs(24))
    np.testing.assert_allclose(other.scores, report.scores, atol=1e-5)
    assert other.items == report.items and other.split == "test"
    assert other.metrics["f1_macro"] == report.metrics["f1_macro"]
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
    with pytest.raises(ValueError, match=r"float32 \[2, 3, 10\]; an array of audio is"):
        tagger.predict(np.zeros((2, 3, 10), np.float32), sample_rate_hz=RATE_HZ)
    with pytest.raises(ValueError, match="bool"):
        tagger.predict(np.zeros(10, bool), sample_rate_hz=RATE_HZ)
    with pytest.raises(ValueError, match="audio is a float; it must be a path, bytes"):
        tagger.predict(0.5)
    with pytest.raises(AudioError, match="the file: not audio"):
        tagger.predict(b"not audio at all")
    with pytest.raises(AudioError, match="no samples"):
        tagger.predict(np.zeros(0, np.float32), sample_rate_hz=RATE_HZ)
    with pytest.raises(AudioError, match="NaN"):
        tagger.predict(np.full(10, np.nan, np.float32), sample_rate_hz=RATE_HZ)
    with pytest.raises(AudioError, match="absent.wav"):
        tagger.predict(tmp_path / "absent.wav")
    with pytest.raises(FileNotFoundError, match="is not a run directory: it has no config.json"):
        mclf.load(tmp_path)


@pytest.mark.parametrize("dtype", ["int16", "int32", "uint8", "float32", "float64"])
@pytest.mark.parametrize("layout", ["mono", "channels last", "channels first"])
def test_arrays_of_any_type_and_layout(tagger, dtype, layout):
    half = {"int16": 2**15, "int32": 2**31, "uint8": 2**7}.get(dtype, 1)
    middle = half if dtype == "uint8" else 0
    array = (0.5 * np.sin(np.arange(1500) / 7) * half + middle).astype(dtype)
    song = (array.astype(np.float64) - middle) / half
    if layout != "mono":
        silent = np.full_like(array, middle)
        array = np.stack([array, silent], axis=1 if layout == "channels last" else 0)
        song = song / 2
    expected = tagger.embed(song.astype(np.float32), sample_rate_hz=RATE_HZ)
    found = tagger.embed(array, sample_rate_hz=RATE_HZ)
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)


def test_bytes_and_open_files_are_heard_as_files(tagger, tmp_path):
    path = tmp_path / "song.wav"
    soundfile.write(path, 0.5 * np.sin(np.arange(3000) / 7), 2 * RATE_HZ)
    data = path.read_bytes()
    expected = tagger.predict(path)
    with path.open("rb") as file:
        assert tagger.predict([data, file, io.BytesIO(data)]) == [expected] * 3


def test_a_tagger_says_what_it_is(tagger):
    says = repr(tagger)
    assert says.startswith("Tagger(short_chunk_cnn, single_label, 2 labels (low, high), windows")


def test_which_tags_a_song_has(tagger):
    scores = {"low": 0.4, "high": 0.6}
    assert tagger.tags(scores) == ["high"]
    of_tags = dataclasses.replace(tagger.bundle, task="multi_label", thresholds={"low": 0.4})
    several = mclf.Tagger.of(of_tags)
    assert several.tags(scores) == ["low", "high"]  # at its threshold, and above .5
    assert several.tags({"low": 0.39, "high": 0.49}) == []
    numbers = mclf.Tagger.of(dataclasses.replace(tagger.bundle, task="regression"))
    with pytest.raises(ValueError, match="predicts numbers, and no tags"):
        numbers.tags(scores)


def test_names_of_folders_are_functions_too(tmp_path):
    """`mclf.train` is a folder of the package, and what users call."""
    config = mclf.config("quickstart", overrides={"train.num_epochs": 1.0}, task="style")
    assert config.train.num_epochs == 1.0
    with pytest.raises(AttributeError, match="learning_rate"):
        config.optim.learning_rat = 1.0
    with pytest.raises(TypeError, match="learning_rate"):
        config.optim.learning_rate = "high"
    with pytest.raises(ValueError, match="config argument 'tsk'"):
        mclf.config("quickstart", tsk="style")
    for function in (mclf.train, mclf.probe, mclf.sweep, mclf.config):
        assert inspect.signature(function).parameters
    config.eval.every_steps = 3  # beside every_epochs
    with pytest.raises(ValueError, match="one of eval.every_steps and eval.every_epochs"):
        mclf.train(config, workdir=tmp_path / "run")


def test_a_notebook_hears_a_chain(tmp_path):
    audio = 0.5 * np.sin(np.arange(8000) / 7)
    heard = mclf.listen(audio, mclf.augment.presets.clmr(8000), sample_rate_hz=8000, draws=1)
    members = len(mclf.augment.presets.clmr(8000).augmentations)
    assert heard._repr_html_().count("<audio") == 1 + members + 1
    assert heard.save(tmp_path / "heard.html").read_text().count("<svg") == 1 + members + 1
    with pytest.raises(ValueError, match=r"int64 \[3\]; it must be floating point"):
        mclf.listen(np.arange(3), sample_rate_hz=8000)
    several = {"dry": audio, "wet": jnp.asarray(audio[:4000])}
    heard = mclf.listen(several, sample_rate_hz=8000)._repr_html_()
    assert heard.count("<audio") == 2 and heard.index("dry") < heard.index("wet")
    with pytest.raises(ValueError, match="audio has 2 sounds; there must be one"):
        mclf.listen(several, mclf.augment.presets.clmr(8000), sample_rate_hz=8000)


def test_a_run_without_a_checkpoint_says_so(run, tmp_path):
    for name in ("config.json", "meta.json"):
        (tmp_path / name).write_text((run[0] / name).read_text())
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        mclf.load(tmp_path)
