"""A step compiled for devices that are not here, as `mclf inspect --topology` prints it."""

import importlib.util
import json

import pytest

from mclf_jax.cli import main as cli
from mclf_jax.train.topology import cost as cost_lib
from mclf_jax.train.topology.cost import cost_of
from tests.tiny import tiny_config

PARTS = {"network", "augmentation", "optimizer"}


def config():
    return tiny_config(augment__num_time_masks=1, model__args__num_blocks=1)


def test_cost_on_virtual_devices(monkeypatch, capsys):
    found = cost_of(config(), topology="cpu:4")
    assert (found.num_devices, found.songs, found.roofline()) == (4, 2, None)
    assert found.traffic_bytes.keys() >= PARTS and found.flops > 0
    # Loops of a small CPU program are few, and XLA's count is another only by them.
    assert sum(found.traffic_bytes.values()) == pytest.approx(found.compiler_bytes, rel=0.5)
    assert found.collectives["all-reduce"]["count"] > 0
    memory = found.memory_bytes
    assert memory["peak"] == memory["arguments"] + memory["outputs"] + memory["temporary"] > 0

    monkeypatch.setattr("mclf_jax.config.load", lambda *_, **__: config())
    monkeypatch.setattr(cost_lib, "cost_of", lambda *_, **__: found)
    assert cli.main(["inspect", "--config", "x", "--topology", "cpu:4"]) == 0
    assert "all-reduce" in (text := capsys.readouterr().out) and "network" in text
    assert cli.main(["inspect", "--config", "x", "--topology", "cpu:4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["traffic_bytes"] == found.traffic_bytes


def test_roofline_of_a_chip():
    found = cost_lib.Cost(
        topology="v5e:4x4",
        num_devices=16,
        songs=2.0,
        compile_s=1.0,
        flops=197e9,
        traffic_bytes={"network": 1.638e9, "other": 0.0},
        compiler_bytes=2e9,
        memory_bytes={"arguments": 1e9, "outputs": 0.0, "temporary": 16e9, "peak": 17e9},
        collectives={"all-reduce": {"count": 1, "bytes": 1e7}},
    )
    roofline = found.roofline()
    assert roofline["bound_by"] == "memory" and not roofline["fits"]
    assert roofline["step_s"] == pytest.approx(2e-3)
    assert roofline["utilisation"] == pytest.approx(0.5)
    assert roofline["songs_per_s"] == pytest.approx(16_000)
    text = found.text()
    for expected in ("2 ms", "bound by memory", "50.0%", "does not fit", "197 GFLOP", "1.638 GB"):
        assert expected in text.replace("\n", " "), text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--topology", "v9:2x2"], "must be cpu:N or CHIP:SHAPE"),
        (["--topology", "cpu:many"], "must be cpu:N or CHIP:SHAPE"),
        (["--topology", "cpu:3"], "train.batch_size is 8; it must be a multiple of the 3 devices"),
        (["--json"], "--json is for what --topology finds"),
    ],
)
def test_refused(arguments, message, monkeypatch, capsys):
    monkeypatch.setattr("mclf_jax.config.load", lambda *_, **__: config())
    assert cli.main(["inspect", "--config", "x", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_without_libtpu_it_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "libtpu", None)
    with pytest.raises(ValueError, match=r"pip install 'mclf-jax\[tpu\]'"):
        cost_of(config(), topology="v5e:2x2")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed")
def test_cost_on_a_tpu_that_is_not_here():
    found = cost_of(config(), topology="v5e:2x2")
    assert found.num_devices == 4 and found.chip.name == "v5e"
    assert found.traffic_bytes.keys() >= PARTS
    assert 0 < found.roofline()["utilisation"] < 1
