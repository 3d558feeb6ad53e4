"""Settings of a sweep in processes of their own, several at a time, each on its share of cores."""

import datetime
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from mclf_jax.common import checks
from mclf_jax.common.interrupt import Interrupted
from mclf_jax.sweep.commands import Job

_ASK_EVERY_S = 0.2


def run_jobs(jobs: Sequence[Job], *, workdir: Path, at_a_time: int) -> dict[str, int]:
    """Run them, each after those that it builds on; what they say goes to NAME.log.

    On Linux each keeps to its share of the cores. Where CUDA_VISIBLE_DEVICES names several GPUs,
    they take turns on these; on one, each takes its share of the memory.

    Args:
        jobs: of `commands.make_jobs`.
        workdir: of the sweep.
        at_a_time: how many.

    Returns:
        The exit status of each by name; jobs that build on one that failed are not run, and not in
        it.

    Raises:
        Interrupted: by a signal, which the processes are told; what they have trained is saved.
    """
    checks.whole("--jobs", at_a_time, lowest=1)
    workdir.mkdir(parents=True, exist_ok=True)
    waiting, done = list(jobs), {}
    running: dict[int, _Process] = {}  # by their place on the machine
    began_s = time.monotonic()
    try:
        while waiting or running:
            for place, process in list(running.items()):
                if (status := process.poll()) is None:
                    continue
                del running[place]
                done[process.job.name] = status
                took_s = (time.monotonic() - began_s) * (len(jobs) - len(done)) / len(done)
                left = datetime.timedelta(seconds=round(took_s))
                what = "finished" if status == 0 else f"failed, see {process.log}"
                print(
                    f"[{len(done)}/{len(jobs)}] {process.job.name}: {what}; about {left} left",
                    flush=True,
                )
            waiting = [job for job in waiting if not _is_lost(job, jobs, done)]
            for place in set(range(at_a_time)) - running.keys():
                ready = [job for job in waiting if all(done.get(n) == 0 for n in job.after)]
                if ready:
                    waiting.remove(ready[0])
                    running[place] = _Process(ready[0], workdir, place=place, places=at_a_time)
            time.sleep(_ASK_EVERY_S)
    except Interrupted:
        for process in running.values():
            process.stop()
        raise
    return done


def _is_lost(job: Job, jobs: Sequence[Job], done: dict[str, int]) -> bool:
    """Whether something that a job builds on, however far down, has failed."""
    by_name = {each.name: each for each in jobs}
    return any(done.get(name, 0) != 0 or _is_lost(by_name[name], jobs, done) for name in job.after)


class _Process:
    """The stages of a job, one process after another."""

    def __init__(self, job: Job, workdir: Path, *, place: int, places: int):
        self.job, self.log = job, workdir / f"{job.name}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._cores = _share_of_cores(place, places)
        self._environment = os.environ | _share_of_gpus(place, places)
        self._left = list(job.stages)
        self._file: IO[str] = self.log.open("a", encoding="utf-8")
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mclf_jax", *self._left.pop(0)],
            stdout=self._file,
            stderr=subprocess.STDOUT,
            env=self._environment,
            # Ctrl-C is for the sweep, which tells them: a second signal would not let them save.
            start_new_session=True,
        )
        if self._cores:
            os.sched_setaffinity(self._process.pid, self._cores)

    def poll(self) -> int | None:
        """The exit status, or None while there is something to do."""
        status = self._process.poll()
        if status == 0 and self._left:
            self._start()
            return None
        if status is not None:
            self._file.close()
        return status

    def stop(self) -> None:
        """Ask it to save and end, and wait for that."""
        self._process.terminate()
        self._process.wait()
        self._file.close()


def _share_of_cores(place: int, places: int) -> set[int]:
    if not hasattr(os, "sched_getaffinity"):
        return set()
    cores = sorted(os.sched_getaffinity(0))
    # With more jobs than cores, several share one.
    return set(cores[place::places]) or {cores[place % len(cores)]}


def _share_of_gpus(place: int, places: int) -> dict[str, str]:
    gpus = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    if len(gpus) > 1:
        return {"CUDA_VISIBLE_DEVICES": gpus[place % len(gpus)]}
    return {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{0.9 / places:.2f}"}
