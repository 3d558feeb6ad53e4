"""The baseline of a run: the SVM hears what labels are of, is fitted once, and only where asked."""

import dataclasses

import numpy as np
import pytest

from mclf_jax.data.base import targets as target_lib
from mclf_jax.run import experiment
from mclf_jax.shallow.baseline import MOST_SONGS, fit_baseline, is_wanted
from mclf_jax.train import setup
from tests.songs import RATE_HZ, Songs
from tests.tiny import tiny_config


@dataclasses.dataclass
class Audible(Songs):
    """A tone where the label is 1, noise where it is 0; or half of that as a number."""

    task: str = "single_label"

    def __post_init__(self):
        super().__post_init__()
        unit = ((2.0, 10.0), (1.0, 0.0)) if self.task == "regression" else ()
        self.info = dataclasses.replace(self.info, task=self.task, unit=unit)

    def read(self, index, *, start_sample, num_samples):
        where = {"start_sample": start_sample, "num_samples": num_samples}
        song = super().read(index, **where) - index
        if index % 2:
            song += np.sin(2 * np.pi * 100 * np.arange(len(song)) / RATE_HZ).astype(np.float32)
        return song

    @property
    def labels(self):
        odd = np.arange(self.count, dtype=np.int32) % 2
        if self.task == "single_label":
            return odd
        return np.stack([odd, 1 - odd], axis=1).astype(np.float32)


def opened(**changes):
    parts = experiment.build(tiny_config(eval__baseline="mfcc"))
    return dataclasses.replace(parts, source=Audible(24, **changes))


@pytest.mark.parametrize(
    ("task", "metric"),
    [("single_label", "accuracy"), ("multi_label", "pr_auc_macro"), ("regression", "r2")],
)
def test_it_hears_what_the_labels_are_of(task, metric, tmp_path):
    parts = opened(task=task)
    found = fit_baseline(parts, run=tmp_path, progress="off")
    assert set(found) == {"valid", "test"}
    for split, report in found.items():
        assert report.metrics[metric] > 0.8
        indices = parts.source.info.splits[split]
        assert report.items == tuple(f"song {i}" for i in indices)
        assert report.meta["train_songs"] == 16
        expected = target_lib.in_own_unit(parts.source.targets[indices], parts.source.info.unit)
        np.testing.assert_array_equal(report.targets, expected)


def test_it_is_fitted_once(tmp_path):
    first = fit_baseline(opened(), run=tmp_path, progress="off")
    deaf = opened(broken=tuple(range(24)))
    again = fit_baseline(deaf, run=tmp_path, progress="off")
    for split, report in first.items():
        np.testing.assert_array_equal(again[split].scores, report.scores)
        assert again[split].meta == report.meta
    deaf.source.info = dataclasses.replace(deaf.source.info, fingerprint="others")
    with pytest.raises(ValueError, match="could be read"):
        fit_baseline(deaf, run=tmp_path, progress="off")


def test_of_many_songs_some_are_drawn(tmp_path, monkeypatch):
    assert MOST_SONGS > 16
    monkeypatch.setattr("mclf_jax.shallow.baseline.MOST_SONGS", 10)
    found = fit_baseline(opened(), run=tmp_path, progress="off")
    assert found["test"].meta["train_songs"] == 10


def test_only_the_middle_of_a_long_song_is_heard(tmp_path, monkeypatch):
    monkeypatch.setattr("mclf_jax.shallow.baseline._MOST_S", 0.5)
    parts, heard = opened(), []
    read = parts.source.read

    def listening(index, *, start_sample, num_samples):
        heard.append((parts.source.num_samples(index) - 2 * start_sample, num_samples))
        return read(index, start_sample=start_sample, num_samples=num_samples)

    parts.source.read = listening
    fit_baseline(parts, run=tmp_path, progress="off")
    assert len(heard) == 24
    assert all(num == 500 and 0 <= rest - num <= 1 for rest, num in heard)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"eval__baseline": "mfcc"}, True),
        ({}, False),
        ({"eval__baseline": "mfcc", "objective__name": "simclr", "eval__metric": "loss"}, False),
    ],
)
def test_it_is_there_if_it_is_asked_for_and_labels_are(changes, wanted):
    run = setup.build(tiny_config(**changes))
    assert is_wanted(run.parts, run.objective) is wanted


def test_without_valid_songs_there_is_nothing_to_choose_on():
    run = setup.build(tiny_config(eval__baseline="mfcc"))
    info = run.parts.source.info
    splits = {name: of for name, of in info.splits.items() if name != "valid"}
    run.parts.source.info = dataclasses.replace(info, splits=splits)
    assert not is_wanted(run.parts, run.objective)
