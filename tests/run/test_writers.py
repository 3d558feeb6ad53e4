"""Writers of a run: tables that go on, and services in their offline modes."""

import csv
import importlib

import pytest

from mclf_jax.run import writers


def open_one(name, workdir, first_step=0):
    said = []
    opened = writers.open_writers(
        [name],
        workdir=workdir,
        config={"optim.learning_rate": 0.1},
        first_step=first_step,
        say=said.append,
    )
    assert not said
    return opened


def test_a_table_goes_on_where_the_checkpoint_was(tmp_path):
    table = open_one("csv", tmp_path)
    table.call("write", "train", 1, {"loss": 2.0})
    table.call("write", "train", 2, {"loss": 1.0})
    table.call("write", "train", 3, {"loss": 0.5, "accuracy": 1.0})
    table = open_one("csv", tmp_path, first_step=2)
    table.call("write", "train", 3, {"loss": 0.25, "accuracy": 0.5})
    with (tmp_path / "train.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["step"], row["loss"], row["accuracy"]) for row in rows] == [
        ("1", "2.0", ""),
        ("2", "1.0", ""),
        ("3", "0.25", "0.5"),
    ]


def test_a_metric_that_is_undefined_is_no_news(tmp_path, caplog):
    board = open_one("tensorboard", tmp_path)
    board.call("write", "valid", 1, {"roc_auc_macro": float("nan")})
    board.call("close")
    assert not caplog.records


def test_a_package_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs a package: pip install 'mclf-jax\[wandb\]'"):
        writers.function_of("wandb")
    with pytest.raises(ValueError, match="runtime.writers is 'wandbb'; allowed: tensorboard, csv"):
        writers.function_of("wandbb")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_mlflow_keeps_numbers_of_a_run_that_goes_on(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for first_step in (0, 1):
        opened = open_one("mlflow", tmp_path, first_step)
        opened.call("write", "valid", first_step + 1, {"accuracy": 0.5})
        opened.call("close")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("mclf_jax")
    (run,) = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(run.info.run_id, "valid/accuracy")
    assert [(one.step, one.value) for one in history] == [(1, 0.5), (2, 0.5)]
    assert run.data.params == {"optim.learning_rate": "0.1"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_weights_and_biases_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    opened = open_one("wandb", tmp_path)
    opened.call("write", "valid", 1, {"accuracy": 0.5})
    opened.call("close")
    (kept,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    assert kept.stat().st_size > 0
