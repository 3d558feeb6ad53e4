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
    """

    def __init__(self, *, trained_s: float = 0.0, waited_s: float = 0.0):
        self.trained_s, self.waited_s = trained_s, waited_s
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
        if last_result is None or last_result.is_ready():  # pyright: ignore
            self._waited_s += time.monotonic() - start_s

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Around what is not training: validation, checkpoints."""
        start_s = time.monotonic()
        yield
        self._paused_s += time.monotonic() - start_s

    def rates(self, *, songs: int) -> dict[str, float]:
        """{"songs_per_s", "data_wait"} for the songs trained on since the last call."""
        elapsed_s = max(time.monotonic() - self._start_s - self._paused_s, 1e-9)
        rates = {"songs_per_s": songs / elapsed_s, "data_wait": self._waited_s / elapsed_s}
        self.trained_s += elapsed_s
        self.waited_s += self._waited_s
        self._reset()
        return rates
