"""Steps that waited for their batch, and the stage of the input that made it late."""

import time
from collections.abc import Mapping

from ml_collections import ConfigDict

from mclf_jax.train.spending.stages import advice

_SHARE = 0.1  # of the time of a step; below that a wait is no starvation
_SAY_AFTER_S = 1.0  # of waiting
_SAY_EVERY_S = 300.0


class Starvation:
    """Counts since the last `rates`, and says something from time to time.

    Args:
        config: of the run.
    """

    def __init__(self, config: ConfigDict):
        self._config = config
        self._said_s = -_SAY_EVERY_S
        self.total_steps = self.starved_steps = 0
        # (step, whether it starved, its songs, seconds by stage), of steps that are not logged yet.
        self._steps: list[tuple[int, bool, int, Mapping[str, float]]] = []
        self._forget()

    def _forget(self) -> None:
        self._first = self._last = self._late = self._of = 0
        self._waited_s = self._took_s = 0.0
        self._at_fault: dict[str, float] = {}

    def note(
        self,
        step: int,
        *,
        wait_s: float,
        round_s: float | None,
        seconds: Mapping[str, float],
        songs: int,
    ) -> None:
        """One more step.

        Args:
            step: which.
            wait_s: that the device waited for its batch.
            round_s: from the batch before to this one; None of the first, which always waits.
            seconds: that a thread or process needed for the batch, by stage.
            songs: of the batch, in this process.
        """
        starved = round_s is not None and wait_s > _SHARE * round_s
        self._steps.append((step, starved, songs, seconds))
        if round_s is None:
            return
        self.total_steps += 1
        self._first, self._last = self._first or step, step
        self._of, self._took_s = self._of + 1, self._took_s + round_s
        if starved:
            self.starved_steps += 1
            self._late, self._waited_s = self._late + 1, self._waited_s + wait_s
            for stage, value in seconds.items():
                self._at_fault[stage] = self._at_fault.get(stage, 0.0) + value

    def rates(self, *, last_step: int) -> dict[str, float]:
        """{"starved": share of steps, "input_read_ms": of a song, ...} since the last call.

        Milliseconds are those of one thread or process, of which several work at a time.

        Args:
            last_step: that is logged; later ones are for the next call.
        """
        logged = [one for one in self._steps if one[0] <= last_step]
        self._steps = [one for one in self._steps if one[0] > last_step]
        songs = max(1, sum(one[2] for one in logged))
        found = {"starved": sum(one[1] for one in logged) / max(1, len(logged))}
        for stage in dict.fromkeys(stage for one in logged for stage in one[3]):
            total_s = sum(one[3].get(stage, 0.0) for one in logged)
            found[f"input_{stage}_ms"] = 1000 * total_s / songs
        return found

    def message(self) -> str:
        """Which steps starved by which stage, where it is time to say so; else ""."""
        now_s = time.monotonic()
        if self._waited_s < _SAY_AFTER_S or now_s - self._said_s < _SAY_EVERY_S:
            if not self._late:
                self._forget()
            return ""
        text = (
            f"steps {self._first} to {self._last}: {self._late} of {self._of} waited for input, "
            f"{self._waited_s / self._took_s:.0%} of the time"
        )
        total_s = sum(self._at_fault.values())
        if total_s:
            stage = max(self._at_fault, key=lambda name: self._at_fault[name])
            text += f"; {self._at_fault[stage] / total_s:.0%} of the work on it is {stage}"
            if more := advice(stage, self._config):
                text += f" ({more})"
        self._said_s = now_s
        self._forget()
        return f"{text}; `mclf data speed` measures what helps"
