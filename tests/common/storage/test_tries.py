"""Requests that fail are made again, so often, and counted."""

import concurrent.futures
import errno
import multiprocessing

import pytest

from mclf_jax.common.storage import tries


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(tries, "_FIRST_WAIT_S", 0)


def failing(times, error):
    left = [error] * times

    def request():
        if left:
            raise left.pop()
        return "answer"

    return request


def since(before):
    return {kind: number - before[kind] for kind, number in tries.counts().items()}


def test_tried_again_and_counted(monkeypatch):
    before, told = tries.counts(), []
    with tries.telling(told.append):
        assert tries.attempt("reading x", failing(3, TimeoutError("late"))) == "answer"
        monkeypatch.setattr(tries, "SLOW_S", -1)
        assert tries.attempt("reading x", failing(0, None)) == "answer"
        with pytest.raises(
            tries.StorageError, match=r"reading x failed 7 times \(TimeoutError: late\); see whe"
        ):
            tries.attempt("reading x", failing(7, TimeoutError("late")))
    assert since(before) == {"retried": 9, "slow": 1, "failed": 1}
    assert told == ["requests to object storage: 9 tried again, 1 slower than 10 s, 1 given up"]
    with tries.telling(told.append):
        pass
    assert len(told) == 1


def test_what_stays_as_it_is_is_asked_once():
    before = tries.counts()
    with pytest.raises(FileNotFoundError):
        tries.attempt("reading x", failing(1, FileNotFoundError()))
    with pytest.raises(tries.StorageError, match=r"is refused \(PermissionError: no\)"):
        tries.attempt("reading x", failing(1, PermissionError("no")))
    without = type("NoCredentialsError", (Exception,), {})
    with pytest.raises(tries.StorageError, match="needs credentials .*aws configure"):
        tries.attempt("reading x", failing(1, without("none")))
    assert not any(since(before).values())


def _retry_once(_):
    tries._FIRST_WAIT_S = 0
    tries.attempt("reading x", failing(1, OSError("gone")))


def test_other_processes_count_too():
    before = tries.counts()
    tries.count_here()
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
        list(pool.map(_retry_once, range(3)))
    assert since(before)["retried"] == 3


def test_a_full_disk_is_no_fault_of_the_storage():
    before = tries.counts()
    with pytest.raises(OSError, match="No space left") as caught:
        tries.attempt("receiving x", failing(1, OSError(errno.ENOSPC, "No space left on device")))
    assert not isinstance(caught.value, tries.StorageError)
    assert not any(since(before).values())
