"""Steps of objectives beside SimCLR's: what is measured, and how a row reads."""

import pytest

from benchmarks import objectives


@pytest.mark.slow
def test_a_method_and_simclr_on_its_network():
    row = objectives.compare("relative_position", batch=2, rounds=1)
    assert row["method"] == "relative_position" and row["network"] == "short_chunk_cnn"
    assert row["seconds"] > 0 < row["simclr_seconds"]
    assert 0.3 < row["flops"] / row["simclr_flops"] < 3


def test_a_row_has_ratios():
    row = {"method": "byol", "network": "vit", "seconds": 0.3, "simclr_seconds": 0.2}
    row |= {"flops": 8.0, "simclr_flops": 16.0}
    assert objectives.line(row) == "| byol | `vit` | 1.50 | 0.50 | 300 |"
