"""The loop: what a run leaves behind, what it refuses, and what it is judged by."""

import dataclasses
import re
import shutil

import jax
import numpy as np
import pytest

from mclf_jax import metrics
from mclf_jax.common import parallel
from mclf_jax.config import override
from mclf_jax.evaluation.evaluate import evaluate
from mclf_jax.evaluation.judge import make_judge
from mclf_jax.run import restore
from mclf_jax.run.directory import lock_run, read_config, read_meta
from mclf_jax.train import setup as training
from mclf_jax.train.loop import Outcome, TrainingError, train
from tests import tiny_pretraining
from tests.songs import Songs
from tests.tiny import tiny_config
from tests.train.runs import lines


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
    spent = train_lines[-1]
    assert sum(value for name, value in spent.items() if name.startswith("time_")) == (
        pytest.approx(1.0)
    )
    assert spent["model_flops"] > 0 and "utilisation" not in spent  # nobody knows a CPU's peak
    assert spent["songs_per_s_per_device"] == spent["songs_per_s"] / jax.device_count()
    assert spent["input_read_ms"] > 0 and 0 <= spent["starved"] <= 1
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

    monkeypatch.setattr(training.Training, "steps", lambda self, **how: [step])
    monkeypatch.setattr(parallel, "put_batch", lambda batch, mesh: batch)
    with pytest.raises(Exception, match="Disallowed host-to-device transfer"):
        train(tiny_config(), workdir=tmp_path)


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
    outcome = train(config, workdir=tmp_path, callbacks=[failing, other], profile_steps="3:4")
    assert outcome.status == "finished" and failing.calls == [1, 2, 3]
    assert len(other.calls) == 1 + 20 + 4 and other.calls.count("evaluation") == 4
    said = capsys.readouterr().err
    assert "the writer Failing (0) failed, and the run goes on without it" in said
    [trace] = tmp_path.glob("profile/plugins/profile/*/*.xplane.pb")
    assert f"trace of steps 3 to 4: {trace.parent}" in said and trace.stat().st_size > 1000
    assert re.search(r"in all: input \d+%, step \d+%, evaluation \d+%, checkpoint \d+%", said)
    rows = (tmp_path / "valid.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "5", "10", "15", "20"]
    assert not (tmp_path / "tensorboard").exists()
