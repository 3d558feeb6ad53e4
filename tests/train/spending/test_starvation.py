"""Steps that waited for input are counted and named, with the stage at fault."""

import pytest

from mclf_jax.config import base
from mclf_jax.train.spending import starvation as starvation_lib
from mclf_jax.train.spending.starvation import Starvation


@pytest.fixture
def now(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(starvation_lib.time, "monotonic", lambda: now[0])
    return now


def note(starvation, steps, *, wait_s, stage="read"):
    for step in steps:
        seconds = {"read": 0.1, "augment": 0.1} | {stage: 0.3}
        starvation.note(step, wait_s=wait_s, round_s=2.0, seconds=seconds, songs=4)


def test_steps_are_named_with_the_stage_at_fault(now):
    starvation = Starvation(base())
    starvation.note(1, wait_s=9.0, round_s=None, seconds={}, songs=4)  # the first always waits
    note(starvation, [2, 3], wait_s=0.1)
    assert starvation.rates(last_step=3) == {
        "starved": 0.0,
        "input_read_ms": pytest.approx(50.0),
        "input_augment_ms": pytest.approx(1000 * 0.2 / 12),
    }
    assert starvation.message() == ""
    note(starvation, [4], wait_s=0.1, stage="read")
    note(starvation, [5, 6, 7], wait_s=1.0, stage="augment")
    assert starvation.rates(last_step=5)["starved"] == 0.5
    assert starvation.rates(last_step=7)["starved"] == 1.0
    message = starvation.message()
    assert message.startswith("steps 4 to 7: 3 of 4 waited for input, 38% of the time; 75% of")
    assert "is augment (augment.on=device features.on=device" in message
    assert message.endswith("`mclf data speed` measures what helps")
    # Not again in the next minutes, and then of all since then.
    note(starvation, [8, 9], wait_s=1.0)
    assert starvation.message() == ""
    now[0] += 301
    note(starvation, [10], wait_s=0.0)
    assert starvation.message().startswith("steps 8 to 10: 2 of 3 waited")
    assert (starvation.starved_steps, starvation.total_steps) == (5, 9)


def test_what_helps_depends_on_the_config(now):
    config = base()
    config.data.name = "prepared"
    starvation = Starvation(config)
    note(starvation, [1, 2], wait_s=1.0)
    assert "75% of the work on it is read (read from a disk in this machine" in starvation.message()
