"""Shards as Parquet that others read, and what was skipped with them."""

import sys

import numpy as np
import pytest

from mclf_jax.catalogue import rows
from tests.catalogue.made import NETWORK, SCORES, SKIPPED, embedding_of, make, network


def test_others_read_it(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    make(tmp_path)
    table = parquet.read_table(tmp_path / "songs")
    names = ["path", "duration_s", "rock", "vocals", "path (label)", "embedding", "model"]
    assert table.column_names == names
    for row in table.to_pylist():
        assert row["model"] == NETWORK.fingerprint and row["duration_s"] == 2.5
        scores = [row[name] for name in ("rock", "vocals", "path (label)")]
        np.testing.assert_array_equal(np.float32(scores), np.float32(SCORES[row["path"]]))
        np.testing.assert_array_equal(np.float32(row["embedding"]), embedding_of(row["path"]))
    assert table["path"].to_pylist() == sorted(SCORES)
    assert str(table.schema.field("embedding").type) == "list<element: float>"


def test_what_was_skipped_is_told(tmp_path):
    pytest.importorskip("pyarrow")
    told = list(rows.tell(make(tmp_path)))
    assert [each["songs"] for each in told] == [2, 2, 1]
    assert [pair for each in told for pair in each["skipped"]] == [
        [SKIPPED, "the file is empty (0 bytes)"]
    ]


def test_a_shard_without_songs_and_a_network_without_labels():
    pq = pytest.importorskip("pyarrow.parquet")
    import io

    content = rows.pack({"a.wav": {"reason": "no such file"}}, network=network(labels=()))
    assert pq.read_table(io.BytesIO(content)).num_rows == 0


def test_damage_is_named(tmp_path):
    pytest.importorskip("pyarrow")
    catalogue = make(tmp_path)
    catalogue.shard(1).write_bytes(b"PAR1 no more")
    with pytest.raises(ValueError, match="shard-00001-of-00003.parquet is damaged"):
        list(rows.read(catalogue, ("path",)))


def test_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'mclf-jax\[catalogue\]'"):
        rows.check_installed()
