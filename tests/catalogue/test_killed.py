"""Killed and started again, a catalogue has each good song once, and each bad one in its list."""

import importlib.util

import pytest

from tests import ROOT

pytest.importorskip("pyarrow")


def benchmark():
    spec = importlib.util.spec_from_file_location("made", ROOT / "benchmarks" / "catalogue.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("runner", ["here", "beam"])
def test_nothing_twice_and_nothing_lost(runner, tmp_path):
    if runner == "beam":
        pytest.importorskip("apache_beam")
    how = {"here": {"kills": 3}, "beam": {"kills": 1, "beam": []}}[runner]
    found = benchmark().measure(tmp_path, songs=60, broken=6, shard=5, **how)
    assert found["said"][1].startswith("6 skipped")
