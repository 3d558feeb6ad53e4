"""Preparing survives being killed, and goes on only as it began."""

import dataclasses
import pickle
import signal
import subprocess
import sys
import time

import pytest

from mclf_jax.data.prepare import run as preparing
from mclf_jax.data.prepare.reader import prepared
from mclf_jax.data.prepare.run import prepare
from tests import ROOT
from tests.data.mini import contents, genres

RATE_HZ = 8000

_SLOWLY = """
import sys, time, pickle
from mclf_jax.data.prepare import run, shard
read_item = shard.read_item
shard.read_item = lambda *arguments: (time.sleep(0.04), read_item(*arguments))[1]
catalogue = pickle.load(open(sys.argv[1], "rb"))
run.prepare(catalogue, sys.argv[2], sample_rate_hz=8000, items_per_shard=4, num_workers=2)
"""


def _prepare(catalogue, out, **settings):
    return prepare(catalogue, out, **{"sample_rate_hz": RATE_HZ, "items_per_shard": 4} | settings)


def test_killed_and_called_again_gives_the_same_bytes(tmp_path):
    catalogue = genres(tmp_path / "songs", count=40)
    expected = contents(_prepare(catalogue, tmp_path / "whole"))
    (tmp_path / "catalogue").write_bytes(pickle.dumps(catalogue))
    command = [sys.executable, "-c", _SLOWLY, str(tmp_path / "catalogue"), str(tmp_path / "out")]
    state = tmp_path / "out" / "mini" / "incomplete-1.0.0"
    kept = {}
    for num_shards in (1, 5):
        process = subprocess.Popen(command, cwd=ROOT)
        while len(list(state.glob("results/[!.]*.json"))) < num_shards:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "out" / "mini" / "1.0.0").exists()
        with pytest.raises(ValueError, match="begun and not finished"):
            prepared(path=tmp_path / "out", sample_rate_hz=RATE_HZ)
        shards = (state / "data" / path.stem for path in state.glob("results/[!.]*.json"))
        now = {path.name: path.stat().st_mtime_ns for path in shards}
        assert kept.items() <= now.items()  # none is written again
        kept = now
    folder = _prepare(catalogue, tmp_path / "out")
    assert {name: (folder / name).stat().st_mtime_ns for name in kept} == kept
    assert contents(folder) == expected
    assert [path.name for path in folder.parent.iterdir()] == ["1.0.0"]


@pytest.mark.parametrize("module, function", [("os", "rename"), ("shutil", "rmtree")])
def test_killed_in_the_last_moments(tmp_path, monkeypatch, module, function):
    catalogue = genres(tmp_path / "songs")
    expected = contents(_prepare(catalogue, tmp_path / "whole"))

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(getattr(preparing, module), function, killed)
        _prepare(catalogue, tmp_path / "out")
    folder = _prepare(catalogue, tmp_path / "out")
    assert contents(folder) == expected
    assert [path.name for path in folder.parent.iterdir()] == ["1.0.0"]


def test_an_error_stops_all_workers_and_the_rest_goes_on_later(tmp_path, monkeypatch):
    catalogue = genres(tmp_path / "songs")
    write_task = preparing.write_task

    def full_disk(task, **arguments):
        if "valid" in task.file_name:
            raise OSError(28, "No space left on device")
        write_task(task, **arguments)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="is full .*make space"):
        patch.setattr(preparing, "write_task", full_disk)
        _prepare(catalogue, tmp_path / "out")
    assert len(prepared(path=_prepare(catalogue, tmp_path / "out"), sample_rate_hz=RATE_HZ)) == 20


def test_going_on_with_other_settings_is_refused(tmp_path, monkeypatch):
    catalogue = genres(tmp_path / "songs")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(preparing.os, "rename", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        _prepare(catalogue, tmp_path / "out")
    with pytest.raises(ValueError, match='encoding: "int16" -> "flac"') as error:
        _prepare(catalogue, tmp_path / "out", encoding="flac")
    assert "seed" not in str(error.value) and "version (such as 1.1.0)" in str(error.value)
    with pytest.raises(ValueError, match="items_per_shard: 4 -> 5"):
        _prepare(catalogue, tmp_path / "out", items_per_shard=5)


def test_what_is_there_is_not_made_again(tmp_path):
    catalogue = genres(tmp_path / "songs")
    folder = _prepare(catalogue, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert _prepare(catalogue, tmp_path / "out", items_per_shard=9) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    with pytest.raises(ValueError, match="sample_rate_hz: 8000 -> 4000"):
        _prepare(catalogue, tmp_path / "out", sample_rate_hz=4000)
    fewer = dataclasses.replace(catalogue, items=catalogue.items[:16])
    with pytest.raises(ValueError, match="num_items: 23 -> 16"):
        _prepare(fewer, tmp_path / "out")


def test_two_at_a_time_are_refused(tmp_path):
    catalogue = genres(tmp_path / "songs")

    def again(work):
        with pytest.raises(ValueError, match="another process is preparing"):
            _prepare(catalogue, tmp_path / "out")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _prepare(catalogue, tmp_path / "out", run=again)
