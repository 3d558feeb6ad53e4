"""Teachers: which runs can be one, and their predictions of songs, computed once."""

import dataclasses
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from mclf_jax import api
from mclf_jax.config import base
from mclf_jax.data.views.base import View
from mclf_jax.evaluation.predictions import predict, pseudo_label
from mclf_jax.evaluation.teacher import open_teacher
from mclf_jax.evaluation.windows import song_batches
from mclf_jax.run.directory import read_config, read_meta
from tests.small_run import LABELS, small_model, write_run
from tests.songs import Songs

INDICES = np.arange(1, 24, 2)
KIND = {"task": "single_label", "label_names": LABELS}


def windows(count=24):
    songs = Songs(count)
    return np.stack([songs.read(i, start_sample=0, num_samples=500) for i in range(count)])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "teacher", windows())


@pytest.fixture(scope="module")
def tags(tmp_path_factory):
    labels = ("calm", "happy", "sad")
    folder = tmp_path_factory.mktemp("runs") / "tags"
    return write_run(folder, windows(), labels=labels, task="multi_label")


def settings(**arguments):
    config = base()
    config.eval.batch_size = 8
    config.runtime.progress = "off"
    config.objective.name = "noisy_student"
    config.objective.args.update({"predictions": "cached"} | arguments)
    return config


def same(one, other):
    for field in dataclasses.fields(one):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


@pytest.mark.slow
def test_a_teacher_is_the_best_of_its_run(run):
    teacher = open_teacher(run, **KIND)
    tagger = api.load(run)
    assert (teacher.labels, teacher.task) == (LABELS, "single_label")
    assert teacher.model == tagger.model == small_model()
    jax.tree.map(np.testing.assert_array_equal, teacher.variables, tagger.variables)
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(teacher.variables))


def test_the_fingerprint_is_of_all_that_decides_a_prediction(run, tmp_path):
    found = {open_teacher(run, **KIND).fingerprint}
    assert open_teacher(run, **KIND).fingerprint in found
    other = write_run(tmp_path / "other", windows(), seed=1)
    found.add(open_teacher(other, **KIND).fingerprint)
    for field, value in (
        ("eval.num_windows", 3),
        ("data.short", "pad"),
        ("eval.hop_s", 0.1),
        ("eval.aggregation", "max"),
    ):
        config = read_config(other)
        section, name = field.split(".")
        config[section][name] = value
        (tmp_path / "other" / "config.json").write_text(config.to_json())
        found.add(open_teacher(other, **KIND).fingerprint)
    assert len(found) == 6


def test_who_cannot_teach(run, tmp_path):
    def error(kind, message, path=run, **changes):
        with pytest.raises(kind, match=f"objective.args.teacher is .*{message}"):
            open_teacher(path, **KIND | changes)

    error(ValueError, "must be the run directory of a network", "")
    error(FileNotFoundError, "is not a run directory", tmp_path)
    (tmp_path / "begun").mkdir()
    for name in ("config.json", "meta.json"):
        (tmp_path / "begun" / name).write_text((Path(run) / name).read_text())
    error(FileNotFoundError, "no checkpoint in", tmp_path / "begun")
    config = json.loads((tmp_path / "begun" / "config.json").read_text())
    config["objective"]["name"] = "simclr"
    (tmp_path / "begun" / "config.json").write_text(json.dumps(config))
    error(ValueError, "trained by simclr, without labels", tmp_path / "begun")
    error(ValueError, "for task 'single_label'; the task here is 'multi_label'", task="multi_label")
    error(ValueError, "labels are in another order", label_names=("high", "low"))
    message = r"other labels: it lacks \['loud', 'soft'\]; it has \['high'\] too"
    error(ValueError, message, label_names=("low", "soft", "loud"))


@pytest.mark.slow
def test_predictions_are_those_of_the_run(run, tags, tmp_path):
    """As `mclf predict` gives them, on one device and on eight; unreadable songs are left out."""
    source = Songs(24, broken=(9, 13))
    loud = shutil.copytree(tags, tmp_path / "loud")
    config = read_config(loud)
    config.eval.aggregation = "noisy_or"
    (loud / "config.json").write_text(config.to_json())
    of_tags = {"task": "multi_label", "label_names": None}
    for path, kind in ((run, KIND), (loud, of_tags), (tags, of_tags)):
        kind = kind | {"label_names": tuple(read_meta(Path(path))["labels"])}
        teacher = open_teacher(path, **kind)
        found = predict(teacher, source, INDICES, config=settings(), cache_dir=None)
        np.testing.assert_array_equal(found.indices, np.setdiff1d(INDICES, [9, 13]))
        np.testing.assert_array_equal(found.failed, [9, 13])
        assert found.probabilities.dtype == np.float32
        audio = [source[i]["audio"] for i in found.indices[:3]]
        for row, scores in zip(
            found.probabilities, api.load(path).predict(audio, sample_rate_hz=1000), strict=False
        ):
            np.testing.assert_allclose(row, list(scores.values()), rtol=1e-4)
    config = settings()
    config.runtime.num_devices = 1
    one = predict(teacher, source, INDICES, config=config, cache_dir=None)
    np.testing.assert_allclose(one.probabilities, found.probabilities, rtol=1e-5)


def test_predictions_are_computed_once(run, tmp_path, monkeypatch):
    computed = []

    def counted(*args, **kwargs):
        computed.append(1)
        return song_batches(*args, **kwargs)

    monkeypatch.setattr("mclf_jax.evaluation.predictions.song_batches", counted)
    teacher, source = open_teacher(run, **KIND), Songs(24, broken=(9,))

    def found(teacher=teacher, source=source, indices=INDICES):
        return predict(teacher, source, indices, config=settings(), cache_dir=tmp_path / "cache")

    first = found()
    same(first, found())
    assert len(computed) == 1
    # Songs in another order are the same songs.
    same(first, found(indices=INDICES[::-1]))
    assert len(computed) == 1
    # Another teacher, other data, other songs; then the first ones are still there.
    other = open_teacher(write_run(tmp_path / "other", windows(), seed=1), **KIND)
    assert np.abs(found(teacher=other).probabilities - first.probabilities).max() > 0.01
    info = dataclasses.replace(source.info, fingerprint="other")
    found(source=View(base=source, info=info))
    assert len(found(indices=INDICES[2:]).indices) == 9
    assert len(computed) == 4
    same(first, found())
    assert len(computed) == 4 and len(list((tmp_path / "cache").iterdir())) == 4
    for path in (tmp_path / "cache").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    same(first, found())
    assert len(computed) == 5


def test_hours_of_predictions_are_not_lost_where_nothing_can_be_written(run, tmp_path):
    teacher, indices = open_teacher(run, **KIND), INDICES[:2]
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="the teacher's predictions are not kept"):
        found = predict(
            teacher, Songs(24), indices, config=settings(), cache_dir=tmp_path / "file" / "cache"
        )
    np.testing.assert_array_equal(found.indices, indices)


def test_items_for_a_student(run, tmp_path):
    source = Songs(24, broken=(9,))
    config = settings(teacher=run, threshold=0.55, per_class=5, targets="hard")

    def items(source=source, open_source=None, config=config):
        return pseudo_label(
            open_teacher(run, **KIND),
            source,
            INDICES,
            config=config,
            open_source=open_source,
            cache_dir=tmp_path,
        )

    found = items()
    teacher = open_teacher(run, **KIND)
    said = predict(teacher, source, INDICES, config=config, cache_dir=None)
    of_song = dict(zip(said.indices.tolist(), said.probabilities, strict=True))
    assert len(found.indices) == 10 and 9 not in found.indices  # 5 of each class
    for index in map(int, found.indices):
        assert of_song[index].max() >= 0.55
        label = found.source.labels[index]
        np.testing.assert_array_equal(label, of_song[index] == of_song[index].max())
    notes = found.source.info.notes
    assert "unlabelled songs that cannot be read and are skipped: 1" in notes
    assert "hard pseudo-labels" in notes[-1] and "balanced to 5" in notes[-1]
    # Another sample rate: the teacher hears the data set at its own.
    faster = Songs(24, broken=(9,))
    faster.info = dataclasses.replace(faster.info, sample_rate_hz=2000)
    asked = []

    def open_source(rate_hz):
        asked.append(rate_hz)
        return source

    again = items(source=faster, open_source=open_source)
    assert asked == [1000] and again.source.info.sample_rate_hz == 2000
    np.testing.assert_array_equal(again.indices, found.indices)
    with pytest.raises(ValueError, match="songs is not the same at 2000 Hz and at 1000 Hz"):
        items(source=faster, open_source=lambda rate_hz: Songs(12))


def test_predictions_that_are_not_finite_are_refused(run):
    teacher = open_teacher(run, **KIND)
    broken = jax.tree.map(lambda leaf: leaf * np.float32(np.nan), teacher.variables)
    teacher = dataclasses.replace(teacher, variables=broken)
    with pytest.raises(ValueError, match="4 of 4 of its predictions are not finite, such as of"):
        predict(teacher, Songs(24), INDICES[:4], config=settings(), cache_dir=None)
