"""`mclf data speed`: songs a second at each stage of the input, and what to change."""

import contextlib
import dataclasses
import itertools
import os
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from mclf_jax.common import checks, parallel
from mclf_jax.data import pipeline
from mclf_jax.data.pipeline import Batch
from mclf_jax.train import setup
from mclf_jax.train.setup import Training
from mclf_jax.train.spending.stages import WHAT, advice

FIELDS = ("num_workers", "num_threads", "prefetch")
_BATCH_S = 0.25  # of one thread, for a measured batch: those of a run may take minutes
_SHARES = {"stages": 0.1, "settings": 0.45}  # of the time that is there; the rest is the step's
_STEP_S = 10.0  # at least, to compile it
_ENOUGH = 1.1  # times what the step takes


@dataclasses.dataclass(frozen=True)
class Speed:
    """What was measured.

    Attributes:
        opening_s: that opening the data set took.
        batch_size: of a step.
        rows: songs of a measured batch; shorter ones than those of the run, if that is long.
        stages_ms: {stage: milliseconds of a song} in one thread, "transfer" and "step" among them
            where they were measured.
        settings: {"num_workers", "num_threads", "prefetch", "songs_per_s", "start_s"} of each that
            was tried, the config's own one first; no "songs_per_s" where the time was over.
        step: why there is no "step", "" where there is.
        device: what steps ran on.
        advice: what to change beside `settings`, "" for nothing.
    """

    opening_s: float
    batch_size: int
    rows: int
    stages_ms: Mapping[str, float]
    settings: Sequence[Mapping[str, float]]
    step: str
    device: str
    advice: str

    @property
    def step_songs_per_s(self) -> float | None:
        """What the device takes, with its transfers."""
        if "step" not in self.stages_ms:
            return None
        return 1000 / (self.stages_ms["step"] + self.stages_ms["transfer"])

    @property
    def best(self) -> Mapping[str, float]:
        """The cheapest setting that gives the step more than it takes, or the fastest one."""
        measured = [one for one in self.settings if "songs_per_s" in one]
        fastest = max(measured, key=lambda one: one["songs_per_s"])
        wanted = min(_ENOUGH * (self.step_songs_per_s or np.inf), fastest["songs_per_s"])
        enough = [one for one in measured if one["songs_per_s"] >= wanted]
        own = measured[0]
        if own in enough or own["songs_per_s"] > fastest["songs_per_s"] / _ENOUGH:
            return own
        return min(enough, key=lambda one: tuple(one[field] for field in FIELDS))

    def to_json(self) -> dict[str, Any]:
        """All of it as a dictionary of numbers and names."""
        found = dataclasses.asdict(self)
        return found | {"step_songs_per_s": self.step_songs_per_s, "best": dict(self.best)}

    def text(self) -> str:
        """Two tables and what follows from them."""
        host = {name: ms for name, ms in self.stages_ms.items() if name in pipeline.STAGES}
        total = sum(host.values())
        lines = [f"{'stage':<12}{'ms a song':>11}{'songs/s':>11}  ", "-" * 36]
        for name, ms in self.stages_ms.items():
            share = f", {ms / total:.0%} of the host's work" if name in host and total else ""
            rate = f"{1000 / ms:>11,.0f}" if ms else f"{'':>11}"
            what = WHAT.get(name, f"train, {self.batch_size} songs on {self.device}")
            lines.append(f"{name:<12}{ms:>11.3g}{rate}  {what}{share}")
        if self.step:
            lines.append(f"{'step':<12}{'':>11}{'':>11}  {self.step}")
        lines += ["", "".join(f"{field:>12}" for field in FIELDS) + f"{'songs/s':>12}{'start':>9}"]
        lines.append("-" * 57)
        for i, one in enumerate(self.settings):
            cells = "".join(f"{one[field]:>12}" for field in FIELDS)
            if "songs_per_s" in one:
                cells += f"{one['songs_per_s']:>12,.0f}{one['start_s']:>7.1f} s"
            else:
                cells += f"{'not reached':>21}"
            lines.append(cells + ("  as the config is" if i == 0 else ""))
        return "\n".join([*lines, "", *self._verdict(host, total)])

    def _verdict(self, host: Mapping[str, float], total: float) -> list[str]:
        own, best, step = self.settings[0], self.best, self.step_songs_per_s
        lines = []
        if step:
            rate = own["songs_per_s"]
            waits = (
                f"the device waits {1 - rate / step:.0%} of the time"
                if rate < step
                else ("the device need not wait")
            )
            lines.append(
                f"The step takes {step:,.0f} songs/s, the input gives {rate:,.0f}: {waits}."
            )
        if best is own:
            lines.append("No other number of workers, threads or batches ahead is clearly better.")
        else:
            fields = " ".join(f"--config.runtime.{field}={best[field]}" for field in FIELDS)
            lines.append(f"Set {fields} for {best['songs_per_s']:,.0f} songs/s.")
        if total and (not step or best["songs_per_s"] < _ENOUGH * step):
            stage = max(host, key=lambda name: host[name])
            lines.append(
                f"{host[stage] / total:.0%} of the work on a song is {stage}"
                + (f": {self.advice}." if self.advice else ".")
            )
        if self.device == "cpu":
            lines.append("Step and input share the cores of a CPU: together both are slower.")
        return lines


def measure(
    config: ConfigDict,
    *,
    workers: Sequence[int] | None = None,
    threads: Sequence[int] | None = None,
    prefetch: Sequence[int] | None = None,
    seconds: float = 35.0,
) -> Speed:
    """Read, transfer and train as a config would, for a while. Nothing is written.

    Args:
        config: of training.
        workers, threads, prefetch: values of `runtime.num_workers` and so on, of which every
            combination is tried; where none is given, some that suit this machine.
        seconds: to measure for, beside opening the data set and starting workers.

    Raises:
        ValueError: the config does not fit together, or a number is none that is allowed.
    """
    checks.positive("--seconds", seconds, unit="s")
    began_s = time.monotonic()
    run = setup.build(config)
    mesh = parallel.make_mesh(config.runtime.num_devices, groups=config.runtime.num_groups)
    setup.check_batch_size(config, mesh)
    opened_s = time.monotonic()
    tried = _settings(config, workers=workers, threads=threads, prefetch=prefetch)
    rows, stages_ms, batch = _stages(run, seconds=_SHARES["stages"] * seconds)
    smaller = _with_batches_of(run, rows)
    until_s = time.monotonic() + _SHARES["settings"] * seconds
    measured = []
    for i, one in enumerate(tried):
        left_s = until_s - time.monotonic()
        # The config's own one is always measured.
        found = (
            _rate(smaller, one, seconds=left_s / (len(tried) - i)) if left_s > 0 or not i else {}
        )
        measured.append(one | found)
    left_s = max(seconds - (time.monotonic() - opened_s), _STEP_S)
    found, why_not = _step(run, batch, mesh, seconds=left_s)
    slowest = max(stages_ms, key=lambda name: stages_ms[name])
    on_host = mesh.devices.flat[0].platform == "cpu" and slowest in ("augment", "features")
    return Speed(
        opening_s=opened_s - began_s,
        batch_size=config.train.batch_size,
        rows=rows,
        stages_ms=stages_ms | found,
        settings=measured,
        step=why_not,
        device=mesh.devices.flat[0].device_kind.lower(),
        advice="" if on_host else advice(slowest, config),
    )


def _settings(config: ConfigDict, **given: Sequence[int] | None) -> list[dict[str, int]]:
    """What to try, the config's own setting first, cheap ones before others."""
    own = {field: config.runtime[field] for field in FIELDS}
    for flag, values in given.items():
        for value in values or ():
            checks.whole(f"--{flag}", value, lowest=0 if flag == "workers" else 1)
    if any(given.values()):
        columns = (given[flag] or [own[field]] for flag, field in zip(given, FIELDS, strict=True))
        combined = itertools.product(*columns)
    else:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        ahead = own["prefetch"]
        combined = [
            *((0, number, ahead) for number in sorted({1, 2, cores, 2 * cores})),
            (0, cores, 4 * ahead),
            *((number, 1, ahead) for number in sorted({2, max(2, cores // 2), max(2, cores - 1)})),
        ]
    found = [own, *(dict(zip(FIELDS, values, strict=True)) for values in combined)]
    return [one for i, one in enumerate(found) if one not in found[:i]]


def _with_batches_of(run: Training, rows: int) -> Training:
    config = run.parts.config.copy_and_resolve_references()
    config.train.batch_size = rows
    return dataclasses.replace(run, parts=dataclasses.replace(run.parts, config=config))


def _stages(run: Training, *, seconds: float) -> tuple[int, dict[str, float], Batch]:
    """(rows that a batch should have, milliseconds of a song by stage in this thread, a batch)."""
    single = pipeline.timed(_with_batches_of(run, 1).batches())
    single[0]  # opens files, and makes tables
    start_s = time.monotonic()
    single[1], single[2]
    song_s = (time.monotonic() - start_s) / 2
    rows = int(np.clip(_BATCH_S / song_s, 1, run.parts.config.train.batch_size))
    batches = pipeline.timed(_with_batches_of(run, rows).batches())
    total, songs, batch = np.zeros(len(pipeline.STAGES)), 0, {}
    start_s, step = time.monotonic(), 1
    while not songs or time.monotonic() - start_s < seconds:
        batch = batches[step]
        total += batch.pop("seconds")
        songs, step = songs + rows, step + 1
    run.take_failed(batch)
    per_song = dict(zip(pipeline.STAGES, (1000 * total / songs).tolist(), strict=True))
    return rows, per_song, batch


def _rate(run: Training, setting: Mapping[str, int], *, seconds: float) -> dict[str, float]:
    """{"songs_per_s", "start_s"} of the whole input with a setting."""
    began_s = time.monotonic()
    batches = pipeline.iterate(run.batches(), **setting)
    with contextlib.closing(batches):
        next(batches)
        start_s, count = time.monotonic(), 0
        while count < 2 or time.monotonic() - start_s < seconds:
            next(batches)
            count += 1
        took_s = time.monotonic() - start_s
    songs = count * run.parts.config.train.batch_size
    return {"songs_per_s": songs / took_s, "start_s": start_s - began_s}


def _step(
    run: Training, batch: Batch, mesh: Any, *, seconds: float
) -> tuple[dict[str, float], str]:
    """({"transfer", "step"}: milliseconds of a song, or why there are none)."""
    batch_size = run.parts.config.train.batch_size
    rows = len(batch["index"])

    def whole(leaf):
        return np.resize(leaf, (len(leaf) * batch_size // rows, *leaf.shape[1:]))

    batch = jax.tree.map(whole, batch)
    found: dict[str, float] = {}
    failed: list[Exception] = []

    def work():
        try:
            found.update(_time_steps(run, batch, mesh, seconds=seconds / 3))
        except Exception as error:  # goes to who asked
            failed.append(error)

    # A compiler cannot be told to stop; who asked need not wait for it.
    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(timeout=seconds)
    if failed:
        raise failed[0]
    per_song = {name: 1000 * value / batch_size for name, value in found.items()}
    if worker.is_alive():
        return {}, f"not measured: not compiled and run in {seconds:.0f} s; give it more --seconds"
    return per_song, ""


def _time_steps(run: Training, batch: Batch, mesh: Any, *, seconds: float) -> dict[str, float]:
    """{"transfer", "step"}: seconds of a batch."""
    shardings = parallel.param_shardings(
        jax.eval_shape(run.initial_state), mesh, strategy=run.parts.config.parallel.params
    )
    state = jax.jit(run.initial_state, out_shardings=shardings)()
    step = jax.jit(
        run.steps(shardings=shardings)[0],
        donate_argnums=0,
        out_shardings=(shardings, parallel.replicated(mesh)),
    )
    start_s = time.monotonic()
    for _ in range(3):
        on_devices = jax.block_until_ready(parallel.put_batch(batch, mesh))
    transfer_s = (time.monotonic() - start_s) / 3
    state, metrics = step(state, on_devices)  # compiles
    jax.block_until_ready(metrics)
    start_s, count = time.monotonic(), 0
    while not count or (count < 50 and time.monotonic() - start_s < seconds):
        state, metrics = step(state, on_devices)
        jax.block_until_ready(metrics)
        count += 1
    return {"transfer": transfer_s, "step": (time.monotonic() - start_s) / count}
