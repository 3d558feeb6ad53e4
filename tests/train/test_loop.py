"""The loop: what a run leaves behind, and that stopping it never changes where it ends."""

import dataclasses
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from mclf_jax import metrics
from mclf_jax.common import parallel
from mclf_jax.config import override
from mclf_jax.evaluation.evaluate import evaluate
from mclf_jax.evaluation.judge import make_judge
from mclf_jax.run import checkpoint, checksums, restore
from mclf_jax.run.directory import lock_run, read_config, read_meta
from mclf_jax.train import loop as train_module
from mclf_jax.train import setup as training
from mclf_jax.train.loop import Outcome, TrainingError, train
from tests import ROOT, tiny_pretraining
from tests.songs import Songs
from tests.tiny import final_arrays, tiny_config


def lines(workdir, kind):
    entries = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return [entry for entry in entries if entry["kind"] == kind]


def start(workdir, *changes):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.tiny", str(workdir), *changes],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_features_on_the_device_give_the_same_losses(straight, tmp_path):
    workdir, _ = straight
    train(tiny_config(features__on="device"), workdir=tmp_path)
    for kind in ("train", "valid"):
        host = [entry["loss"] for entry in lines(workdir, kind)]
        device = [entry["loss"] for entry in lines(tmp_path, kind)]
        assert len(host) == len(device) > 3
        np.testing.assert_allclose(host, device, rtol=1e-3)


def test_what_a_run_leaves_behind(straight):
    workdir, outcome = straight
    assert (outcome.status, outcome.step) == ("finished", 20)
    assert {path.name for path in workdir.iterdir()} - {".lock"} == {
        "checkpoints",
        "config.json",
        "cost.json",
        "meta.json",
        "metrics.jsonl",
        "skipped.csv",
        "songs.csv",
        "tensorboard",
    }
    valid = lines(workdir, "valid")
    assert [entry["step"] for entry in valid] == [5, 10, 15, 20]
    best = min(valid, key=lambda entry: entry["loss"])
    assert (outcome.best_step, outcome.best_value) == (best["step"], best["loss"])
    train_lines = lines(workdir, "train")
    assert train_lines[-1]["step"] == 20
    assert {"loss", "accuracy", "grad_norm", "learning_rate", "songs_per_s", "data_wait"} <= set(
        train_lines[0]
    )
    meta = read_meta(workdir)
    assert meta["labels"] == ["low", "high"]
    assert meta["features"]["n_mels"] == 8
    assert [path.name for path in (workdir / "checkpoints" / "best").iterdir()] == [
        str(outcome.best_step)
    ]
    assert list((workdir / "tensorboard").iterdir())


def test_starting_a_finished_run_again_changes_nothing(straight):
    workdir, outcome = straight
    before = (workdir / "metrics.jsonl").read_bytes()
    assert train(tiny_config(), workdir=workdir) == outcome
    assert (workdir / "metrics.jsonl").read_bytes() == before


def test_another_config_is_refused_by_field(straight):
    workdir, _ = straight
    with pytest.raises(ValueError, match=r"optim.learning_rate: 0.001 -> 0.5") as error:
        train(tiny_config(optim__learning_rate=0.5, runtime__num_threads=1), workdir=workdir)
    assert "runtime" not in str(error.value).split("Take")[0]


def test_other_data_are_refused(straight, monkeypatch, tmp_path):
    workdir, _ = straight
    original = Songs.__post_init__

    def changed(self):
        original(self)
        self.info = dataclasses.replace(self.info, fingerprint="other songs")

    monkeypatch.setattr(Songs, "__post_init__", changed)
    with pytest.raises(ValueError, match="trained on other data:\n  fingerprint: songs -> other s"):
        train(tiny_config(), workdir=workdir)
    with pytest.raises(ValueError, match="accept the change with --allow-data-change"):
        evaluate(workdir, split="valid")
    report = evaluate(workdir, split="valid", data_change="allow")
    assert not report.meta["same_data_as_trained_on"]

    again = shutil.copytree(workdir, tmp_path / "again")
    train(tiny_config(), workdir=again, data_change="allow")
    meta = read_meta(again)
    assert meta["data"]["fingerprint"] == "other songs"
    assert [before["fingerprint"] for before in meta["data_before"]] == ["songs"]


def test_other_labels_are_refused_always(straight, monkeypatch):
    workdir, _ = straight
    original = Songs.__post_init__

    def changed(self):
        original(self)
        self.info = dataclasses.replace(self.info, labels=self.info.labels[::-1])

    monkeypatch.setattr(Songs, "__post_init__", changed)
    with pytest.raises(ValueError, match="the labels of songs are not those that"):
        evaluate(workdir, split="valid", data_change="allow")


def test_evaluation_may_change_its_own_fields_only(straight):
    workdir, _ = straight
    config = read_config(workdir)
    config.eval.num_windows = 1
    report = evaluate(workdir, split="valid", config=config)
    assert report.num_windows == len(report.items)
    config.features.n_mels = 9
    with pytest.raises(ValueError, match="features.n_mels: a run is evaluated as it was trained"):
        evaluate(workdir, split="valid", config=config)


@pytest.mark.slow
def test_early_stopping(tmp_path, monkeypatch):
    losses = iter([3.0, 2.0, 2.5, 2.0, 1.0])

    def worse_after_two(parts, scores):
        return metrics.Metrics({"loss": next(losses)}, {}, ())

    monkeypatch.setattr("mclf_jax.train.loop.compute_metrics", worse_after_two)
    config = tiny_config(eval__patience=2, train__num_steps=9, eval__every_steps=1)
    outcome = train(config, workdir=tmp_path)
    assert outcome == Outcome("stopped_early", step=4, best_step=2, best_value=2.0)
    assert train(config, workdir=tmp_path) == outcome


@pytest.mark.slow
def test_the_last_weights_can_be_the_ones_that_are_used(tmp_path, monkeypatch, capsys):
    losses = iter([1.0, 2.0])

    def worse_and_worse(parts, scores):
        return metrics.Metrics({"loss": next(losses)}, {}, ())

    monkeypatch.setattr("mclf_jax.train.loop.compute_metrics", worse_and_worse)
    outcome = train(
        tiny_config(eval__metric="last", train__num_steps=4, eval__every_steps=2), workdir=tmp_path
    )
    assert outcome == Outcome("finished", step=4, best_step=4, best_value=None)
    assert restore.best_step(tmp_path / "checkpoints") == 4
    assert "step 4/4: valid loss 2.0000\n" in capsys.readouterr().err
    with pytest.raises(ValueError, match="eval.patience is 2, but eval.metric='last'"):
        override(tiny_config(), {"eval.metric": "last", "eval.patience": 2})


@pytest.mark.slow
def test_what_a_run_without_labels_may_be_judged_by(tmp_path):
    config = tiny_pretraining.config_of("simclr")
    config.eval.metric = "accuracy"
    with pytest.raises(
        ValueError, match="eval.metric .of objective simclr. is 'accuracy'; allowed: loss, last"
    ):
        train(config, workdir=tmp_path / "refused")
    config.eval.metric = "last"
    config.train.num_steps = 4
    config.eval.every_steps = 2
    assert train(config, workdir=tmp_path / "run").best_step == 4


@pytest.mark.slow
def test_a_run_without_labels_judges_the_weights_that_it_keeps():
    config = tiny_pretraining.config_of("simclr")
    config.optim.ema_decay = 0.5
    run = training.build(config)
    state = jax.jit(run.initial_state)()
    moved = state.replace(ema=jax.tree.map(lambda leaf: 2 * leaf, state.ema))
    kept = state.replace(ema={}).with_variables(moved.variables())
    judge = make_judge(run.parts, objective=run.objective, mesh=parallel.make_mesh())
    assert judge("valid", moved) == judge("valid", kept) != judge("valid", state)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    config = tiny_config(optim__name="sgd", optim__learning_rate=1e30, optim__schedule="constant")
    with pytest.raises(TrainingError, match=r"loss is (nan|inf) at step \d+.*last good checkpoint"):
        train(config, workdir=tmp_path)
    for entry in lines(tmp_path, "train") if (tmp_path / "metrics.jsonl").exists() else ():
        assert np.isfinite(entry["loss"])


@pytest.mark.slow
def test_songs_that_break_are_listed_and_without_a_valid_split_the_last_weights_are_the_best(
    tmp_path, monkeypatch
):
    original = Songs.__post_init__

    def break_two(self):
        original(self)
        self.broken = (10, 11)
        splits = {"train": self.info.splits["train"], "test": self.info.splits["test"]}
        self.info = dataclasses.replace(self.info, splits=splits)

    monkeypatch.setattr(Songs, "__post_init__", break_two)
    config = tiny_config(train__num_steps=5, eval__every_steps=4)
    # Two processes do not train in one directory.
    with lock_run(tmp_path), pytest.raises(ValueError, match="another process is training in"):
        train(config, workdir=tmp_path)
    assert not (tmp_path / "config.json").exists()
    assert train(config, workdir=tmp_path) == Outcome("finished", 5, best_step=5, best_value=None)
    rows = (tmp_path / "skipped.csv").read_text().splitlines()
    assert sorted(row.split(",")[0] for row in rows[1:]) == ["song 10", "song 11"]


def test_nothing_crosses_to_the_devices_by_accident(tmp_path, monkeypatch):
    def step(state, batch):
        return state, {"loss": batch["features"].sum(), "learning_rate": 1.0}

    monkeypatch.setattr(training.Training, "steps", lambda self: [step])
    monkeypatch.setattr(parallel, "put_batch", lambda batch, mesh: batch)
    with pytest.raises(Exception, match="Disallowed host-to-device transfer"):
        train(tiny_config(), workdir=tmp_path)


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
        times = {"songs_per_s", "data_wait"}
        entries = [
            [{name: entry[name] for name in entry.keys() - times} for entry in lines(run, kind)]
            for run in (tmp_path, workdir)
        ]
        assert entries[0] == entries[1]


# Two steps an epoch: from step 7 and from step 14.
PHASES = {
    "optim__schedule": "constant",
    "optim__ema_decay": 0.0,
    "optim__phases": ((3.5, "sgd", 1e-2), (7, "sgd", 1e-4)),
}


@pytest.mark.slow
def test_a_phase_starts_with_the_best_weights(tmp_path, monkeypatch):
    """The run below is best at step 5, then at step 14: only the first switch goes back."""
    losses = {5: 2.0, 7: 3.0, 10: 2.5, 14: 1.0, 15: 4.0, 20: 4.0}
    judge, save, saved = train_module.judge, checkpoint.save, {}

    def judge_as_told(progress, values, *, step, **settings):
        return judge(progress, {"loss": losses[step]}, step=step, **settings)

    def noting_save(checkpoints, step, *, state, progress, best_variables=None):
        if step == 7 and not saved.get(7):
            saved[7] = "lost"
            raise OSError("no space left on device")
        saved[step] = jax.device_get({"state": state, "best": best_variables})
        save(checkpoints, step, state=state, progress=progress, best_variables=best_variables)

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
    """Six kill -9 of one run: every third while it starts, the others while it trains."""
    changes = ("train__num_steps=1200", "eval__every_steps=10")
    latest = tmp_path / "killed" / "checkpoints" / "latest"
    rng = random.Random(0)
    start_up_s = 5.0
    for kill in range(6):
        saved = set(latest.glob("*"))
        began = time.monotonic()
        process = start(tmp_path / "killed", *changes)
        if kill % 3 == 2:
            time.sleep(rng.uniform(0, start_up_s))
        else:
            while set(latest.glob("*")) <= saved:
                assert process.poll() is None, process.communicate()
                time.sleep(0.01)
            start_up_s = time.monotonic() - began
            time.sleep(rng.uniform(0, 0.5))
        assert process.poll() is None, process.communicate()
        process.kill()
        process.communicate()

    for name in ("killed", "straight"):
        process = start(tmp_path / name, *changes)
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        assert ("going on from step" in err) == (name == "killed")
    arrays = zip(
        final_arrays(tmp_path / "killed"), final_arrays(tmp_path / "straight"), strict=True
    )
    for killed, straight in arrays:
        np.testing.assert_array_equal(killed, straight)


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


class Failing:
    """Fails at a step, and counts what it was called for."""

    def __init__(self):
        self.calls = []

    def after_step(self, step, state, metrics):
        self.calls.append(step)
        if step == 3:
            raise RuntimeError("no more")

    def after_evaluation(self, step, state, values):
        self.calls.append("evaluation")


def test_callbacks_are_called_and_cannot_stop_a_run(tmp_path, capsys):
    failing, other = Failing(), Failing()
    other.calls = [0]
    other.after_step = lambda step, state, metrics: other.calls.append(float(metrics["loss"]))
    config = tiny_config(runtime__writers=("csv",))
    outcome = train(config, workdir=tmp_path, callbacks=[failing, other])
    assert outcome.status == "finished" and failing.calls == [1, 2, 3]
    assert len(other.calls) == 1 + 20 + 4 and other.calls.count("evaluation") == 4
    said = capsys.readouterr().err
    assert "the writer Failing (0) failed, and the run goes on without it" in said
    rows = (tmp_path / "valid.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "5", "10", "15", "20"]
    assert not (tmp_path / "tensorboard").exists()
