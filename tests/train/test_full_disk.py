"""A disk that is full while a run trains: one line, and after that the run goes on as it was."""

import errno
import os
import re
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest

from mclf_jax.common import disk
from mclf_jax.run import checksums
from mclf_jax.train import train
from tests.commands import process
from tests.tiny import final_arrays, tiny_config


@pytest.fixture
def hooks(monkeypatch):
    """Those of threads are as before afterwards, which stay quiet after an error."""
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)


@pytest.mark.filterwarnings("ignore:.*latest is empty. training starts from the beginning")
@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(
    ("number", "saves"), [(errno.ENOSPC, 4), (errno.ENOSPC, 1), (errno.EDQUOT, 2), (errno.EROFS, 3)]
)
def test_a_background_thread_finds_the_disk_full(
    tmp_path, straight, monkeypatch, capfd, hooks, number, saves
):
    seal, count = checksums.seal, 0

    def failing(folder):
        nonlocal count
        count += 1
        if count > saves:
            raise OSError(number, os.strerror(number))
        seal(folder)

    with monkeypatch.context() as context:
        context.setattr(checksums, "seal", failing)
        with pytest.raises(disk.DiskError, match=f"disk of {tmp_path} is .*the same command again"):
            train(tiny_config(), workdir=tmp_path)
    assert "Traceback" not in capfd.readouterr().err
    assert train(tiny_config(), workdir=tmp_path).status == "finished"
    for found, wanted in zip(final_arrays(tmp_path), final_arrays(straight[0]), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("removed", [".", "checkpoints", "checkpoints/latest"])
def test_the_run_is_removed_while_it_trains(tmp_path, monkeypatch, hooks, removed):
    run = tmp_path / "run"
    seal, count = checksums.seal, 0

    def removing(folder):
        nonlocal count
        count += 1
        seal(folder)
        if count == 8:  # when the second state and its progress are complete
            shutil.rmtree(run / removed, ignore_errors=True)

    monkeypatch.setattr(checksums, "seal", removing)
    with pytest.raises(disk.DiskError, match=f"{run}.* was removed while it was in use"):
        train(tiny_config(), workdir=run)
    assert not (run / removed / "config.json").exists()


@pytest.mark.filterwarnings("ignore:.*latest is empty. training starts from the beginning")
@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_disk_that_is_really_full(tmp_path, straight, capfd, hooks, monkeypatch):
    small = tmp_path / "small"
    small.mkdir()
    config = tmp_path / "tiny.py"
    config.write_text("from tests import tiny\nget_config = lambda _: tiny.tiny_config()\n")
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "8")  # as here
    for size_kb in (60, 200, 400):
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", str(small)]
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("mounting a small disk is not allowed here")
        try:
            full = rf"the disk of {small}/run is full \(0\.0 of 0\."
            if size_kb == 200:  # as a user meets it, up to the end of the process
                words = ("--config", config, "--workdir", small / "run")
                told = process("train", *words, code=1).stderr
                assert re.search(f"^mclf train: {full}", told, re.MULTILINE)
            else:
                with pytest.raises(disk.DiskError, match=full):
                    train(tiny_config(), workdir=small / "run")
                told = capfd.readouterr().err
            assert "Traceback" not in told
            subprocess.run(["mount", "-o", "remount,size=50m", str(small)], check=True)
            assert train(tiny_config(), workdir=small / "run").status == "finished"
            arrays = final_arrays(small / "run"), final_arrays(straight[0])
            for found, wanted in zip(*arrays, strict=True):
                np.testing.assert_array_equal(found, wanted)
        finally:
            subprocess.run(["umount", "-l", str(small)], check=True)
