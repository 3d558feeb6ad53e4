"""What a run spends: the numbers of its log that are not about learning, and its last line."""

import datetime
from collections.abc import Sequence
from typing import Any

from jax.sharding import Mesh

from mclf_jax.data import pipeline
from mclf_jax.data.pipeline import Batch
from mclf_jax.train.progress import Progress
from mclf_jax.train.setup import Training
from mclf_jax.train.spending.clock import Clock
from mclf_jax.train.spending.flops import step_flops, utilisation
from mclf_jax.train.spending.starvation import Starvation

PyTree = Any


class Account:
    """Keeps the clock, counts what steps compute, and knows who is to blame for waiting.

    Args:
        run: of which steps are called.
        progress: of earlier tries.
        mesh: where it runs.
        counted: the jitted step of each stage, as it is to be counted; None counts nothing.

    Attributes:
        clock: see `clock.Clock`.
    """

    def __init__(
        self,
        run: Training,
        *,
        progress: Progress,
        mesh: Mesh,
        counted: Sequence[Any] | None,
    ):
        self.clock = Clock(
            trained_s=progress.trained_s,
            waited_s=progress.waited_s,
            compiled_s=progress.compiled_s,
            evaluated_s=progress.evaluated_s,
            saved_s=progress.saved_s,
        )
        self._starvation = Starvation(run.parts.config)
        self._batch_size = run.parts.config.train.batch_size
        self._mesh, self._counted = mesh, counted
        self._flops: dict[int, float] = {}  # of the steps that were compiled, by stage
        self._stage = 0

    def take_seconds(self, batch: Batch, *, step: int) -> None:
        """Take what `pipeline.timed` has put into a batch, which has just been waited for."""
        self._starvation.note(
            step,
            wait_s=self.clock.last_wait_s,
            round_s=self.clock.last_round_s,
            seconds=dict(zip(pipeline.STAGES, batch.pop("seconds"), strict=True)),
            songs=len(batch["index"]),
        )

    def call(self, step: Any, stage: int, state: PyTree, batch: PyTree) -> tuple[PyTree, PyTree]:
        """A jitted step of training, of which the first call of a stage compiles."""
        self._stage = stage
        if stage in self._flops:
            return step(state, batch)
        with self.clock.compiling():
            self._flops[stage] = 0.0
            if self._counted is not None:
                self._flops[stage] = step_flops(self._counted[stage], state, batch)
            return step(state, batch)

    def values(self, *, num_steps: int, last_step: int) -> dict[str, float]:
        """For the log, of as many steps as were done since the last call, and which was the last.

        "songs_per_s", "data_wait", "songs_per_s_per_device", "model_flops" of a step on all
        devices, "utilisation" where the peak of the device is known; "time_input", "time_step",
        "time_evaluation", "time_checkpoint" and "time_compile", shares of all the time of the run;
        "starved", the share of steps that waited for input, and "input_read_ms" and so on, what a
        song took in one thread or process.
        """
        rates = self.clock.rates(songs=num_steps * self._batch_size)
        rates["songs_per_s_per_device"] = rates["songs_per_s"] / self._mesh.size
        if flops := self._flops.get(self._stage):
            rates["model_flops"] = flops
            rates |= self._utilisation(rates["songs_per_s"])
        return rates | self.clock.shares() | self._starvation.rates(last_step=last_step)

    def message(self) -> str:
        """Of steps that starved, where it is time to say so; else ""."""
        return self._starvation.message()

    def text(self, *, steps: int) -> str:
        """Where the time of a run of so many steps went, in one line."""
        total_s = self.clock.trained_s + sum(self.clock.paused_s.values())
        shares = ", ".join(
            f"{name.removeprefix('time_')} {share:.0%}"
            for name, share in self.clock.shares().items()
        )
        songs_per_s = steps * self._batch_size / max(self.clock.trained_s, 1e-9)
        text = f"{datetime.timedelta(seconds=round(total_s))} in all: {shares}"
        text += f"; {songs_per_s / self._mesh.size:.3g} songs/s on each device"
        if self._starvation.starved_steps:
            starved, of = self._starvation.starved_steps, self._starvation.total_steps
            text += f"; {starved} of the {of} steps since its last start waited for input"
        if flops := self._flops.get(self._stage):
            text += f"; {flops / 1e9:.4g} GFLOP a step"
        if share := self._utilisation(songs_per_s).get("utilisation"):
            kind = self._mesh.devices.flat[0].device_kind
            text += f", {share:.1%} of the peak of {kind} in bfloat16"
        return text

    def _utilisation(self, songs_per_s: float) -> dict[str, float]:
        flops = self._flops.get(self._stage, 0.0)
        devices = list(self._mesh.devices.flat)
        return utilisation(flops * songs_per_s / self._batch_size, devices)
