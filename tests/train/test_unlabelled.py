"""Labelled and unlabelled songs in one run: where batches come from, and that a run goes on."""

import json
import shutil

import jax
import numpy as np
import pytest

from mclf_jax import config, data
from mclf_jax.data import pipeline
from mclf_jax.run import checkpoint
from mclf_jax.train import overview, train
from mclf_jax.train import setup as training
from tests.songs import Songs
from tests.tiny import final_arrays, tiny_config

FEW = {"data__fraction": 0.5, "objective__name": "consistency"}
OTHERS = {"unlabelled__name": "others", "objective__name": "consistency"}


def others(*, sample_rate_hz: int, count: int = 10) -> Songs:
    """Another data set than that of `tests.tiny`, all of whose songs are training songs."""
    return Songs(count)


@pytest.fixture(autouse=True)
def other_data_set(monkeypatch):
    monkeypatch.setitem(data.SOURCES, "others", __name__)


def drawn(run, steps):
    dataset = run.batches()
    return np.concatenate([dataset[step]["unlabelled"]["index"] for step in steps])


def test_every_unlabelled_song_once_an_epoch():
    run = training.build(tiny_config(**FEW, unlabelled__ratio=2))
    splits = run.parts.source.info.splits
    hidden, used = splits["unlabelled"], splits["train"]
    batch = run.batches()[0]
    assert batch["unlabelled"]["features"].shape[0] == 2 * batch["features"].shape[0] == 16
    assert set(batch["index"]) <= set(used.tolist())
    in_an_epoch = drawn(run, range(len(hidden)))[: len(hidden)]
    assert sorted(in_an_epoch) == sorted(hidden)


def test_labelled_songs_can_be_among_them():
    both = training.build(tiny_config(**FEW, unlabelled__splits=("unlabelled", "train")))
    splits = both.parts.source.info.splits
    everything = sorted([*splits["unlabelled"], *splits["train"]])
    assert sorted(both.unlabelled.indices) == everything
    assert not set(everything) & set(splits["valid"].tolist() + splits["test"].tolist())


@pytest.mark.slow
def test_another_data_set():
    run = training.build(tiny_config(**OTHERS, unlabelled__splits=("train",)))
    assert run.unlabelled.source is not run.parts.source
    assert len(run.unlabelled.source) == 10
    assert set(drawn(run, range(4))) <= set(run.unlabelled.indices.tolist())
    text = "".join(overview.describe(run.parts.config))
    assert "used without labels" in text
    assert "features, unlabelled" in text


def test_labelled_batches_are_those_of_supervised_learning():
    alone = training.build(tiny_config(data__fraction=0.5)).batches()
    both = training.build(tiny_config(**FEW)).batches()
    for step in (0, 3):
        for name, rows in alone[step].items():
            np.testing.assert_array_equal(both[step][name], rows)


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.slow_beyond(1)
def test_position_is_step(num_workers):
    run = training.build(tiny_config(**FEW))
    straight, options = run.batches(), {"num_threads": 2, "prefetch": 2}
    later = pipeline.iterate(straight[5:8], num_workers=num_workers, **options)
    for step, batch in zip(range(5, 8), later, strict=True):
        jax.tree.map(np.testing.assert_array_equal, batch, straight[step])


def test_two_processes_have_the_rows_of_one():
    run = training.build(tiny_config(**FEW, unlabelled__ratio=2))
    parts = [run.batches(process_index=i, process_count=2)[3]["unlabelled"] for i in range(2)]
    together = np.concatenate([part["index"] for part in parts])
    assert sorted(together) == sorted(run.batches()[3]["unlabelled"]["index"])


@pytest.mark.slow
def test_resumed_equals_straight(tmp_path, monkeypatch):
    changes = FEW | {"train__num_steps": 8, "eval__every_steps": 4}
    train(tiny_config(**changes), workdir=tmp_path / "straight")
    save = checkpoint.save

    def full_disk(checkpoints, step, **arguments):
        if step == 8:
            raise OSError("no space left on device")
        save(checkpoints, step, **arguments)

    with monkeypatch.context() as context, pytest.raises(OSError, match="no space"):
        context.setattr(checkpoint, "save", full_disk)
        train(tiny_config(**changes), workdir=tmp_path / "resumed")
    assert train(tiny_config(**changes), workdir=tmp_path / "resumed").status == "finished"
    runs = [final_arrays(tmp_path / name) for name in ("straight", "resumed")]
    for a, b in zip(*runs, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_a_student_of_cached_predictions(tmp_path, straight, capsys):
    short = {"train__num_steps": 4, "eval__every_steps": 4}
    student = tmp_path / "student"
    teacher = shutil.copytree(straight[0], tmp_path / "teacher")
    changes = FEW | short | {"objective__name": "noisy_student"}
    changes |= {"objective__args__teacher": str(teacher), "objective__args__predictions": "cached"}
    run = training.build(tiny_config(**changes))
    target = run.batches()[0]["unlabelled"]["label"]
    assert target.shape == (8, 2)
    np.testing.assert_allclose(target.sum(axis=1), 1, rtol=1e-5)
    assert len(list((teacher / "predictions").glob("*.npz"))) == 1

    assert train(tiny_config(**changes), workdir=student).status == "finished"
    assert "pseudo-labels of" in capsys.readouterr().err
    meta = json.loads((student / "meta.json").read_text())
    assert meta["unlabelled"]["fingerprint"] != meta["data"]["fingerprint"]
    # Another teacher of that name predicts other things: this run cannot go on with it.
    (teacher / "config.json").unlink()
    for folder in ("checkpoints", "predictions"):
        (teacher / folder).rename(tmp_path / f"old {folder}")
    train(tiny_config(data__fraction=0.5, seed=1, **short), workdir=teacher)
    with pytest.raises(ValueError, match="trained on other data"):
        train(tiny_config(**changes), workdir=student)


def test_no_unlabelled_songs_is_an_error():
    with pytest.raises(ValueError, match=r"unlabelled\.splits is .*data\.songs_per_label"):
        training.build(tiny_config(objective__name="consistency"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unlabelled__ratio": 0}, r"unlabelled\.ratio is 0"),
        ({"unlabelled__splits": ("test",)}, r"unlabelled\.splits is \('test',\)"),
        ({"data__train_splits": ("train", "unlabelled")}, "needs labels there"),
    ],
)
def test_settings_that_cannot_be(changes, message):
    with pytest.raises(ValueError, match=message):
        config.validate(tiny_config(**FEW, **changes))


def test_augmentation_of_waveforms_is_for_the_device():
    with pytest.raises(ValueError, match=r"augment\.on is 'pipeline'"):
        training.build(tiny_config(**FEW, augment__chain=(("gain", 0.5, {}),)))
