"""Two processes that only wait: what becomes of one when the other ends."""

import signal
import time

import pytest

from tests.train.test_distributed import start

ENDED = "process {} of 2 has ended, so this one ends too; start all again"


def waiting(folder, last="time.sleep(60)"):
    """Two processes that have joined, and then do `last` each."""
    (folder / "waiting.py").write_text(
        "import pathlib, time, jax\n"
        "from mclf_jax.common import parallel\n"
        "parallel.start()\n"
        "number = jax.process_index()\n"
        f"pathlib.Path({str(folder)!r}, f'up{{number}}').touch()\n"
        f"{last}\n"
    )
    started = start("waiting", processes=2, path=folder)
    deadline_s = time.monotonic() + 120
    while len(list(folder.glob("up*"))) < 2:
        assert all(one.poll() in (None, 0) for one in started) and time.monotonic() < deadline_s
        time.sleep(0.05)
    return started


@pytest.mark.parametrize("killed", [0, 1])
def test_the_death_of_one_ends_the_other(tmp_path, killed):
    started = waiting(tmp_path)
    started[killed].send_signal(signal.SIGKILL)
    started[killed].communicate()
    began_s = time.monotonic()
    _, err = started[1 - killed].communicate(timeout=60)
    assert time.monotonic() - began_s < 15
    assert started[1 - killed].returncode == 75
    told = [line for line in err.splitlines() if line]
    assert len(told) == 1 and ENDED.format(killed) in told[0]


def test_an_error_in_one_ends_the_other(tmp_path):
    fails = "if number: raise ValueError('of its own')\ntime.sleep(60)"
    other, failed = waiting(tmp_path, fails)
    _, err = failed.communicate(timeout=60)
    assert failed.returncode == 1 and "ValueError: of its own" in err
    _, err = other.communicate(timeout=60)
    assert other.returncode == 75 and ENDED.format(1) in err


def test_who_is_done_ends_nobody(tmp_path):
    for process in waiting(tmp_path, "time.sleep(3 * number)"):
        _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")


def test_who_waits_in_vain_says_so(tmp_path):
    (tmp_path / "alone.py").write_text(
        "from mclf_jax.common import peers\n"
        "peers.join(coordinator_address='localhost:1', num_processes=2, process_id=1, join_s=1)\n"
    )
    (process,) = start("alone", processes=1, path=tmp_path)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "have not all joined within 1 s" in err.splitlines()[-1]
