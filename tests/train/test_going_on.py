"""A run that was stopped, killed or made longer ends where it would have ended."""

import dataclasses
import json
import random
import re
import signal
import time

import jax
import numpy as np
import pytest

from mclf_jax.common import parallel
from mclf_jax.run import checkpoint, checksums
from mclf_jax.run.directory import read_config, read_meta
from mclf_jax.run.history import is_of_the_loop
from mclf_jax.train import loop as train_module
from mclf_jax.train.loop import Outcome, train
from tests import tiny_pretraining
from tests.tiny import final_arrays, tiny_config
from tests.train.runs import lines, start

# Two steps an epoch: from step 7 and from step 14.
PHASES = {
    "optim__schedule": "constant",
    "optim__ema_decay": 0.0,
    "optim__phases": ((3.5, "sgd", 1e-2), (7, "sgd", 1e-4)),
}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.slow_beyond(1)
def test_signals_save_and_exit_cleanly(tmp_path, number):
    process = start(tmp_path, "train__num_steps=100000", "eval__every_steps=100000")
    deadline = time.monotonic() + 120
    while not (tmp_path / "metrics.jsonl").exists() or not lines(tmp_path, "train"):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.1)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "interrupted" in out
    step = int(out.partition("step=")[2].partition(",")[0])
    saved = [path.name for path in (tmp_path / "checkpoints" / "latest").iterdir()]
    assert saved == [str(step)]


def test_resumed_equals_straight(tmp_path, straight, monkeypatch, capsys):
    workdir, _ = straight

    def full_disk(checkpoints, step, **arguments):
        if step == 10:
            raise OSError("no space left on device")
        save(checkpoints, step, **arguments)

    save = checkpoint.save
    with monkeypatch.context() as context, pytest.raises(OSError, match="no space"):
        context.setattr(checkpoint, "save", full_disk)
        train(tiny_config(), workdir=tmp_path)
    # The first try says later that it waited for a thousand seconds.
    checkpoints = checkpoint.open_checkpoints(tmp_path / "checkpoints")
    assert checkpoints.latest.latest_step() == 5
    checkpoint.close(checkpoints)
    saved = tmp_path / "checkpoints" / "latest" / "5" / "progress" / "metadata"
    told = json.loads(saved.read_text())
    assert 0 <= told["waited_s"] < told["trained_s"]
    saved.write_text(json.dumps(told | {"waited_s": 1000.0, "trained_s": 2000.0}))
    checksums.seal(saved.parent)
    assert train(tiny_config(), workdir=tmp_path).status == "finished"
    assert re.search(r"20 steps in 0:3\d:\d\d, (49|50)% of that waiting", capsys.readouterr().err)
    for a, b in zip(final_arrays(tmp_path), final_arrays(workdir), strict=True):
        np.testing.assert_array_equal(a, b)
    for kind in ("train", "valid"):
        entries = [
            [{n: entry[n] for n in entry if not is_of_the_loop(n)} for entry in lines(run, kind)]
            for run in (tmp_path, workdir)
        ]
        assert entries[0] == entries[1]


@pytest.mark.slow
def test_a_phase_starts_with_the_best_weights(tmp_path, monkeypatch):
    """The run below is best at step 5, then at step 14: only the first switch goes back."""
    losses = {5: 2.0, 7: 3.0, 10: 2.5, 14: 1.0, 15: 4.0, 20: 4.0}
    judge, save, saved = train_module.judge, checkpoint.save, {}

    def judge_as_told(progress, values, *, step, **settings):
        return judge(progress, {"loss": losses[step]}, step=step, **settings)

    def noting_save(checkpoints, step, *, state, progress, best_variables=None, **score):
        if step == 7 and not saved.get(7):
            saved[7] = "lost"
            raise OSError("no space left on device")
        saved[step] = jax.device_get({"state": state, "best": best_variables})
        content = {"state": state, "progress": progress, "best_variables": best_variables}
        save(checkpoints, step, **content, **score)

    monkeypatch.setattr(train_module, "judge", judge_as_told)
    straight = train(tiny_config(**PHASES), workdir=tmp_path / "straight")
    assert straight == Outcome("finished", step=20, best_step=14, best_value=1.0)
    monkeypatch.setattr(checkpoint, "save", noting_save)
    with pytest.raises(OSError, match="no space"):
        train(tiny_config(**PHASES), workdir=tmp_path / "resumed")
    assert train(tiny_config(**PHASES), workdir=tmp_path / "resumed") == straight

    assert sorted(saved) == sorted(losses)
    for step, best_step in ((7, 5), (14, 14)):
        went_on, best = saved[step]["state"].variables(), saved[best_step]["best"]
        jax.tree.map(np.testing.assert_array_equal, went_on, best)
    at_15, best = saved[15]["state"].variables(), saved[14]["best"]
    assert any((a != b).any() for a, b in zip(*map(jax.tree.leaves, (at_15, best)), strict=True))
    rates = {
        entry["step"]: entry["learning_rate"] for entry in lines(tmp_path / "resumed", "train")
    }
    assert [rates[step] for step in (7, 10, 14, 20)] == pytest.approx([1e-3, 1e-2, 1e-2, 1e-4])
    for a, b in zip(
        final_arrays(tmp_path / "resumed"), final_arrays(tmp_path / "straight"), strict=True
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_without_labels_a_phase_starts_with_the_newest_weights(tmp_path, monkeypatch, capsys):
    """The best encoder would meet a projector that has gone on."""
    config = tiny_pretraining.config_of("simclr")
    config.optim.phases = ((1.0, "sgd", 1e-2),)
    config.train.num_steps, config.eval.every_steps = 6, 2

    def first_is_best(progress, values, **settings):
        return dataclasses.replace(progress, best_step=2)

    monkeypatch.setattr(train_module, "judge", first_is_best)
    monkeypatch.setattr(train_module, "_reload_best", None)
    assert train(config, workdir=tmp_path).best_step == 2
    assert "the next phase starts" not in capsys.readouterr().err


@pytest.mark.slow
def test_killed_at_random_moments_equals_straight(tmp_path):
    """Three kill -9 of one run: the last while it starts, the others while it trains."""
    changes = {"train__num_steps": 400, "eval__every_steps": 5, "runtime__num_devices": 1}
    words = [f"{field}={value}" for field, value in changes.items()]
    latest = tmp_path / "killed" / "checkpoints" / "latest"
    rng = random.Random(0)
    start_up_s = 5.0
    for kill in range(3):
        saved = set(latest.glob("*"))
        began = time.monotonic()
        process = start(tmp_path / "killed", *words)
        if kill == 2:
            time.sleep(rng.uniform(0, start_up_s))
        else:
            while set(latest.glob("*")) <= saved:
                assert process.poll() is None, process.communicate()
                time.sleep(0.01)
            start_up_s = time.monotonic() - began
            time.sleep(rng.uniform(0, 0.3))
        assert process.poll() is None, process.communicate()
        process.kill()
        process.communicate()

    process = start(tmp_path / "killed", *words)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "going on from step" in err
    train(tiny_config(**changes), workdir=tmp_path / "straight")
    arrays = zip(
        final_arrays(tmp_path / "killed"), final_arrays(tmp_path / "straight"), strict=True
    )
    for killed, straight in arrays:
        np.testing.assert_array_equal(killed, straight)


@pytest.mark.parametrize(
    "before, after", [((8, "replicated"), (2, "fsdp")), ((2, "fsdp"), (8, "replicated"))]
)
@pytest.mark.slow
def test_other_devices_go_on(tmp_path, before, after, monkeypatch):
    """Of any number, with parameters on all of them or split: the same losses."""
    monkeypatch.setattr(parallel, "_FSDP_MIN_SIZE", 100)
    same = {"optim__name": "sgd", "optim__schedule": "constant", "model__args__dropout_rate": 0.0}

    def go(workdir, steps, devices, placed):
        changes = {"runtime__num_devices": devices, "parallel__params": placed}
        config = tiny_config(train__num_steps=steps, **same, **changes)
        return train(config, workdir=tmp_path / workdir, config_change="extend")

    go("straight", 10, *before)
    go("moved", 5, *before)
    go("moved", 10, *after)
    for kind in ("train", "valid"):
        logs = [lines(tmp_path / name, kind) for name in ("moved", "straight")]
        moved, straight = ({entry["step"]: entry["loss"] for entry in log} for log in logs)
        assert moved.keys() == straight.keys() and max(moved) == 10
        np.testing.assert_allclose(list(moved.values()), list(straight.values()), rtol=1e-5)


def test_a_longer_run_is_extended_on_request(straight, tmp_path):
    """With a constant learning rate it ends where a run of that length ends."""
    constant = {"optim__schedule": "constant"}
    train(tiny_config(train__num_steps=10, **constant), workdir=tmp_path / "short")
    longer = tiny_config(**constant)
    with pytest.raises(
        ValueError, match="num_steps: 10 -> 20\nTo train this run longer, add --ext"
    ):
        train(longer, workdir=tmp_path / "short")
    outcome = train(longer, workdir=tmp_path / "short", config_change="extend")
    assert train(longer, workdir=tmp_path / "whole") == outcome
    for a, b in zip(
        final_arrays(tmp_path / "short"), final_arrays(tmp_path / "whole"), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    assert read_config(tmp_path / "short").train.num_steps == 20
    assert read_meta(tmp_path / "short")["extended"] == [
        {"train.num_steps": {"new": 20, "old": 10}}
    ]
    for other in ({"train__num_steps": 5}, {"train__num_steps": 30, "seed": 1}):
        with pytest.raises(ValueError, match="Take another --workdir"):
            other_config = tiny_config(**constant, **other)
            train(other_config, workdir=tmp_path / "short", config_change="extend")
    other_config = tiny_config(**constant, train__num_steps=30, seed=1)
    with pytest.raises(ValueError, match="add --config.train.num_steps=30 --extend to the old"):
        train(other_config, workdir=tmp_path / "short", config_change="extend")
