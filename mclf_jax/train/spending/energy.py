"""Energy that a machine takes while it trains, by counters that it has itself; never a guess.

RAPL counts the processors (packages) and, where it is counted apart, their memory, whatever runs
on them. NVML counts the GPUs. Both are read, not sampled: that costs microseconds.
"""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_POWERCAP = Path("/sys/class/powercap")
# More than any package takes. A counter that could have begun again more than once between two
# readings says nothing.
_MOST_WATTS = 1000.0
_PROCESSORS = "processors and memory of the machine by RAPL, with whatever else ran on it"


class _Counter:
    """Joules of a zone of RAPL, whose counter begins again at 0 after its highest value."""

    def __init__(self, zone: Path):
        self._file = zone / "energy_uj"
        self._range_uj = int((zone / "max_energy_range_uj").read_text())
        self._last_uj, self._last_s = self._read(), time.monotonic()
        self.total_j = 0.0

    def advance(self) -> None:
        """Add what was counted since the last time.

        Raises:
            ValueError: that was so long ago that nobody knows how often it began again.
        """
        now_uj, now_s = self._read(), time.monotonic()
        if (now_s - self._last_s) * _MOST_WATTS * 1e6 > self._range_uj:
            raise ValueError(
                f"two readings of RAPL were {now_s - self._last_s:.0f} s apart, in "
                "which its counter may begin again"
            )
        used_uj = now_uj - self._last_uj
        self.total_j += (used_uj if used_uj >= 0 else used_uj + self._range_uj) / 1e6
        self._last_uj, self._last_s = now_uj, now_s

    def _read(self) -> int:
        return int(self._file.read_text())


class EnergyMeter:
    """Joules since it was opened, of the machine of this process.

    Args:
        devices: of JAX, that this process computes on.
        powercap: folder of the zones of RAPL.
    """

    def __init__(self, devices: Sequence[Any], *, powercap: Path = _POWERCAP):
        self._counters: list[_Counter] = []
        self._gpus: Callable[[], float] | None = None
        self._start_j = 0.0
        self._failed, measured = "", []
        try:
            self._counters = _open_rapl(powercap)
            measured.append(_PROCESSORS)
        except (OSError, ValueError) as error:
            no_processors = str(error)
            if devices[0].platform == "cpu":
                self._failed = no_processors
        if devices[0].platform != "cpu":
            try:
                self._gpus = _open_nvml(devices)
                self._start_j = self._gpus()
                measured.insert(0, f"{len(devices)} GPU{'s' * (len(devices) > 1)} by NVML")
                if not self._counters:
                    measured.append("the rest of the machine not counted")
            except Exception as error:  # whatever a driver says
                self._failed = _first_line(error)
        self._measured = ", ".join(measured)

    @property
    def of(self) -> str:
        """What is measured, or why nothing is."""
        return self._failed or self._measured

    def read(self) -> float | None:
        """Joules so far; None if they are not known."""
        if self._failed:
            return None
        try:
            for counter in self._counters:
                counter.advance()
            gpus_j = self._gpus() - self._start_j if self._gpus else 0.0
        except Exception as error:  # a counter that is gone must not end a run
            self._failed = _first_line(error)
            return None
        return gpus_j + sum(counter.total_j for counter in self._counters)


def _open_rapl(powercap: Path) -> list[_Counter]:
    """Packages, and memory, which is not in theirs. Others are parts or sums of these."""
    zones = [*powercap.glob("intel-rapl:*")] if powercap.is_dir() else []
    kinds = {zone: (zone / "name").read_text().strip().partition("-")[0] for zone in zones}
    found = [zone for zone, kind in kinds.items() if kind in ("package", "dram")]
    if "package" not in kinds.values():
        raise ValueError("the processor has no counters of RAPL here")
    try:
        return [_Counter(zone) for zone in sorted(found)]
    except PermissionError as error:
        raise ValueError("the counters of RAPL may not be read by this user") from error


def _open_nvml(devices: Sequence[Any]) -> Callable[[], float]:
    """A function that gives the joules of GPUs, since their driver was loaded."""
    if devices[0].platform not in ("gpu", "cuda"):
        raise ValueError(f"a {devices[0].platform} has no counter that is known here")
    try:
        import pynvml
    except ImportError as error:
        raise ValueError(
            "energy of GPUs is read by a package that is not installed: pip install nvidia-ml-py"
        ) from error
    pynvml.nvmlInit()
    visible = [one.strip() for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
    handles = []
    for device in devices:
        place = device.local_hardware_id
        name = visible[place] if visible else str(place)
        if name.startswith("GPU-"):
            handle = pynvml.nvmlDeviceGetHandleByUUID(name)
        elif name.isdigit():
            handle = pynvml.nvmlDeviceGetHandleByIndex(int(name))
        else:
            raise ValueError(f"{name} is a part of a GPU, whose energy nothing counts")
        # CUDA and NVML may number cards of several kinds in different orders.
        if _text(pynvml.nvmlDeviceGetName(handle)) != device.device_kind:
            raise ValueError(f"NVML does not know which of its GPUs is {device.device_kind}")
        handles.append(handle)
    return lambda: sum(map(pynvml.nvmlDeviceGetTotalEnergyConsumption, handles)) / 1000


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name  # bytes in early versions


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
