"""A signal ends a command in one line, whenever it comes, and workers leave it to their parent."""

import os
import signal
import subprocess
import sys
import time

import pytest

from mclf_jax import train as train_package
from mclf_jax.cli import main as cli
from mclf_jax.common.interrupt import Interrupted, deaf_children, stop_requests
from mclf_jax.train.loop import Outcome
from tests import ROOT

TRAIN = ["train", "--config", "configs/quickstart.py", "--workdir", "nowhere"]


def ended_by(number, words, *, folder):
    """Exit status and stderr of `mclf WORDS`, signalled where it makes the file `here`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mclf_jax", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{folder}:{ROOT}"},
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (folder / "here").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_while_modules_are_imported(tmp_path, number, status):
    # Whoever catches everything does not keep it from ending.
    (tmp_path / "waiting.py").write_text(
        "import pathlib, time\npathlib.Path('here').touch()\n"
        "try:\n    time.sleep(60)\nexcept BaseException:\n    time.sleep(60)\n"
    )
    (tmp_path / "config.py").write_text("import waiting\n")
    found = ended_by(number, ["inspect", "--config", "config.py"], folder=tmp_path)
    assert found == (status, f"mclf: interrupted by {number.name}\n")


def test_at_work_files_are_closed_first(tmp_path):
    (tmp_path / "config.py").write_text(
        "import pathlib, time\n"
        "def get_config(arg=None):\n"
        "    try:\n        pathlib.Path('here').touch()\n        time.sleep(60)\n"
        "    finally:\n        pathlib.Path('closed').touch()\n"
    )
    words = ["train", "--config", "config.py", "--workdir", "run"]
    status, err = ended_by(signal.SIGINT, words, folder=tmp_path)
    assert status == 130 and (tmp_path / "closed").exists()
    assert err == "mclf train: interrupted by SIGINT; the same command goes on from there\n"


def test_what_was_saved_is_75(monkeypatch, capsys):
    outcome = Outcome("interrupted", 3, best_step=None, best_value=None)
    monkeypatch.setattr(train_package, "train", lambda *_, **__: outcome)
    assert cli.main(TRAIN) == 75
    assert capsys.readouterr().out == (
        "interrupted at step 3: nowhere\nthe same command goes on from there\n"
    )

    def stop(*_, **__):
        raise Interrupted("runs/a is stopped at step 3")

    monkeypatch.setattr(train_package, "train", stop)
    before = signal.getsignal(signal.SIGTERM)
    assert cli.main(TRAIN) == 75
    assert "stopped at step 3; the same command goes on" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_signal_does_not_wait():
    # Where pytest was started in the background, Python has left SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt), stop_requests() as request:
        assert request() is None
        signal.raise_signal(signal.SIGINT)
        assert request() == "SIGINT"
        signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def test_children_leave_signals_to_their_parent():
    code = "import signal; print(*signal.pthread_sigmask(signal.SIG_BLOCK, ()))"
    heard = [sys.executable, "-c", code]
    with deaf_children():
        deaf = subprocess.run(heard, capture_output=True, text=True, check=True).stdout
    assert {int(number) for number in deaf.split()} >= {signal.SIGINT, signal.SIGTERM}
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & {signal.SIGINT, signal.SIGTERM}
