"""Sweeps: expansion, stages that build on each other, tables, and going on where it stopped."""

import csv
import re
import shlex
import subprocess

import pytest

from mclf_jax import config as config_lib
from mclf_jax import sweep
from mclf_jax.run.directory import read_config
from mclf_jax.sweep import RunOf, grid, run_of
from mclf_jax.sweep import tables as sweep_table
from mclf_jax.sweep.commands import Job, make_commands, make_jobs
from mclf_jax.sweep.jobs import run_jobs
from mclf_jax.sweep.run import run
from mclf_jax.sweep.settings import vary, without_seed
from tests.tiny import tiny_config

FILE = """
from mclf_jax.sweep import grid, run_of
from tests.tiny import tiny_config

def get_config(arg=None):
    return tiny_config(model__args__pooling="mean_max")

def sweep(arg):
    for seed in range(int(arg or 2)):
        teacher = f"teacher,seed={seed}"
        simclr = {"objective.name": "simclr", "objective.args.projector": (4, 2), "seed": seed}
        yield teacher, {"model.args.n_channels": 2, "seed": seed}
        yield f"student,seed={seed}", {"init.path": run_of(teacher), "seed": seed}
        yield f"simclr,seed={seed}", simclr | {"objective.args.temperature": 0.3}
        yield f"fcn,seed={seed}", {"model.args.n_channels": 3, "model.name": "fcn"} | simclr
"""


def result(name, changes, **more):
    """What `sweep.run` returns of a setting, as far as tables want it."""
    scores = {"metrics": {"test": {"accuracy": 0.5, "f1_macro": 0.25}}, "task": "single_label"}
    made = {"name": name, "changes": changes, "status": "finished"}
    made |= {"objective": "supervised", "target": ""}
    return made | scores | more


def labels_of(results, tmp_path):
    """{label: number of runs} of the table of scores."""
    lines = sweep_table.write_tables(results, workdir=tmp_path).splitlines()[4:]
    return {line.split(" | ")[0][2:]: int(line.split(" | ")[1]) for line in lines}


def test_grid():
    assert list(grid({"features.n_mels": (16, 32), "seed": (0,)})) == [
        ("n_mels=16,seed=0", {"features.n_mels": 16, "seed": 0}),
        ("n_mels=32,seed=0", {"features.n_mels": 32, "seed": 0}),
    ]


def test_settings_of_a_file(tmp_path):
    path = tmp_path / "ablation.py"
    path.write_text(FILE)
    assert len(sweep.settings_of(str(path))) == 8
    settings = sweep.settings_of(f"{path}:1")
    assert [name for name, _ in settings][:2] == ["teacher,seed=0", "student,seed=0"]
    assert settings[1][1]["init.path"] == RunOf("teacher,seed=0")
    assert sweep.probes_of(str(path)) == {}
    path.write_text("def sweep():\n    yield 'a', {}\n    yield 'a', {}\n")
    with pytest.raises(ValueError, match="more than once: a"):
        sweep.settings_of(f"{path}:songs=3")
    for text, message in (("", "defines no sweep"), ("def sweep(): return ()", "yields nothing")):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            sweep.settings_of(str(path))


def test_probes_of_a_file(tmp_path):
    path = tmp_path / "ablation.py"
    path.write_text("def probes(arg=None):\n    yield arg, {'kinds': ('linear',)}\n")
    assert sweep.probes_of(f"{path}:own") == {"own": {"kinds": ("linear",)}}
    path.write_text("def probes():\n    yield 'own', {}\n    yield 'own', {'seeds': (1,)}\n")
    with pytest.raises(ValueError, match="a name more than once"):
        sweep.probes_of(str(path))


def test_commands_train_what_the_sweep_would(tmp_path):
    """In order, with paths of earlier runs, and with whatever was overridden for all."""
    path = tmp_path / "my ablation.py"
    path.write_text(FILE)
    overrides = [
        "--config.seed=3",
        "--config.model.args.dropout_rate=0.25",
        "--config.model.dtype=bfloat16",
    ]
    lines = list(
        make_commands(
            make_jobs(
                f"{path}:1",
                sweep.settings_of(f"{path}:1"),
                workdir="runs/x",
                overrides=overrides,
            )
        )
    )
    words = shlex.split(lines[0])
    start = ["mclf", "train", "--config", f"{path}:1", "--workdir", "runs/x/teacher,seed=0"]
    assert words[:6] == start
    assert words[-4:] == ["&&", "mclf", "evaluate", "runs/x/teacher,seed=0"]
    assert "--config.init.path=runs/x/teacher,seed=0" in shlex.split(lines[1])
    evaluated = ["evaluate" in line for line in lines]
    assert evaluated == [True, True, False, False]  # without labels there is nothing to score

    config = config_lib.load(f"{path}:1", overrides=overrides)
    for line, (_, changes) in zip(lines, sweep.settings_of(f"{path}:1"), strict=True):
        flags = [word for word in shlex.split(line) if word.startswith("--config.")]
        changes = {k: f"runs/x/{v}" if isinstance(v, RunOf) else v for k, v in changes.items()}
        assert config_lib.load(f"{path}:1", overrides=flags) == config_lib.override(config, changes)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            [("a", {}), ("b", {"init.path": run_of("c")})],
            r"b: init.path is run_of\('c'\), which is no setting; before it come: a",
        ),
        (
            [("b", {"init.path": run_of("c")}), ("c", {})],
            "which comes later",
        ),
        ([("a", {"init.path": run_of("a")})], "comes later; before it come: none"),
        ([("a", {}), ("b", {"seed": run_of("a")})], "override of seed"),
        ([("a", {"objective.name": "simclr"})], "'simclr' in a, and no setting learns labels"),
    ],
)
def test_what_cannot_be_is_refused_before_training(settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        run(tiny_config(), settings, workdir=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_runs_tabulates_and_goes_on(tmp_path, capsys):
    settings = list(grid({"model.args.n_channels": (2,), "seed": (0, 1)}))
    settings += [
        ("broken", {"optim.learning_rate": 1e30, "optim.name": "sgd"}),
        ("student", {"init.path": run_of("broken")}),
        ("its student", {"init.path": run_of("student")}),
        ("tuned", {"init.path": run_of("n_channels=2,seed=1"), "model.args.n_channels": 2}),
    ]
    config = tiny_config(train__num_steps=4, runtime__num_devices=1)
    # The first time only two settings, as if it had been stopped.
    run(config, settings[:2], workdir=tmp_path)
    shown = capsys.readouterr().out
    assert "[1/2] n_channels=2,seed=0; 2 left\n" in shown
    assert re.search(r"\[2/2\] n_channels=2,seed=1; 1 left, about 0:\d\d:\d\d\n", shown)
    finished = (tmp_path / settings[0][0] / "metrics.jsonl").stat().st_mtime_ns
    results = run(config, settings, workdir=tmp_path)
    assert (tmp_path / settings[0][0] / "metrics.jsonl").stat().st_mtime_ns == finished
    assert [r["status"] == "finished" for r in results] == [True] * 2 + [False] * 3 + [True]
    shown = capsys.readouterr().out
    assert "[3/6] broken; 4 left\n" in shown  # nothing was trained yet
    assert "student: not run: it builds on broken, which failed" in shown
    assert read_config(tmp_path / "tuned").init.path == str(tmp_path / settings[1][0])
    assert "short_chunk_cnn, supervised" in (tmp_path / "tuned" / "init.txt").read_text()

    table = (tmp_path / "sweep.md").read_text().splitlines()
    assert table[2] == "| setting | runs | accuracy | f1_macro |"
    assert table[4].startswith("| model.args.n_channels=2 | 2 | ") and "±" in table[4]
    assert table[5] == "| broken | 0 (1 failed) | - | - |"
    assert table[6:8] == [
        f"| {name} | 0 (1 not run) | - | - |" for name in ("student", "its student")
    ]
    assert table[8].startswith("| tuned | 1 | ")
    assert table[10].startswith("- broken: failed: the loss is")
    assert table[12:] == ["- its student: not run: it builds on student, which was not run"]
    with (tmp_path / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6 and rows[3]["init.path"] == "broken"
    mean = sum(float(row["accuracy"]) for row in rows[:2]) / 2
    assert f"{mean:.3f}" in table[4]
    assert "the loss is" in rows[2]["status"]


def test_without_seed():
    for name, rest in {
        "student,labels=0.1,seed=3": "student,labels=0.1",
        "seed=0": "",
        "fraction_seed=1,n_mels=48,seed=0": "n_mels=48",
        "student/seed=0": "student",
        "seedling": "seedling",
    }.items():
        assert without_seed(name) == rest


def test_rows_are_settings_whatever_their_seeds(tmp_path):
    results = []
    for seed in range(3):
        seeds = {"seed": seed, "data.fraction_seed": seed, "data.fold_seed": seed}
        results += [
            result(f"n_mels=48,seed={seed}", {"features.n_mels": 48, "seed": seed}),
            result(f"teacher,seed={seed}", {"data.fraction": 0.1, **seeds}),
            result(
                f"student,seed={seed}",
                {"init.path": run_of(f"teacher,seed={seed}"), "data.fraction": 0.1, **seeds},
            ),
            # Names keep apart what changes do not, and names that do not tell seeds do nothing.
            result(f"split={seed},seed={seed}", {"data.fold_seed": 7 * seed, "seed": seed}),
            result(f"run {seed}", {"optim.name": "sgd", "seed": seed}),
            result(f"seed={seed}", {"seed": seed}),
            result(f"tuned,seed={seed}", {"init.path": "run", "data.fold": seed, "seed": seed}),
            result(f"fold={seed}", {"data.num_folds": 3, "data.fold": seed}),
        ]
    results.append(result("other,seed=0", {"init.path": run_of("student,seed=0"), "seed": 0}))
    assert labels_of(results, tmp_path) == {
        "features.n_mels=48": 3,
        "teacher": 3,
        "student": 3,
        **{f"split={seed}": 1 for seed in range(3)},
        "optim.name='sgd'": 3,
        "as configured": 3,
        "tuned": 3,
        "data.num_folds=3": 3,
        "other": 1,
    }


def test_differences_from_the_first_setting_are_of_the_same_seeds(tmp_path):
    accuracies = {"a": (0.1, 0.5, 0.9), "b": (0.2, 0.7, 0.8), "c": (None, None, 0.8)}
    results = [
        result(
            f"{name},seed={seed}",
            {"seed": seed, "data.fold": seed, "model.args.n_channels": ord(name)},
            metrics={} if value is None else {"test": {"accuracy": value}},
        )
        for seed in range(3)
        for name, values in accuracies.items()
        for value in [values[seed]]
    ]
    results.append(result("artists,seed=0", {"seed": 0, "data.fold": 0}, target="artist"))
    results.append(result("other,seed=3", {"seed": 3, "data.fold": 3}))
    table = sweep_table.write_tables(results, workdir=tmp_path).splitlines()
    assert table[2] == "| setting | runs | accuracy | f1_macro | accuracy over the first |"
    assert [line.split(" | ")[-1] for line in table[4:]] == [
        " |",
        "+0.067 ± 0.153 |",  # +.1, +.2, -.1
        "-0.100 |",
        " |",
        " |",
    ]


def test_other_splits_have_tables_of_their_own(tmp_path):
    first, second = ({"seed": 0, "data.songs_per_label": n} for n in (1, 2))
    hidden = {"test": {"accuracy": 0.5}, "hidden": {"accuracy": 0.75}}
    results = [result("one", first, metrics=hidden), result("two", second)]
    table = sweep_table.write_tables(results, workdir=tmp_path).splitlines()
    assert table[0].startswith("Scores of test songs; ")
    assert table[7].startswith("Scores of training songs whose labels were hidden; ")
    assert table[11].startswith("| one | 1 | 0.750 | - |")
    assert table[12] == "| two | 0 | - | - |"
    with (tmp_path / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["hidden accuracy"] for row in rows] == ["0.75", ""]
    assert [row["accuracy"] for row in rows] == ["0.5", "0.5"]


def test_stages_of_other_tasks_have_columns_of_their_own(tmp_path):
    scores = {"test": {"roc_auc_macro": 0.5, "pr_auc_macro": 0.75}}
    tags = {"metrics": scores, "task": "multi_label"}
    results = [
        result("artists", {"data.target": "artist"}, target="artist"),
        result("tags", {}, **tags),
    ]
    table = sweep_table.write_tables(results, workdir=tmp_path).splitlines()
    assert table[2] == "| setting | runs | accuracy | f1_macro | pr_auc_macro | roc_auc_macro |"
    assert table[4:] == [
        "| artists (predicts artist) | 1 | 0.500 | 0.250 | - | - |",
        "| tags | 1 | - | - | 0.750 | 0.500 |",
    ]


def test_values_of_vary_are_typed_and_named():
    config = tiny_config()
    words = ["optim.learning_rate=1e-3,3e-4", "augment.chain=(('noise',1.0,{}),),()"]
    settings = vary(words, config=config, num_seeds=2)
    assert len(settings) == 8 and settings[0][0].startswith("learning_rate=0.001,chain=")
    assert settings[0][1]["augment.chain"] == (("noise", 1.0, {}),)
    assert settings[-1][1] == {"optim.learning_rate": 3e-4, "augment.chain": (), "seed": 1}
    assert [c["seed"] for _, c in vary(["seed=3,4"], config=config, num_seeds=1)] == [3, 4]
    for word, message in (
        ("optim.lr=1,2", "--vary has no field 'optim.lr'; did you mean optim.learning_rate"),
        ("optim.learning_rate", "--vary optim.learning_rate: it must be FIELD=VALUE,VALUE"),
        ("optim.learning_rate=", "must be FIELD=VALUE"),
        ("train.batch_size=8,x", "--config of --vary"),
    ):
        with pytest.raises(ValueError, match=message):
            vary([word], config=config, num_seeds=1)


def job(name, text, *after):
    return Job(name, [["-c", text]], frozenset(after))


def test_jobs_run_side_by_side_and_after_what_they_build_on(tmp_path, monkeypatch, capfd):
    """With Python in place of commands: what a stage does is not what this is about."""

    def popen(words, **more):
        return original([words[0], *words[3:]], **more)

    original = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", popen)
    mark = "import os, pathlib, time; pathlib.Path({!r}, '{}').write_text(str(time.time()))"
    (tmp_path / "times").mkdir()
    note = {n: mark.format(str(tmp_path / "times"), n) for n in ("a", "b", "c", "d", "e")}
    jobs = [
        job("a", "import time; time.sleep(1);" + note["a"]),
        job("fails", "print('why'); raise SystemExit(3)"),
        job("b", note["b"], "a"),
        job("c", note["c"], "fails"),
        job("d", note["d"], "c"),
        Job("e", [["-c", "pass"], ["-c", note["e"]]], frozenset()),
    ]
    assert run_jobs(jobs, workdir=tmp_path, at_a_time=2) == {"fails": 3, "e": 0, "a": 0, "b": 0}
    times = {p.name: float(p.read_text()) for p in (tmp_path / "times").iterdir()}
    assert set(times) == {"a", "b", "e"} and times["e"] < times["a"] < times["b"]
    assert (tmp_path / "fails.log").read_text() == "why\n"
    assert "fails: failed, see" in capfd.readouterr().out
    with pytest.raises(ValueError, match="--jobs is 0"):
        run_jobs(jobs, workdir=tmp_path, at_a_time=0)


def test_what_settings_cost(tmp_path):
    def of(name, parameters, seed, score):
        cost = {"parameters": parameters, "gflop_per_minute": parameters / 100, "trained_s": 90.0}
        scores = {"test": {"accuracy": score, "f1_macro": score}}
        changes = {"model.name": name, "seed": seed}
        return result(f"{name},seed={seed}", changes, cost=cost, metrics=scores)

    results = [of("small", 500, 0, 0.5), of("small", 500, 1, 0.6), of("large", 12_000, 0, 0.7)]
    text = sweep_table.write_tables(results, workdir=tmp_path)
    assert "| small | 500 | 5 | 1.5 min |\n| large | 12,000 | 120 | 1.5 min |\n" in text
    assert (tmp_path / "cost.png").stat().st_size > 1000
    with (tmp_path / "sweep.csv").open(newline="") as file:
        assert [row["parameters"] for row in csv.DictReader(file)] == ["500", "500", "12000"]
    # Nothing to tell where all cost the same.
    (tmp_path / "same").mkdir()
    text = sweep_table.write_tables(results[:2], workdir=tmp_path / "same")
    assert "What a run costs" not in text and not (tmp_path / "same" / "cost.png").exists()
