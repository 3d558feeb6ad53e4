"""Damaged files: predicting, evaluating and the samples themselves give one answer."""

import os
import warnings

import jax
import numpy as np
import pytest
import soundfile

import mclf_jax as mclf
from mclf_jax import data
from mclf_jax.audio.decode import AudioError, read_audio
from mclf_jax.common import parallel
from mclf_jax.evaluation.windows import average, make_step, song_rows
from mclf_jax.run.experiment import Experiment
from mclf_jax.run.weights import open_run
from tests.audio.broken import damaged_songs, encoded
from tests.small_run import write_run
from tests.songs import RATE_HZ


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    noise = np.random.default_rng(0).standard_normal((4, RATE_HZ)).astype(np.float32) / 10
    return write_run(tmp_path_factory.mktemp("run") / "run", noise)


@pytest.fixture(scope="module")
def tagger(run):
    return mclf.load(run)


def test_every_command_gives_one_answer(run, tagger, tmp_path):
    damaged_songs(tmp_path)
    source = data.build("folder", sample_rate_hz=RATE_HZ, path=tmp_path)
    opened, mesh = open_run(run), parallel.make_mesh(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        predicted = [list(scores.values()) for scores in tagger.predict(list(source.files))]
        arrays = [read_audio(file, sample_rate_hz=RATE_HZ) for file in source.files]
        of_arrays = [
            list(scores.values()) for scores in tagger.predict(arrays, sample_rate_hz=RATE_HZ)
        ]
    rows = song_rows(
        Experiment(opened.config, source, opened.model),
        np.arange(len(source)),
        jax.device_put(tagger.variables, parallel.replicated(mesh)),
        step=make_step(opened.model, outputs=("scores",), task="single_label", mesh=mesh),
        mesh=mesh,
        progress="off",
    )
    evaluated = average([rows], "scores", num_songs=len(source))
    assert evaluated["counts"].tolist() == [2] * len(source)
    np.testing.assert_allclose(predicted, of_arrays, atol=2e-3)
    np.testing.assert_allclose(predicted, evaluated["means"], atol=2e-3)


def test_what_is_used_in_part_is_told_of_once(tagger, tmp_path):
    whole = encoded("mp3", duration_s=3)
    (tmp_path / "cut.mp3").write_bytes(whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match=r"cut\.mp3: used in part: cut off: 1\.5 s") as caught:
        tagger.predict(tmp_path / "cut.mp3")
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("peak", "cause"),
    [
        (100, "8-bit integers that were not divided by 128"),
        (16000, "16-bit integers that were not divided by 32768"),
        (4e6, "24-bit integers that were not divided by 8388608"),
        (2e9, "32-bit integers that were not divided by 2147483648"),
        (5e9, "where full scale is 1"),
    ],
)
def test_samples_far_outside_are_told_of_once(tagger, tmp_path, peak, cause):
    samples = (peak * np.sin(np.arange(8000) / 6)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype="FLOAT")
    for audio in (tmp_path / "a.wav", samples):
        with pytest.warns(UserWarning, match=cause) as caught:
            scores = tagger.predict(audio, sample_rate_hz=8000)
        assert len(caught) == 1
        assert np.isfinite(list(scores.values())).all()


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_integers_that_lost_their_type_are_told_of(tagger, dtype):
    samples = (30000 * np.sin(np.arange(8000) / 6)).astype("int16")
    with pytest.warns(
        UserWarning, match=f"reach 29999, where full scale of {dtype} is [0-9]*: perh"
    ):
        tagger.predict(samples.astype(dtype), sample_rate_hz=8000)


@pytest.mark.parametrize("dtype", ["int16", "float16", "int32"])
def test_of_others_nothing_is_said(tagger, dtype):
    scale = 30000 if dtype == "int16" else 2e6 if dtype == "int32" else 0.9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for samples in (scale * np.sin(np.arange(8000) / 6), np.zeros(8000)):
            tagger.predict(samples.astype(dtype), sample_rate_hz=8000)


@pytest.mark.parametrize("peak", [1e11, 3e30, 3e38])
def test_samples_beyond_sense_are_refused(tagger, tmp_path, peak):
    samples = np.full(8000, 0.1, np.float32)
    samples[5000] = -peak  # in no window
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype="FLOAT")
    for audio in (tmp_path / "a.wav", samples):
        with pytest.raises(AudioError, match=r"a sample of .e\+\d\d, where full scale is 1, at 0"):
            tagger.predict(audio, sample_rate_hz=8000)


@pytest.mark.parametrize("rate_hz", [0, -1, 1, 999, 1e9, float("nan")])
def test_rates_of_arrays(tagger, rate_hz):
    with pytest.raises(ValueError, match="sample_rate_hz is .*; it must be in"):
        tagger.predict(np.zeros(1000, np.float32), sample_rate_hz=rate_hz)


def test_special_files_are_not_waited_for(tagger, tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    for path, reason in ((tmp_path / "pipe.wav", "named pipe"), ("/dev/zero", "a device")):
        with pytest.raises(AudioError, match=reason):
            tagger.predict(path)
