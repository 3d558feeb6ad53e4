"""Stages count their own time, in their own thread."""

import threading

import pytest

from mclf_jax.common.machine import stopwatch


def test_what_is_inside_of_a_stage_is_not_counted_twice(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: now[0])
    stopwatch.take(rest="batch")
    for _ in range(2):
        with stopwatch.stage("read"):
            now[0] += 1
            with stopwatch.stage("resample"):
                now[0] += 10
            now[0] += 2
        now[0] += 0.5
    other = {}
    thread = threading.Thread(target=lambda: other.update(stopwatch.take(rest="batch")))
    thread.start()
    thread.join()
    assert other == {}
    assert stopwatch.take(rest="batch") == {"read": 6.0, "resample": 20.0, "batch": 0.5}
    assert stopwatch.take(rest="batch") == {}
    with pytest.raises(OSError), stopwatch.stage("read"):
        now[0] += 1
        raise OSError
    assert stopwatch.take(rest="batch") == {"read": 1.0, "batch": 0.0}
