"""Evaluation, a run, and all that leaves it give the same scores of the same files."""

import csv
import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest
import soundfile
from ml_collections import ConfigDict

import mclf_jax as mclf
from mclf_jax import models
from mclf_jax.api import Tagger
from mclf_jax.config import base
from mclf_jax.export import archive, huggingface
from mclf_jax.run import checkpoint, directory, experiment
from tests.models.test_networks import SMALL

FAST = ("fcn", "musicnn", "wav2vec")
EACH = [
    name if name in FAST else pytest.param(name, marks=pytest.mark.slow)
    for name in models.ARCHITECTURES
]
# Suffix, rate in Hz, channels, seconds, split: other rates than any network hears, a song that is
# shorter than a window of any, and formats that are decoded by other code.
FILES = [
    (".wav", 44100, 2, 7.3, "test"),
    (".wav", 8000, 1, 6.1, "test"),
    (".flac", 48000, 1, 0.4, "test"),
    (".ogg", 32000, 2, 5.9, "test"),
    (".mp3", 44100, 1, 6.5, "test"),
    (".wav", 16000, 1, 6.0, "train"),
    (".wav", 16000, 1, 6.0, "valid"),
]
# Of the test songs, those that are not brought to a higher rate.
RICH = [0, 2, 3, 4]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Chords over noise, in files of many kinds."""
    root, rng, rows = tmp_path_factory.mktemp("songs"), np.random.default_rng(0), []
    for number, (suffix, rate_hz, channels, length_s, split) in enumerate(FILES):
        times_s = np.arange(int(length_s * rate_hz))[:, None] / rate_hz
        chord = np.sin(2 * np.pi * rng.uniform(100, 2000, (1, 4, channels)) * times_s[:, :, None])
        swell = 0.5 + 0.5 * np.sin(2 * np.pi * times_s / 3)
        song = 0.15 * swell * chord.sum(axis=1) + 0.02 * rng.standard_normal(swell.shape)
        name = f"{number}{suffix}"
        soundfile.write(root / name, song, rate_hz)
        rows.append({"path": name, "label": ("low", "high")[number % 2], "split": split})
    with (root / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return root


def write_run(run: Path, name: str, folder: Path) -> Path:
    """A run of a small network with drawn weights, whose scores tell songs from each other."""
    config = base()
    config.data.name = "folder"
    config.data.args = ConfigDict({"path": str(folder)})
    config.model.name = name
    arguments = {
        argument: 0.0 for argument in models.arguments_of(name) if argument.endswith("dropout_rate")
    } | SMALL[name]
    config.model.window_s = arguments.pop("window_s", None)
    config.model.args = ConfigDict(arguments)
    config.eval.update({"num_windows": 2, "batch_size": 16})
    parts = experiment.build(config)
    model, head = parts.model, models.architecture(name).head
    directory.start_run(run, config=config, source=parts.source, model=model)
    length = model.window_samples
    songs = [i for i in range(len(parts.source)) if parts.source.num_samples(i) >= length]
    windows = [parts.source.read(i, start_sample=0, num_samples=length) for i in songs]
    drawn = jax.jit(lambda key, x: fitted(model, key, x, head=head))
    checkpoints = checkpoint.open_checkpoints(run / "checkpoints")
    checkpoint.save_best(checkpoints, 1, drawn(jax.random.key(0), np.stack(windows)))
    checkpoint.close(checkpoints)
    return run


def fitted(model, key, audio, *, head):
    """Drawn variables with the statistics of these windows, and a last layer that spreads them."""
    variables = model.init(key)
    params, state = variables.pop("params"), variables
    nothing = jax.tree.map(jax.numpy.zeros_like, state)
    outputs, state = model.apply_train(params, nothing, model.features(audio), key=key)
    # One step from zeros; running statistics are what they would be after many.
    step = 0.01 if model.name == "vgg_ish" else 0.1
    state = jax.tree.map(lambda array: array / step, state)
    logits, layer = outputs["logits"], params[head]
    scale = 1 / logits.std(axis=0)
    bias = (layer["bias"] - logits.mean(axis=0)) * scale
    layer = {"kernel": layer["kernel"] * scale, "bias": bias}
    return {"params": {**params, head: layer}, **state}


@pytest.mark.parametrize("name", EACH)
def test_scores_are_equal_wherever_they_come_from(name, folder, tmp_path):
    run = write_run(tmp_path / "run", name, folder)
    report = mclf.evaluate(run)
    paths = [str(folder / item) for item in report.items]
    assert len(paths) == 5
    assert np.ptp(report.scores, axis=0).min() > 0.1

    def scores(tagger):
        assert tagger.labels == report.labels
        return np.array([list(song.values()) for song in tagger.predict(paths)])

    opened = mclf.load(run)
    of_run = scores(opened)
    # Where windows overlap, a tagger decodes and resamples once what evaluation seeks; that is
    # 3e-7 of full scale in the samples, which tells in bands that hold nothing else.
    np.testing.assert_allclose(of_run[RICH], report.scores[RICH], atol=1e-4)
    np.testing.assert_allclose(of_run, report.scores, atol=2e-3)
    archive.write_archive(opened.bundle, tmp_path / "small.mclf")
    exported = mclf.load(tmp_path / "small.mclf")
    assert exported.bundle.program is not None
    huggingface.write_huggingface(opened.bundle, tmp_path / "hub")
    for where, tagger in {
        "export": exported,
        "export, rebuilt": Tagger.of(dataclasses.replace(exported.bundle, program=None)),
        "hub": mclf.load(tmp_path / "hub"),
    }.items():
        np.testing.assert_allclose(scores(tagger), of_run, atol=1e-5, err_msg=where)
