"""What is on object storage is known as that, and what is not read there refused."""

from pathlib import Path

import pytest

from mclf_jax.common import files
from mclf_jax.common.storage import places


def test_urls_and_paths():
    for url in ("s3://b/run", "gs://b/run", "az://b/run", Path("s3://b/run")):
        assert files.is_remote(url)
    for path in ("runs/a", "C:/runs", "folder:path=x", "a:b", None, 3, "", Path("/x")):
        assert not files.is_remote(path)
    assert places.check("workdir", "s3://b/run/") == "s3://b/run"
    for url, told in (
        ("az://b/run", r"workdir is az://b/run; allowed: a path on a disk, gs://BUCKET/FOLDER"),
        (Path("gs://b/run"), r"gs:/b/run, with one slash, as pathlib.Path leaves it"),
        ("s3://bucket", r"a bucket as a whole; name a folder in it: s3://bucket/NAME"),
    ):
        with pytest.raises(ValueError, match=told):
            places.check("workdir", url)


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    places.filesystem.cache_clear()
    with pytest.raises(ImportError, match=r"pip install 'mclf-jax\[cloud\]'"):
        places.filesystem("s3")


def test_what_is_written_by_others_than_runs_is_refused(tmp_path):
    with pytest.raises(ValueError, match="--out is s3://b/x; it must be on a disk: name a file"):
        files.check_place("--out", "s3://b/x", kind="file")
    files.check_place("--out", tmp_path / "x", kind="file")
