"""Bytes of shards are found without reading the records that they are in."""

import os

import numpy as np
import pytest

from mclf_jax.data.base.array_record import (
    Payload,
    from_int16,
    open_shard,
    read_span,
    to_int16,
    write_shard,
)


def test_int16_rounds_and_does_not_wrap():
    step = 1 / 32768
    audio = np.float32([0, 0.4 * step, 0.6 * step, -0.6 * step, 1, 1.5, -1, -1.5])
    expected = [0, 0, 1, -1, 32767, 32767, -32768, -32768]
    np.testing.assert_array_equal(to_int16(audio), expected)
    np.testing.assert_array_equal(
        from_int16(to_int16(audio).tobytes()), np.float32(expected) * step
    )


def test_any_span_of_a_shard(tmp_path):
    rng = np.random.default_rng(0)
    payloads = [rng.bytes(size) for size in (0, 1, 65511, 65512, 65513, 300_000, 7)]
    shard = write_shard(tmp_path / "shard", [(b"head" + p + b"tail", 4) for p in payloads])
    assert shard.num_bytes == (tmp_path / "shard").stat().st_size
    with (tmp_path / "shard").open("rb", buffering=0) as file:
        for payload, position in zip(payloads, shard.positions, strict=True):
            assert read_span(file, position, len(payload)) == payload
            for _ in range(30 * (len(payload) > 1)):
                start, stop = sorted(rng.integers(0, len(payload), 2))
                assert read_span(file, position + start, stop - start) == payload[start:stop]
            part = Payload(file, position, len(payload))
            assert part.read() == payload
            part.seek(-(len(payload) // 2), os.SEEK_END)
            assert part.read(10**6) == payload[len(payload) - len(payload) // 2 :]
        assert read_span(file, shard.num_bytes * 2, 10) == b""


def test_shards_replaced_on_disk_are_opened_anew(tmp_path):
    path = tmp_path / "shard"
    for content in (b"before", b"behind"):
        shard = write_shard(path, [(content, 0)])
        file = open_shard(str(path), shard.sha256)
        assert read_span(file, shard.positions[0], 6) == content


def test_what_was_not_written_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr("mclf_jax.data.base.array_record._OPTIONS", "group_size:1,zstd")
    with pytest.raises(OSError, match="does not hold the bytes that were written"):
        write_shard(tmp_path / "shard", [(b"ab" * 5000, 0)])
