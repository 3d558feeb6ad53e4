"""Damaged runs and full disks, as a user of the command line meets them: no traceback."""

import errno
import os
import sys
import threading
import warnings

import numpy as np
import pytest
import soundfile

from mclf_jax.cli.main import main
from mclf_jax.common import files
from tests.small_run import write_run


@pytest.fixture
def run(tmp_path):
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 500)).astype(np.float32)
    write_run(tmp_path / "run", audio)
    soundfile.write(tmp_path / "song.wav", audio.ravel(), 1000)
    return tmp_path / "run"


@pytest.fixture(autouse=True)
def _hooks(monkeypatch):
    """Those of threads are as before afterwards, which stay quiet after an error."""
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)


def test_nothing_is_whole(run, capsys):
    song = str(run.parent / "song.wav")
    assert main(["predict", str(run), song]) == 0
    capsys.readouterr()
    file = next((run / "checkpoints" / "best").rglob("d/*"))
    file.write_bytes(file.read_bytes()[:-1])
    assert main(["predict", str(run), song]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"mclf predict: no checkpoint of {run} is whole:"
    assert lines[1].startswith("  best/3 is damaged (default/") and len(lines) == 3


def test_damaged_json(run, capsys):
    (run / "meta.json").write_text("[]")
    assert main(["predict", str(run), str(run.parent / "song.wav")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"mclf predict: {run / 'meta.json'} holds []; it must be an object"]


def test_a_full_disk(run, capsys, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "replacing", full)
    monkeypatch.setattr(np, "savez", full)
    out = run.parent / "out" / "all.npz"
    out.parent.mkdir()
    assert main(["embed", str(run), str(run.parent / "song.wav"), "--out", str(out)]) == 1
    line, more = capsys.readouterr().err.splitlines()
    assert more.endswith("troubleshooting.md#disk-full")
    assert line.startswith(f"mclf embed: the disk of {out} is full (")
    assert line.endswith("free now): make space, then start the same command again")


def test_a_warning_is_one_line(run, capsys, monkeypatch):
    from mclf_jax.run import restore

    def warning(*args, **kwargs):
        restore._warn("best/3 is damaged")
        raise ValueError("and more")

    monkeypatch.setattr(restore, "restore_best", warning)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(["predict", str(run), str(run.parent / "song.wav")]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "mclf predict: best/3 is damaged",
        "mclf predict: and more",
    ]
