"""The notebooks of docs/tutorial run, in their order and in one process, at the smallest size.

launch/docs.sh runs them as they are, each in a kernel of its own.
"""

import re

import pytest

from mclf_jax.common import progress
from tests import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "tutorial").glob("*.md"))
_NETWORK = {"model.args.n_channels": 4, "model.args.num_blocks": 4, "features.n_mels": 16}
_SONGS = {"data.args.num_songs": 60, "data.args.song_s": 3.0}
# On one device, whose programs are compiled in less time than those of the tests' eight.
_SHORT = {"train.batch_size": 8, "eval.batch_size": 8, "eval.num_windows": 1}
_SHORT |= {"eval.every_steps": 2, "runtime.num_devices": 1}
# In place of what their cells of parameters say.
SMALLEST = {
    "SECONDS": 1.5,
    "SIZE": {"num_songs": 30, "song_s": 2.0},
    "STEPS": 2,
    "LATER": 2,
    "LABELS": 1,
    "NETWORKS": "fcn musicnn",
    "HOW": {"fine-tuned": "tuned"},
    "BASELINES": (),
    "EFFECTS": ["gain"],
    "SMALL": _NETWORK | _SONGS | _SHORT,
    "SONGS": _SONGS | _SHORT | {"data.args.seed": 1, "data.fraction": 0.5},
}


def cells(path):
    """(first line of the code, code, tags) of each cell."""
    text = path.read_text(encoding="utf-8")
    for match in re.finditer(r"```\{code-cell\}\n((?::[^\n]*\n)*)(.*?)```", text, re.DOTALL):
        yield text[: match.start(2)].count("\n"), match[2], match[1]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Where all of them keep their runs, which some share."""
    return tmp_path_factory.mktemp("runs")


def test_there_is_one_for_each_chapter():
    assert [path.stem[:2] for path in NOTEBOOKS] == [f"{number:02}" for number in range(1, 10)]
    for path in NOTEBOOKS:
        assert path.read_text().startswith("---\njupytext:\n")
        for line, code, _ in cells(path):
            compile("\n" * line + code, path.name, "exec")
        (parameters,) = [code for _, code, tags in cells(path) if "parameters" in tags]
        assert sum(len(code.splitlines()) for _, code, _ in cells(path)) <= 90
        assert len(parameters.splitlines()) <= 7


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path, runs, monkeypatch, capsys):
    monkeypatch.setattr(progress, "_level", "quiet", raising=False)
    names = {"__name__": "notebook"}
    for line, code, tags in cells(path):
        # The lines of the page, for a traceback.
        exec(compile("\n" * line + code, path.name, "exec"), names)
        if "parameters" in tags:
            names |= {k: v for k, v in SMALLEST.items() if k in names}
            names |= {"RUNS": str(runs)} if "RUNS" in names else {}
