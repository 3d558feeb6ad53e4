"""Files are whole or not there, and caches are of what they say."""

import errno
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mclf_jax.common.files import (
    check_place,
    locked,
    read_arrays,
    read_cache,
    replacing,
    with_nan,
    without_nan,
    write_arrays,
    write_cache,
    write_json,
    write_text,
)
from tests import ROOT


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(KeyError), replacing(path) as temporary:
        temporary.write_text("half of the ne")
        raise KeyError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_names_as_long_as_they_may_be_and_writers_in_threads(tmp_path):
    path = tmp_path / ("é" * 120 + ".csv")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: write_text(path, str(number) * 1000), range(200)))
    assert len(set(path.read_text())) <= 3 and len(list(tmp_path.iterdir())) == 1


def test_json_has_no_nan(tmp_path):
    value = {"loss": math.nan, "best": np.float32(0.5), "curve": (1, math.inf)}
    assert without_nan(value) == {"loss": None, "best": 0.5, "curve": [1, None]}
    assert math.isnan(with_nan({"a": {"b": None}})["a"]["b"])
    write_json(tmp_path / "a.json", value)
    assert '"loss": null' in (tmp_path / "a.json").read_text()


def test_arrays_are_found_under_their_identity_only(tmp_path):
    path = tmp_path / "below" / "a.npz"
    assert read_arrays(path, {"step": 1}) is None
    write_arrays(path, {"step": 1}, songs=np.arange(3))
    np.testing.assert_array_equal(read_arrays(path, {"step": 1})["songs"], np.arange(3))
    assert read_arrays(path, {"step": 2}) is None
    path.write_bytes(path.read_bytes()[:50])
    assert read_arrays(path, {"step": 1}) is None


def test_findings_are_kept_under_their_identity_where_that_can_be_written(tmp_path):
    path = tmp_path / "below" / "a.json"
    assert read_cache(path, [1, "a"]) is None
    write_cache(path, [1, "a"], {"x": [2]})
    assert read_cache(path, [1, "a"]) == {"x": [2]}
    assert read_cache(path, [1, "b"]) is None
    write_cache(path / "in a file", 1, 2)
    assert read_cache(path / "in a file", 1) is None


def test_another_process_is_refused(tmp_path):
    code = (
        "import sys, pathlib; from mclf_jax.common.files import locked\n"
        "with locked(pathlib.Path(sys.argv[1]), refusal='somebody is here'): pass"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with locked(tmp_path, refusal=""):
        held = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    free = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert held.stderr.endswith("ValueError: somebody is here\n")
    assert free.returncode == 0, free.stderr
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize(
    "name, kind, why",
    [
        ("new/and/deep", "folder", None),
        ("new.html", "file", None),
        ("folder", "folder", None),
        ("file", "file", None),
        ("folder", "file", "is there and no file"),
        ("file", "folder", "is there and no folder"),
        ("file/below/it", "folder", "file is a file and no folder"),
        ("closed/new", "file", "closed may not be written to"),
    ],
)
def test_a_place_where_nothing_can_be_written_is_refused(tmp_path, monkeypatch, name, kind, why):
    for folder in ("folder", "closed"):
        (tmp_path / folder).mkdir()
    (tmp_path / "file").touch()
    # As root is allowed everything.
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "closed")
    if why is None:
        check_place("--out", tmp_path / name, kind=kind)
        return
    with pytest.raises(OSError, match=f"^--out is .*{why}"):
        check_place("--out", tmp_path / name, kind=kind)


def test_a_file_system_without_locks_is_told_of(tmp_path, monkeypatch):
    def no_locks(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    with (
        pytest.warns(
            UserWarning, match="cannot be locked .No locks available.: nothing keeps a sec"
        ),
        locked(tmp_path, refusal="somebody is here"),
    ):
        pass
