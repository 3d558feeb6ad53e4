"""What evaluations make of a run's progress."""

import dataclasses

import pytest

from mclf_jax.train.progress import Progress, TrainingError, judge


def progress_after(values, *, metric="accuracy", patience=0):
    progress = Progress()
    for step, value in enumerate(values, start=1):
        given = {} if value is None else {metric: value, "loss": 1.0}
        progress = judge(progress, given, step=step, metric=metric, patience=patience)
    return progress


def test_the_best_is_the_first_of_equal_ones():
    assert progress_after([0.5, 0.7, 0.7, 0.6]) == Progress("running", 2, 0.7, 2)
    assert progress_after([0.5, 0.7, 0.3, 0.3], metric="rmse") == Progress("running", 3, 0.3, 1)


def test_patience():
    assert progress_after([0.5, 0.4], patience=2).status == "running"
    assert progress_after([0.5, 0.4, 0.4], patience=2).status == "stopped_early"
    assert progress_after([0.5, 0.4, 0.6, 0.4], patience=2).status == "running"


def test_without_anything_to_compare_by_the_newest_is_the_best():
    for found in (progress_after([None, None]), progress_after([0.7, 0.5], metric="last")):
        assert found == Progress(best_step=2)


def test_an_undefined_metric_stops_the_run():
    with pytest.raises(TrainingError, match="accuracy of the valid split is nan at step 2"):
        progress_after([0.5, float("nan")])


def test_what_earlier_versions_saved():
    saved = {"status": "running", "best_step": 5, "best_value": 0.5, "since_best": 1}
    times = ("trained_s", "waited_s", "compiled_s", "evaluated_s", "saved_s")
    assert dataclasses.asdict(Progress(**saved)) == saved | dict.fromkeys(times, 0.0) | {"songs": 0}
