"""`cost.json` of a run: what its training took, a session for each time that it was started.

Of steps that were lost, because a run went on from a checkpoint before them, the cost counts too.
"""

import contextlib
import dataclasses
import datetime
import os
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from mclf_jax.common import checks, files
from mclf_jax.common.text import documents

FILE_NAME = "cost.json"
_WRITE_EVERY_S = 10.0


@dataclasses.dataclass(frozen=True)
class Session:
    """What one start of a run took.

    Attributes:
        started: UTC, ISO 8601.
        first_step, last_step: steps that were there before, and after it.
        wall_s: from the start, with evaluations and checkpoints.
        trained_s: of that, training steps and waiting for data.
        platform, device, num_devices: "cpu", "gpu" or "tpu"; kind and number, of all processes.
        num_processes: of the run.
        processor, num_cores: of the machine of the first process, and how many it may use.
        energy_j: joules of the session, None where it was not measured.
        energy_of: what was measured, or why nothing was.
    """

    started: str
    first_step: int
    last_step: int
    wall_s: float
    trained_s: float
    platform: str
    device: str
    num_devices: int
    num_processes: int
    processor: str
    num_cores: int
    energy_j: float | None
    energy_of: str


_LIKE = {
    **dict.fromkeys(("started", "platform", "device", "processor", "energy_of"), str),
    **dict.fromkeys(("first_step", "last_step", "num_devices", "num_processes", "num_cores"), int),
    **dict.fromkeys(("wall_s", "trained_s"), float),
    "energy_j": (float, None),
}


@dataclasses.dataclass(frozen=True)
class Cost:
    """All sessions of a run, the first one first."""

    sessions: tuple[Session, ...]

    @property
    def wall_s(self) -> float:
        return sum(session.wall_s for session in self.sessions)

    @property
    def trained_s(self) -> float:
        return sum(session.trained_s for session in self.sessions)


def read_cost(run: Path) -> Cost | None:
    """What training a run took; None where nothing is known, as of earlier versions.

    Raises:
        ValueError: `cost.json` is damaged.
    """
    path = run / FILE_NAME
    if not path.exists():
        return None
    content = documents.read(path, {"sessions": [dict]})
    for number, session in enumerate(content["sessions"]):
        name = f"sessions[{number}]"
        checks.only_known(f"{path}: {name}", session, _LIKE, of="a session")
        documents.check(session, _LIKE, name=str(path), field=name)
    return Cost(tuple(Session(**session) for session in content["sessions"]))


class Meter(Protocol):
    """Energy since it was opened."""

    def read(self) -> float | None:
        """Joules, or None where they are not known."""

    @property
    def of(self) -> str:
        """What they are of, or why they are not known."""


class CostRecorder:
    """Keeps `cost.json` while a run trains; it has the methods of `run.writers`.

    Args:
        workdir: the run directory.
        first_step: steps already taken.
        batch_size: songs per step.
        devices: of the run, of all processes.
        meter: of energy.
    """

    def __init__(
        self,
        workdir: Path,
        *,
        first_step: int,
        batch_size: int,
        devices: Sequence[Any],
        meter: Meter,
    ):
        self._path, self._meter, self._batch_size = workdir / FILE_NAME, meter, batch_size
        self._start_s = self._written_s = time.monotonic()
        self._before: tuple[Session, ...] | None = None
        self._session = Session(
            started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            first_step=first_step,
            last_step=first_step,
            wall_s=0.0,
            trained_s=0.0,
            platform=devices[0].platform,
            device=devices[0].device_kind,
            num_devices=len(devices),
            num_processes=len({device.process_index for device in devices}),
            processor=processor(),
            num_cores=_num_cores(),
            energy_j=None,
            energy_of="",
        )

    def write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Add what was logged, and read the meter."""
        trained_s = self._session.trained_s
        if kind == "train":
            num_songs = (step - self._session.last_step) * self._batch_size
            trained_s += num_songs / values["songs_per_s"]
        self._read(last_step=step, trained_s=trained_s)
        if kind != "train" or time.monotonic() - self._written_s > _WRITE_EVERY_S:
            self._write()

    def close(self) -> None:
        """Write the last of it."""
        self._read()
        self._write()

    def _read(self, **changes: Any) -> None:
        self._session = dataclasses.replace(
            self._session,
            wall_s=time.monotonic() - self._start_s,
            energy_j=self._meter.read(),
            energy_of=self._meter.of,
            **changes,
        )

    def _write(self) -> None:
        if self._before is None:
            known = read_cost(self._path.parent)
            self._before = known.sessions if known else ()
        sessions = [dataclasses.asdict(one) for one in (*self._before, self._session)]
        # Of a full disk the log says it, which is written more often, and ends the run.
        with contextlib.suppress(OSError):
            files.write_json(self._path, {"sessions": sessions})
        self._written_s = time.monotonic()


def processor() -> str:
    """The kind of processor of this machine, "unknown" where nothing says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine() or "unknown"


def _num_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
