"""What is wrong with a disk is one line, and threads that find it too say nothing."""

import errno
import logging
import os
import threading

import pytest

from mclf_jax.common import disk


def full(path=None):
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (full(), r"the disk of {} is full \([\d.]+ of [\d.]+ [GM]B free now\): make space, then "),
        (OSError(errno.EDQUOT, "x"), "the quota on the disk of {} is used up: make space, then"),
        (
            OSError(errno.EROFS, "x"),
            "the disk of {} is read-only: make it writable, then start",
        ),
        (
            OSError(errno.EIO, "x"),
            "the disk of {} fails .*: see to it, then start the same",
        ),
        (OSError(errno.ESTALE, "x"), "the disk of {} went away"),
        (ValueError("RESOURCE_EXHAUSTED: ... [OS error 28: ENOSPC No space]"), "of {} is full"),
        (RuntimeError("write failed: Disk quota exceeded"), "quota on the disk of {} is used up"),
    ],
)
def test_it_is_said_where_why_and_what_to_do(tmp_path, error, message):
    with (
        pytest.raises(disk.DiskError, match=message.format(tmp_path / "inner")) as told,
        disk.explained(tmp_path),
        disk.explained(tmp_path / "inner"),
    ):
        raise ValueError("which came of it") from error
    assert "\n" not in str(told.value)
    with pytest.raises(disk.DiskError, match=message.format(tmp_path)), disk.explained(tmp_path):
        raise error


def test_another_disk_is_named(tmp_path):
    for name, where in (("there/file", "there"), ("here/below/file", "here")):
        with (
            pytest.raises(disk.DiskError, match=f"the disk of {tmp_path / where} is full"),
            disk.explained(tmp_path / "here"),
        ):
            raise full(str(tmp_path / name))


def test_a_folder_that_is_gone(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    message = f"{folder} was removed while it was in use: bring"
    with pytest.raises(disk.DiskError, match=message), disk.explained(folder):
        folder.rmdir()
        (folder / "metrics.jsonl").write_text("")
    message = f"{tmp_path}/a/b was removed while it was in use"
    with pytest.raises(disk.DiskError, match=message), disk.explained(tmp_path):
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "b" / "c" / "metrics.jsonl").write_text("")
    with pytest.raises(disk.DiskError, match=f"{folder} was removed"):
        disk.check_there(folder)


@pytest.mark.parametrize(
    "error", [ValueError("a field"), OSError("no number"), FileNotFoundError(2, "x", "songs.csv")]
)
def test_other_errors_are_as_they_were(tmp_path, error):
    hooks = threading.excepthook
    with pytest.raises(type(error)) as found, disk.explained(tmp_path / "not there yet"):
        raise error
    assert found.value is error and threading.excepthook is hooks


def _in_thread(error):
    def fail():
        raise error

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()


def _logged(error):
    try:
        raise error
    except Exception:
        logging.getLogger("absl").exception("a save failed")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("tell", [_in_thread, _logged])
def test_threads_are_quiet_about_the_disk_alone(tmp_path, monkeypatch, caplog, tell):
    told = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_value))
    logging.getLogger("absl").addHandler(caplog.handler)
    other = KeyError("of the thread")
    with disk.explained(tmp_path):
        tell(other)
    told += [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert set(told) == {other}
    told.clear()
    caplog.clear()
    with pytest.raises(disk.DiskError), disk.explained(tmp_path):
        tell(full())
        tell(ValueError("handle is closed"))  # as a consequence
        raise full()
    tell(full())  # even when it is over
    assert not told and not caplog.records
    logging.getLogger("absl").removeHandler(caplog.handler)
    logging.getLogger("absl").filters.clear()
