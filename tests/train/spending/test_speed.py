"""`mclf data speed`: what it measures, and what it says of that."""

import dataclasses
import json

import pytest

from mclf_jax.cli import main as cli
from mclf_jax.figures.training import input_speed
from mclf_jax.train.spending import speed as speed_lib
from mclf_jax.train.spending.speed import Speed, measure
from tests.tiny import tiny_config


def setting(workers, threads, rate):
    one = {"num_workers": workers, "num_threads": threads, "prefetch": 8}
    return one | ({} if rate is None else {"songs_per_s": rate, "start_s": 0.1})


SPEED = Speed(
    opening_s=1.0,
    batch_size=16,
    rows=4,
    stages_ms={"read": 6.0, "resample": 1.0, "augment": 0.0, "features": 2.0, "batch": 1.0}
    | {"transfer": 0.5, "step": 4.5},
    settings=[
        setting(0, 2, 100.0),
        setting(4, 1, 400.0),
        setting(2, 1, 230.0),
        setting(8, 1, None),
    ],
    step="",
    device="cpu",
    advice="decode once",
)


def test_every_stage_and_setting_is_measured(monkeypatch):
    monkeypatch.setattr(speed_lib, "_STEP_S", 200.0)
    found = measure(tiny_config(), threads=[1, 2], seconds=0.4)
    host = ("read", "resample", "augment", "features", "batch")
    assert list(found.stages_ms) == [*host, "transfer", "step"] and not found.step
    assert all(found.stages_ms[name] > 0 for name in ("read", "features", "transfer", "step"))
    assert 1 <= found.rows <= 8 == found.batch_size
    tried = [(one["num_workers"], one["num_threads"]) for one in found.settings]
    assert tried == [(0, 2), (0, 1)] and all(one["songs_per_s"] > 0 for one in found.settings)
    json.dumps(found.to_json())


def test_the_cheapest_setting_that_feeds_the_step_is_advised():
    assert SPEED.step_songs_per_s == pytest.approx(200.0)
    assert SPEED.best == SPEED.settings[2]
    text = SPEED.text()
    assert "The step takes 200 songs/s, the input gives 100: the device waits 50% of" in text
    assert "Set --config.runtime.num_workers=2 --config.runtime.num_threads=1" in text
    assert "not reached" in text and "60% of the host's work" in text and "decode once" not in text
    # Where nothing is enough, the fastest, and what else helps.
    quick = dataclasses.replace(SPEED, stages_ms=SPEED.stages_ms | {"step": 0.1})
    assert quick.best == SPEED.settings[1]
    assert "60% of the work on a song is read: decode once." in quick.text()
    slow = dataclasses.replace(SPEED, stages_ms=SPEED.stages_ms | {"step": 40.0})
    assert slow.best == SPEED.settings[0] and "the device need not wait" in slow.text()


def test_without_a_step_the_input_is_told_alone():
    stages = {name: ms for name, ms in SPEED.stages_ms.items() if name not in ("step", "transfer")}
    found = dataclasses.replace(SPEED, stages_ms=stages, step="not measured: not compiled in 9 s")
    assert found.step_songs_per_s is None and found.best == SPEED.settings[1]
    assert "not compiled in 9 s" in found.text() and "The step takes" not in found.text()


def test_defaults_are_few_and_begin_with_the_config(monkeypatch):
    monkeypatch.setattr(speed_lib.os, "sched_getaffinity", lambda _: range(8), raising=False)
    found = speed_lib._settings(tiny_config(), workers=None, threads=None, prefetch=None)
    tried = [tuple(one.values()) for one in found]
    assert tried[:2] == [(0, 2, 8), (0, 1, 8)] and len(set(tried)) == len(tried) <= 9
    assert {(0, 8, 32), (4, 1, 8), (7, 1, 8)} <= set(tried)
    with pytest.raises(ValueError, match="--threads is 0"):
        measure(tiny_config(), threads=[0])


def test_command(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(speed_lib, "measure", lambda config, **given: SPEED)
    picture = tmp_path / "speed.svg"
    words = ["data", "speed", "--config", "quickstart", "--format", "json", "--out", str(picture)]
    assert cli.main(words) == 0
    assert json.loads(capsys.readouterr().out)["best"]["num_workers"] == 2
    assert picture.stat().st_size > 5000
    assert input_speed(SPEED.to_json()).axes[1].get_title(loc="left").startswith("Workers")
