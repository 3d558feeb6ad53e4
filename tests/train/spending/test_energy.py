"""Energy, by counters that the tests turn."""

import sys
import types

import pytest

from mclf_jax.train.spending import energy
from mclf_jax.train.spending.energy import EnergyMeter

CPU = [types.SimpleNamespace(platform="cpu", device_kind="cpu", local_hardware_id=0)]
GPUS = [
    types.SimpleNamespace(platform="gpu", device_kind="NVIDIA X", local_hardware_id=i)
    for i in range(2)
]
RANGE_UJ = 262_143_000_000


@pytest.fixture
def powercap(tmp_path):
    """Two packages with memory, and zones that would count twice."""
    names = {"0": "package-0", "0:0": "core", "0:1": "dram", "1": "package-1", "2": "psys"}
    for zone, name in names.items():
        turn(tmp_path, zone, 1_000_000)
        (tmp_path / f"intel-rapl:{zone}" / "name").write_text(f"{name}\n")
        (tmp_path / f"intel-rapl:{zone}" / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    turn(tmp_path, "0", RANGE_UJ - 2_000_000)
    return tmp_path


def turn(powercap, zone, value_uj):
    folder = powercap / f"intel-rapl:{zone}"
    folder.mkdir(exist_ok=True)
    (folder / "energy_uj").write_text(f"{value_uj}\n")


def test_packages_and_memory_are_added_over_a_counter_that_begins_again(powercap):
    meter = EnergyMeter(CPU, powercap=powercap)
    assert meter.read() == 0.0
    turn(powercap, "0", 3_000_000)  # 2 J to its end, and 3 J from there
    turn(powercap, "0:0", 900_000_000)
    turn(powercap, "0:1", 1_500_000)
    turn(powercap, "2", 900_000_000)
    assert meter.read() == pytest.approx(5.5)
    turn(powercap, "1", 2_000_000)
    assert meter.read() == pytest.approx(6.5)
    assert "RAPL" in meter.of


def test_readings_too_far_apart_say_nothing(powercap, monkeypatch):
    meter = EnergyMeter(CPU, powercap=powercap)
    now = energy.time.monotonic()
    monkeypatch.setattr(energy.time, "monotonic", lambda: now + 300)
    assert meter.read() is None and "may begin again" in meter.of
    assert meter.read() is None


def test_nothing_is_measured_where_nothing_counts(powercap, tmp_path, monkeypatch):
    meter = EnergyMeter(CPU, powercap=tmp_path / "none")
    assert meter.read() is None and "no counters of RAPL" in meter.of
    monkeypatch.setitem(sys.modules, "pynvml", None)
    meter = EnergyMeter(GPUS, powercap=powercap)
    assert meter.read() is None and "pip install nvidia-ml-py" in meter.of
    tpu = [types.SimpleNamespace(platform="tpu", device_kind="TPU v4", local_hardware_id=0)]
    assert EnergyMeter(tpu, powercap=powercap).read() is None


def test_a_counter_that_goes_away_ends_no_run(powercap):
    meter = EnergyMeter(CPU, powercap=powercap)
    (powercap / "intel-rapl:1" / "energy_uj").unlink()
    assert meter.read() is None and "No such file" in meter.of


@pytest.fixture
def nvml(monkeypatch):
    """Millijoules of four GPUs, by index."""
    used = [1000.0, 2000.0, 3000.0, 4000.0]
    module = types.SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByIndex=lambda i: i,
        nvmlDeviceGetHandleByUUID=lambda name: int(name[-1]),
        nvmlDeviceGetName=lambda handle: b"NVIDIA X" if handle else "NVIDIA Y",
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: used[handle],
    )
    monkeypatch.setitem(sys.modules, "pynvml", module)
    return used


@pytest.mark.parametrize("visible", ["3,1", "GPU-3,GPU-1"])
def test_gpus_are_those_that_cuda_shows(nvml, tmp_path, monkeypatch, visible):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    meter = EnergyMeter(GPUS, powercap=tmp_path)
    nvml[0] = nvml[2] = 1e9
    nvml[1] += 500
    nvml[3] += 1500
    assert meter.read() == pytest.approx(2.0)
    assert meter.of == "2 GPUs by NVML, the rest of the machine not counted"


@pytest.mark.parametrize(("visible", "why"), [("MIG-1,MIG-2", "part of a GPU"), ("", "which of")])
def test_gpus_that_cannot_be_told(nvml, tmp_path, monkeypatch, visible, why):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    meter = EnergyMeter(GPUS, powercap=tmp_path)
    assert meter.read() is None and why in meter.of
