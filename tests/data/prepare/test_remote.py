"""Prepared data on object storage are those of the disk, window by window."""

import os
import pickle

import fsspec
import numpy as np
import pytest

from mclf_jax import data
from mclf_jax.common.storage import tries
from mclf_jax.common.storage.tries import StorageError
from mclf_jax.data.prepare.reader import prepared
from mclf_jax.data.prepare.run import prepare
from tests.common.storage import memory
from tests.data.mini import genres

RATE_HZ = 8000


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """(folder, URL) of the same songs by encoding, and "songs", their folder."""
    root = tmp_path_factory.mktemp("remote")
    catalogue = genres(root / "songs")
    found = {"catalogue": catalogue}
    for encoding in ("int16", "flac"):
        folder = prepare(
            catalogue, root / encoding, sample_rate_hz=RATE_HZ, encoding=encoding, items_per_shard=4
        )
        url = memory.new_url(encoding)
        memory.put(root / encoding, url)
        found[encoding] = (folder, url)
    return found


@pytest.mark.parametrize("encoding", ["int16", "flac"])
def test_windows_are_those_of_the_disk(both, encoding):
    folder, url = both[encoding]
    here = prepared(path=folder, sample_rate_hz=RATE_HZ)
    there = prepared(path=url, sample_rate_hz=RATE_HZ)
    assert there.info.fingerprint == here.info.fingerprint and there.shards[0][0].startswith(url)
    there = pickle.loads(pickle.dumps(there))  # as data workers get it
    rng = np.random.default_rng(0)
    for i in range(len(here)):
        start, length = rng.integers(0, here.num_samples(i), 2)
        wanted = here.read(i, start_sample=start, num_samples=length)
        got = there.read(i, start_sample=start, num_samples=length)
        np.testing.assert_array_equal(got, wanted)
    prepared(path=url, sample_rate_hz=RATE_HZ, checksums="verify")


def test_by_the_name_of_the_data_set(both):
    folder, url = both["int16"]
    name = prepared(path=folder, sample_rate_hz=RATE_HZ).info.name
    source = data.build(name, path=url, sample_rate_hz=RATE_HZ) if name in data.READERS else None
    source = source or data.build("prepared", path=url, sample_rate_hz=RATE_HZ)
    assert source.info.name == name
    with pytest.raises(ValueError, match="Audio files are read from disks: prepare them there"):
        data.build("folder", path=memory.new_url(), sample_rate_hz=RATE_HZ)
    with pytest.raises(ValueError, match="path is s3://b/songs; it must be on a disk"):
        data.catalogue("folder", path="s3://b/songs")


def test_workers_count_with_the_process_that_opens_the_data(both, monkeypatch):
    monkeypatch.delenv(tries._JOURNAL, raising=False)
    prepared(path=both["int16"][1], sample_rate_hz=RATE_HZ)
    assert tries._JOURNAL in os.environ


def test_what_is_missing_or_cut_is_named(both):
    folder, _ = both["int16"]
    url, fs = memory.new_url(), fsspec.filesystem("memory")
    memory.put(folder, url)
    shard = next(name for name in memory.names(url) if "array_record" in name)
    content = fs.cat_file(f"{url}/{shard}")
    fs.pipe_file(f"{url}/{shard}", content[:-1] + b"?")
    with pytest.raises(ValueError, match=f"{shard} is not what was prepared"):
        prepared(path=url, sample_rate_hz=RATE_HZ, checksums="verify")
    fs.pipe_file(f"{url}/{shard}", content[:-1])
    with pytest.raises(ValueError, match=f"{shard} has {len(content) - 1} bytes, not"):
        prepared(path=url, sample_rate_hz=RATE_HZ)
    fs.rm_file(f"{url}/{shard}")
    with pytest.raises(ValueError, match=f"{shard} is missing"):
        prepared(path=url, sample_rate_hz=RATE_HZ)
    fs.rm_file(f"{url}/items.npz")
    with pytest.raises(ValueError, match="is not complete: it has no items.npz"):
        prepared(path=url, sample_rate_hz=RATE_HZ)


def test_reads_that_fail_are_made_again_and_at_last_end_the_run(both, monkeypatch):
    """Not as a song that cannot be read, whose place another one takes: the storage is away."""
    monkeypatch.setattr(tries, "_FIRST_WAIT_S", 0)
    source = prepared(path=both["int16"][1], sample_rate_hz=RATE_HZ)
    fs = type(fsspec.filesystem("memory"))
    read, before, calls = fs.cat_file, tries.counts()["retried"], []

    def sometimes(self, *arguments, **named):
        calls.append(arguments)
        if len(calls) % 3:
            raise ConnectionResetError("reset by peer")
        return read(self, *arguments, **named)

    wanted = source.read(0, start_sample=0, num_samples=100)
    monkeypatch.setattr(fs, "cat_file", sometimes)
    np.testing.assert_array_equal(source.read(0, start_sample=0, num_samples=100), wanted)
    assert tries.counts()["retried"] == before + 2
    monkeypatch.setattr(fs, "cat_file", lambda *a, **k: 1 / 0)
    with pytest.raises(StorageError, match="failed 7 times"):
        source.read(0, start_sample=0, num_samples=100)
