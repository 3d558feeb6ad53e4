"""docs/extending.md: its files are written, and its commands run on them, as a user would."""

import importlib.metadata
import json
import re
import shlex

import numpy as np
import pytest
import soundfile as sf

from mclf_jax import config as config_lib
from mclf_jax import models
from mclf_jax.common import plugins
from tests import ROOT
from tests.commands import mclf, process

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files of the page, and songs of two labels."""
    folder = tmp_path_factory.mktemp("mine")
    for name, text in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL):
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "configs").symlink_to(ROOT / "configs")
    noise = np.random.default_rng(0)
    for label, hz in (("low", 200), ("high", 2000)):
        (folder / "songs" / label).mkdir(parents=True)
        for k in range(16):
            song = 0.3 * np.sin(2 * np.pi * (hz + 10 * k) * np.arange(24000) / 16000)
            song += 0.01 * noise.standard_normal(24000)
            sf.write(folder / "songs" / label / f"{k}.wav", song, 16000)
    return folder


COMMANDS = [line for line in PAGE.splitlines() if line.startswith("mclf ")]


@pytest.mark.slow
def test_commands_of_the_page(folder):
    """The first one as a process, and `probe`, which nothing else starts as one."""
    assert len(COMMANDS) == 12
    for number, line in enumerate(COMMANDS):
        words = shlex.split(line)[1:]
        if number == 0 or words[0] == "probe":
            process(*words, cwd=folder)
        else:
            mclf(*words, cwd=folder)
    assert len(np.load(folder / "embeddings.npz")["embeddings"]) == 32
    report = json.loads((folder / "runs" / "all_mine" / "report" / "test.json").read_text())
    assert 0 <= report["metrics"]["worst_recall"] <= 1
    lines = (folder / "runs" / "all_mine" / "evaluations.txt").read_text().splitlines()
    assert [int(line.split()[0]) for line in lines] == [20, 40, 60]
    rows = (folder / "runs" / "all_mine" / "valid.csv").read_text().splitlines()
    assert rows[0].startswith("step,loss") and rows[0].endswith("worst_recall") and len(rows) == 4
    # From another folder, too.
    run = folder / "runs" / "mine"
    assert "low" in process("predict", run, folder / "songs" / "low" / "0.wav").stdout


BROKEN = {
    "no logits": ('"logits": nn', '"logit": nn', r"returns \{.*'logit'.*must return \{'logits'"),
    "no head": ('name="head"', 'name="fc"', "no part 'head'.*Conv_0, Conv_1, fc"),
    "no labels": ("    num_labels: int\n", "", "lacks the attribute num_labels"),
    "no network": ("(nn.Module)", "", "must be a subclass of flax.linen.Module"),
}


@pytest.mark.parametrize(("old", "new", "message"), BROKEN.values(), ids=BROKEN)
def test_what_a_network_lacks_is_said(folder, request, old, new, message):
    text = (folder / "nets.py").read_text()
    assert old in text
    file = folder / f"broken_{request.node.callspec.id.replace(' ', '_')}.py"
    file.write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=message):
        models.build(f"{file}:TwoLayers", num_labels=2)


def test_arguments_without_a_default(folder):
    text = (folder / "nets.py").read_text()
    assert "width: int = 8" in text
    file = folder / "needing.py"
    file.write_text(text.replace("width: int = 8", "width: int"))
    name = f"{file}:TwoLayers"
    with pytest.raises(ValueError, match=f"model.args lacks width, which {name} needs"):
        models.build(name, num_labels=2)
    given = ("--config.model.name=" + name, "--config.model.args.width=4")
    assert config_lib.load("folder:path=x", overrides=given).model.args.width == 4
    wrong = (given[0], "--config.model.args.widht=4")
    with pytest.raises(ValueError, match=f"no field 'model.args.widht'; {name} takes width"):
        config_lib.load("folder:path=x", overrides=wrong)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{folder}/nets.py:TwoLayer", "has no TwoLayer; did you mean TwoLayers"),
        ("{folder}/net.py:TwoLayers", "there is no file .*/net.py"),
        ("nowhere.nets:TwoLayers", "there is no module 'nowhere'; .*PYTHONPATH"),
        ("two_layer", "allowed: .*fcn.*, package.module:Name, file.py:Name"),
    ],
)
def test_what_is_not_there_is_said(folder, name, message):
    with pytest.raises(ValueError, match=message):
        models.architecture(name.format(folder=folder))


def test_a_file_that_has_the_name_of_a_module(tmp_path):
    (tmp_path / "json.py").write_text("Net = 1")
    with pytest.raises(ValueError, match="another module 'json'; rename the file"):
        plugins.find("models", f"{tmp_path}/json.py:Net", field="model.name", known=())


def test_an_error_in_other_peoples_code_shows_where(folder):
    text = (folder / "nets.py").read_text().replace("x = x[..., None]", 'raise ValueError("mine")')
    (folder / "raising.py").write_text(text)
    name = "--config.model.name=raising.py:TwoLayers"
    wrong = ("train", "--config", "all_mine.py", name, "--workdir", "runs/raising")
    done = mclf(*wrong, cwd=folder, code=1)
    assert 'raising.py", line' in done.stderr
    assert done.stderr.rstrip().endswith("mclf train: mine")
    # What our own code says of what it is given is a line, unless asked for more.
    wrong = ("train", "--config", "all_mine.py", "--config.optim.name=sdg", "--workdir", "runs/no")
    assert "Traceback" not in mclf(*wrong, cwd=folder, code=1).stderr
    assert "Traceback" in mclf(*wrong, "--debug", cwd=folder, code=1).stderr
    assert not (folder / "runs" / "raising").exists()


def test_an_entry_point(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    entry = importlib.metadata.EntryPoint("two", "nets:TwoLayers", "mclf_jax.models")
    monkeypatch.setattr(
        "importlib.metadata.entry_points",
        lambda group: [entry] if group == "mclf_jax.models" else [],
    )
    assert models.build("two", num_labels=3, width=2).module.width == 2
    with pytest.raises(ValueError, match="allowed: .*, two, package"):
        models.architecture("three")
