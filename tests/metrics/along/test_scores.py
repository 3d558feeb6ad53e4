"""Frames and events counted as sed_eval 0.2.1 counts them, whose numbers stand here."""

import math

import numpy as np
import pytest

from mclf_jax.metrics.along import Segment, event_scores, frame_scores, window_targets

TRUTH = {
    "x": [Segment(0, 3.2, "speech"), Segment(4, 10, "music"), Segment(12.1, 14, "speech")],
    "y": [Segment(0.5, 8, "music"), Segment(2, 5, "speech")],
}
FOUND = {
    "x": [Segment(0.15, 3, "speech"), Segment(4.3, 11, "music"), Segment(12, 13, "speech")],
    "y": [Segment(0.4, 4, "music"), Segment(4.5, 8, "music"), Segment(2.1, 9, "speech")],
}
DURATIONS_S = {"x": 15.0, "y": 10.0}
# SegmentBasedMetrics(time_resolution=1), EventBasedMetrics(t_collar=.2, percentage_of_length=.5,
# event_matching_type="optimal") without and with offsets.
SED_EVAL_FRAMES = {"precision": 0.8076923, "recall": 0.9130435, "f1": 0.8571429}
SED_EVAL_FRAMES |= {"f1_macro": 0.8327586, "error_rate": 0.3043478}
SED_EVAL_EVENTS = {
    "ignore": {"precision": 0.6666667, "recall": 0.8, "f1": 0.7272727, "f1_macro": 0.7},
    "required": {"precision": 0.1666667, "recall": 0.2, "f1": 0.1818182, "f1_macro": 0.1666667},
}


def test_frames_as_sed_eval():
    seen = frame_scores(FOUND, TRUTH, durations_s=DURATIONS_S)
    assert seen["labels"]["music"] | {"tp": 14} == seen["labels"]["music"]
    for name, value in SED_EVAL_FRAMES.items():
        assert seen[name] == pytest.approx(value, abs=1e-6), name


def test_events_as_sed_eval():
    for offset, wanted in SED_EVAL_EVENTS.items():
        seen = event_scores(FOUND, TRUTH, offset=offset)
        for name, value in wanted.items():
            assert seen[name] == pytest.approx(value, abs=1e-6), (offset, name)


def test_as_many_events_are_matched_as_can_be():
    truth = [Segment(1.0, 2, "a"), Segment(1.3, 2, "a")]
    found = [Segment(1.15, 2, "a"), Segment(0.9, 2, "a")]
    assert event_scores({"x": found}, {"x": truth})["f1"] == 1


def test_what_nobody_looked_for_does_not_count():
    found = {"x": [Segment(0, 4, "a"), Segment(0, 4, "b")]}
    truth = {"x": [Segment(0, 4, "a")]}
    how = {"observed": {"x": ("a",)}}
    assert event_scores(found, truth, **how)["precision"] == 1
    assert event_scores(found, truth)["precision"] == 0.5
    assert frame_scores(found, truth, durations_s={"x": 4.0}, **how)["f1"] == 1
    nothing = event_scores({}, {"x": []})
    assert math.isnan(nothing["f1"]) and math.isnan(nothing["precision"])
    assert event_scores({}, truth)["recall"] == 0


def test_what_windows_should_say():
    truth = [Segment(0, 2, "a"), Segment(1, 3, "a"), Segment(2.5, 9, "b")]
    targets = window_targets(truth, times_s=[1, 3, 5], window_s=2, labels=("a", "b", "c"))
    np.testing.assert_array_equal(targets, [[1, 0, 0], [1, 1, 0], [0, 1, 0]])
    seen = window_targets(
        truth, times_s=[1], window_s=2, labels=("a", "b", "c"), observed=("a", "c")
    )
    np.testing.assert_array_equal(seen, [[1, np.nan, 0]])
