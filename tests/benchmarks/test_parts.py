"""Parts of `python -m benchmarks`: all are there, and growth is what it is fitted to be."""

import importlib

import pytest

from benchmarks import __main__ as program
from benchmarks.parts import growth


@pytest.mark.parametrize("name", program.PARTS)
def test_a_part_measures(name):
    assert callable(importlib.import_module(program.PARTS[name]).measure)


@pytest.mark.parametrize("power", [0.5, 1, 2])
def test_the_slope_is_the_power_that_large_sizes_grow_by(power):
    rows = [{"size": n, "ours_s": 1e-4 + 3 * n**power} for n in (1, 10, 100, 1000, 10_000)]
    assert growth.slope(rows, "ours_s") == pytest.approx(power, abs=1e-3)


def test_growth_is_drawn_for_each_quantity():
    rows = [
        {"quantity": name, "size": n, "ours_s": n, "ours_bytes": memory * n}
        for name, memory in (("batch", 1 << 20), ("songs", 0))
        for n in (1, 2, 4)
    ]
    axes = growth.draw(rows).axes
    assert [axis.get_title() for axis in axes] == ["slope 1.00", "slope 1.00", "slope 1.00", ""]
