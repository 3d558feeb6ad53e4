"""What the command line says of itself: help, examples, configs, versions, completion."""

import argparse
import json
import os
import shlex
import subprocess
import sys
import venv

import numpy as np
import pytest
import soundfile

import mclf_jax
from mclf_jax import config as config_lib
from mclf_jax.cli import doctor, flags
from mclf_jax.cli import main as cli
from mclf_jax.common import progress
from mclf_jax.config import library
from tests import ROOT


def commands(parser):
    """Every parser below one that runs a command."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from commands(command)
    if parser.get_default("run_command"):
        yield parser


COMMANDS = {parser.prog: parser for parser in commands(cli.make_parser())}


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_of_every_command_are_understood(name):
    parser = COMMANDS[name]
    examples = parser.epilog.splitlines()[1:]
    assert examples and all(line.strip().startswith(name) for line in examples)
    for line in examples:
        words = shlex.split(line.partition(" > ")[0])[1:]
        arguments, rest = cli.make_parser().parse_known_args(flags.joined_fields(words))
        assert all(word.startswith("--config.") for word in rest)
        if getattr(arguments, "config", None) is not None:
            config_lib.load(arguments.config, overrides=rest)
    text = parser.format_help()
    assert "(default: None)" not in text and all(line in text for line in examples)


def test_without_a_command_there_is_an_overview(capsys):
    assert cli.main([]) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in (*(n.split()[1] for n in COMMANDS), "examples:"))
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"mclf {mclf_jax.__version__}\n"


def test_help_of_a_config(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["train", "--config", "folder", "--help"])
    said = capsys.readouterr().out
    assert end.value.code == 0 and "Your own songs" in said
    assert "window_s           default: 3.0" in said
    with pytest.raises(SystemExit) as end:
        cli.main(["train", "--config", "foldr", "--help"])
    assert end.value.code == 1 and "did you mean folder?" in capsys.readouterr().err


def test_configs_are_listed_and_described(capsys):
    assert cli.main(["configs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    there = {p.relative_to(ROOT / "configs") for p in (ROOT / "configs").rglob("*.py")}
    assert [line.split()[0] for line in lines[:-2]] == library.names()
    assert set(library.names()) == {path.with_suffix("").as_posix() for path in there}
    for name in library.names():
        found = library.about(name)
        assert found.text.startswith(library.title(name)) and len(library.title(name)) > 20
    assert library.about("clmr").arguments["data"][0] == "mtat"
    assert config_lib.load("ablations/frontend") == config_lib.load("configs/ablations/frontend.py")


def test_fields_take_their_value_as_a_word_of_its_own():
    words = ["--config.optim.learning_rate", "-1", "--config.seed", "--config.a=b", "c"]
    joined = ["--config.optim.learning_rate=-1", "--config.seed", "--config.a=b", "c"]
    assert flags.joined_fields(words) == joined


@pytest.mark.parametrize(
    ("field", "meant"),
    [
        ("optim.lr", "optim.learning_rate"),
        ("lr", "optim.learning_rate"),
        ("train.bs", "train.batch_size or eval.batch_size"),
        ("train.epochs", "train.num_epochs"),
        ("optimizer", "optim.name"),
        ("data.path", "data.args.path"),
        ("model.learning_rate", "optim.learning_rate"),
        ("trian.num_steps", "train.num_steps"),
    ],
)
def test_suggestions_know_what_others_call_a_field(field, meant):
    with pytest.raises(ValueError, match=f"did you mean {meant}"):
        config_lib.load("folder:path=DIR", overrides=[f"--config.{field}=1"])


def test_doctor(capsys, monkeypatch):
    assert cli.main(["doctor", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["devices"]["platform"] == "cpu" and found["cores"]["usable"] >= 1
    assert found["cluster"].startswith("none; one process")
    assert set(found["audio"]) == {"WAV", "FLAC", "OGG", "MP3"}
    monkeypatch.setattr(doctor, "_try_format", lambda name, subtype: {"error": "no codec"})
    assert cli.main(["doctor"]) == 1
    assert "no codec" in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_commands_and_flags(shell, capsys):
    assert cli.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "num-windows" in script and "agreement" in script


def test_quiet_and_verbose(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_level", "usual")
    assert cli.main(["configs", "-q"]) == 0
    progress.say("a note")
    assert "a note" not in capsys.readouterr().err
    progress.set_level("usual")
    progress.say("a note")
    assert "a note" in capsys.readouterr().err
    with pytest.raises(ValueError, match="level is 'loud'"):
        progress.set_level("loud")


@pytest.mark.slow
def test_the_wheel_trains_in_an_empty_directory(tmp_path):
    """Without a checkout: configs by name, templates of pages, what errors point to."""
    pytest.importorskip("hatchling")
    pytest.importorskip("hatch_vcs")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python]
    install = [*pip, "install", "--quiet", "--no-deps", "--no-index", "--no-compile", wheel]
    subprocess.run(install, check=True)
    # What it depends on is that of this environment.
    there = [path for path in sys.path if path.endswith("site-packages")]
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (site / "others.pth").write_text("\n".join(there))
    for label, hz in (("low", 200), ("high", 2000)):
        (tmp_path / "empty" / "songs" / label).mkdir(parents=True)
        for k in range(10):
            sound = 0.3 * np.sin(2 * np.pi * (hz + 10 * k) * np.arange(16000) / 8000)
            soundfile.write(tmp_path / "empty" / "songs" / label / f"{k}.wav", sound, 8000)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def mclf(*words):
        done = subprocess.run(
            [tmp_path / "venv" / "bin" / "mclf", *words],
            cwd=tmp_path / "empty",
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "folder" in mclf("configs")
    mclf(
        *("train", "--config", "folder:steps=10", "--from", "songs"),
        *("--workdir", "run", "--config.train.batch_size=4"),
    )
    assert "high" in mclf("predict", "run", "songs/high/0.wav")
    assert "register/" in mclf("predict", "small", "songs/high/0.wav")
    assert mclf("report", "run").strip() == "run/report/index.html"
    assert (site / "mclf_jax" / "py.typed").exists()
    assert (site / "mclf_jax" / "docs" / "troubleshooting.md").exists()
    where = subprocess.run(
        [python, "-c", "import mclf_jax.config.library as l; print(l.folder())"],
        cwd=tmp_path / "empty",
        env=environment,
        capture_output=True,
        text=True,
    )
    assert where.stdout.strip() == str(site / "mclf_jax" / "configs")
