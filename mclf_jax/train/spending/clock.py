"""Where the wall time of training goes: steps, waiting for data, everything else."""

import contextlib
import time
from collections.abc import Iterator

import jax


class Clock:
    """Measures since the last `rates`, and in all, without the time spent in `paused`.

    Attributes:
        trained_s, waited_s: of the whole run up to the last `rates`: wall time, and that part of
            it in which the device waited for data. They begin with those of earlier tries.
        compiled_s: of `trained_s`, in which steps were compiled.
        paused_s: {"evaluation", "checkpoint"}, beside `trained_s`.
        last_wait_s: seconds that the device waited for the last batch.
        last_round_s: since the batch before, without what was paused; None of the first batch.
    """

    def __init__(
        self,
        *,
        trained_s: float = 0.0,
        waited_s: float = 0.0,
        compiled_s: float = 0.0,
        evaluated_s: float = 0.0,
        saved_s: float = 0.0,
    ):
        self.trained_s, self.waited_s, self.compiled_s = trained_s, waited_s, compiled_s
        self.paused_s = {"evaluation": evaluated_s, "checkpoint": saved_s}
        self.last_wait_s = 0.0
        self.last_round_s: float | None = None
        self._came_s: float | None = None
        self._reset()

    def _reset(self) -> None:
        self._start_s = time.monotonic()
        self._waited_s = self._paused_s = 0.0

    @contextlib.contextmanager
    def waiting_for_data(self, last_result: jax.Array | None) -> Iterator[None]:
        """Around fetching a batch; counts if the device had nothing left to do meanwhile.

        Args:
            last_result: of the step that was started last, or None.
        """
        start_s = time.monotonic()
        yield
        now_s = time.monotonic()
        idle = last_result is None or last_result.is_ready()  # pyright: ignore
        self.last_wait_s = now_s - start_s if idle else 0.0
        self._waited_s += self.last_wait_s
        self.last_round_s = None if self._came_s is None else now_s - self._came_s
        self._came_s = now_s

    @contextlib.contextmanager
    def paused(self, what: str = "evaluation") -> Iterator[None]:
        """Around what is not training: "evaluation", or "checkpoint"."""
        start_s = time.monotonic()
        yield
        took_s = time.monotonic() - start_s
        self._paused_s += took_s
        self.paused_s[what] += took_s
        if self._came_s is not None:
            self._came_s += took_s

    @contextlib.contextmanager
    def compiling(self) -> Iterator[None]:
        """Around the first call of a step, which compiles it."""
        start_s = time.monotonic()
        yield
        self.compiled_s += time.monotonic() - start_s

    def rates(self, *, songs: int) -> dict[str, float]:
        """{"songs_per_s", "data_wait"} for the songs trained on since the last call."""
        elapsed_s = max(time.monotonic() - self._start_s - self._paused_s, 1e-9)
        rates = {"songs_per_s": songs / elapsed_s, "data_wait": self._waited_s / elapsed_s}
        self.trained_s += elapsed_s
        self.waited_s += self._waited_s
        self._reset()
        return rates

    def shares(self) -> dict[str, float]:
        """Of all the time of the run up to the last `rates`: {"time_input", "time_step", ...}.

        They add up to 1. What an evaluation or a checkpoint compiles counts as theirs.
        """
        seconds = {
            "input": self.waited_s,
            "step": max(0.0, self.trained_s - self.waited_s - self.compiled_s),
            **self.paused_s,
            "compile": self.compiled_s,
        }
        total_s = max(sum(seconds.values()), 1e-9)
        return {f"time_{name}": value / total_s for name, value in seconds.items()}

    def totals(self) -> dict[str, float]:
        """What a clock begins with that goes on from here."""
        return {
            "trained_s": self.trained_s,
            "waited_s": self.waited_s,
            "compiled_s": self.compiled_s,
            "evaluated_s": self.paused_s["evaluation"],
            "saved_s": self.paused_s["checkpoint"],
        }
