"""The clock of training, with a hand that the tests move."""

import pytest

from mclf_jax.train.spending import clock as clock_lib
from mclf_jax.train.spending.clock import Clock


class Result:
    """Of a step, which is `ready` or not."""

    def __init__(self, ready):
        self.is_ready = lambda: ready


@pytest.fixture
def hand(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(clock_lib.time, "monotonic", lambda: now[0])

    def move(seconds):
        now[0] += seconds

    return move


def test_rates_are_since_the_last_ones_and_totals_of_the_whole_run(hand):
    clock = Clock(trained_s=30.0, waited_s=10.0)
    with clock.waiting_for_data(None):
        hand(1.0)
    hand(3.0)
    with clock.waiting_for_data(Result(ready=False)):
        hand(4.0)  # the device was busy meanwhile
    with clock.paused():
        hand(50.0)
    assert clock.rates(songs=16) == {"songs_per_s": 2.0, "data_wait": 1 / 8}
    assert (clock.trained_s, clock.waited_s) == (38.0, 11.0)
    with clock.waiting_for_data(Result(ready=True)):
        hand(2.0)
    assert clock.rates(songs=16) == {"songs_per_s": 8.0, "data_wait": 1.0}
    assert (clock.trained_s, clock.waited_s) == (40.0, 13.0)


def test_shares_of_all_the_time_of_a_run(hand):
    clock = Clock(trained_s=10.0, waited_s=1.0, compiled_s=4.0, evaluated_s=5.0, saved_s=5.0)
    with clock.waiting_for_data(None):
        hand(2.0)
    assert (clock.last_wait_s, clock.last_round_s) == (2.0, None)
    with clock.compiling():
        hand(3.0)
    with clock.paused("evaluation"):
        hand(8.0)
    with clock.paused("checkpoint"):
        hand(2.0)
    hand(5.0)
    with clock.waiting_for_data(Result(ready=False)):
        hand(10.0)
    # What was paused is no part of a step.
    assert (clock.last_wait_s, clock.last_round_s) == (0.0, 18.0)
    clock.rates(songs=1)
    shares = clock.shares()
    assert {name: 50 * share for name, share in shares.items()} == pytest.approx(
        {
            "time_input": 3.0,
            "time_step": 20.0,
            "time_evaluation": 13.0,
            "time_checkpoint": 7.0,
            "time_compile": 7.0,
        }
    )
    assert Clock(**clock.totals()).shares() == shares
