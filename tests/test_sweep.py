"""Ablations: expansion, a table over seeds, and going on where it stopped."""

import csv
import shlex

import pytest

from mclf_jax import sweep
from tests.tiny import tiny_config

FILE = """
from mclf_jax.sweep import grid
from tests.tiny import tiny_config

def get_config(arg=None):
    return tiny_config()

def sweep():
    yield from grid({"model.args.n_channels": (2, 4), "seed": (0, 1)})
"""


def test_grid():
    assert list(sweep.grid({"features.n_mels": (16, 32), "seed": (0,)})) == [
        ("n_mels=16,seed=0", {"features.n_mels": 16, "seed": 0}),
        ("n_mels=32,seed=0", {"features.n_mels": 32, "seed": 0}),
    ]


def test_settings_of_a_file(tmp_path):
    path = tmp_path / "ablation.py"
    path.write_text(FILE)
    assert len(sweep.settings_of(f"{path}:songs=3")) == 4
    path.write_text("def sweep():\n    yield 'a', {}\n    yield 'a', {}\n")
    with pytest.raises(ValueError, match="more than once: a"):
        sweep.settings_of(str(path))
    path.write_text("")
    with pytest.raises(ValueError, match="defines no sweep"):
        sweep.settings_of(str(path))


def test_dry_run_commands(tmp_path):
    path = tmp_path / "my ablation.py"
    path.write_text(FILE)
    lines = list(sweep.commands(str(path), workdir="runs/x", overrides=["--config.seed=3"]))
    assert len(lines) == 4
    words = shlex.split(lines[0])
    assert words[:6] == [
        "mclf",
        "train",
        "--config",
        str(path),
        "--workdir",
        "runs/x/n_channels=2,seed=0",
    ]
    assert "--config.model.args.n_channels=2" in words
    assert words[-3:] == ["mclf", "evaluate", "runs/x/n_channels=2,seed=0"]


def test_runs_tabulates_and_goes_on(tmp_path):
    settings = list(sweep.grid({"model.args.n_channels": (2, 4), "seed": (0, 1)}))
    settings.append(("broken", {"optim.learning_rate": 1e30, "optim.name": "sgd"}))
    config = tiny_config(train__num_steps=5)
    # The first time only two settings, as if it had been stopped.
    sweep.run(config, settings[:2], workdir=tmp_path)
    finished = (tmp_path / settings[0][0] / "metrics.jsonl").stat().st_mtime_ns
    results = sweep.run(config, settings, workdir=tmp_path)
    assert (tmp_path / settings[0][0] / "metrics.jsonl").stat().st_mtime_ns == finished
    assert [r["status"] == "finished" for r in results] == [True] * 4 + [False]

    table = (tmp_path / "sweep.md").read_text().splitlines()
    assert table[0] == "| setting | runs | accuracy | f1_macro |"
    assert table[2].startswith("| model.args.n_channels=2 | 2 | ") and "±" in table[2]
    assert table[4].startswith("| optim.learning_rate=1e+30, optim.name='sgd' | 0 (1 failed) | - ")
    with (tmp_path / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    mean = sum(float(row["accuracy"]) for row in rows[:2]) / 2
    assert f"{mean:.3f}" in table[2]
    assert "the loss is" in rows[4]["status"]


def test_objectives_without_labels_are_refused_before_training(tmp_path):
    settings = [("supervised", {}), ("simclr", {"objective.name": "simclr"})]
    with pytest.raises(ValueError, match="simclr: objective.name is 'simclr', which learns no"):
        sweep.run(tiny_config(), settings, workdir=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
