"""Windows of all requests go through the network together, by one thread, in few shapes."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from mclf_jax.export.bundle import OUTPUTS, Bundle, make_step

_BATCH_SIZE = 16
# Windows that wait; who sends more waits with them, so that memory is bounded.
_MOST_WAITING = 64


class Batches:
    """A bundle that answers for single windows, which it puts together.

    Args:
        bundle: whose step is compiled when it is first needed.
        thread: that computes; one for all bundles, as there is one device.
    """

    def __init__(self, bundle: Bundle, *, thread: ThreadPoolExecutor):
        self._step, self._weights = make_step(bundle), jax.device_put(bundle.weights)
        self._thread, self._length = thread, bundle.window_samples
        self._waiting: asyncio.Queue[tuple[np.ndarray, asyncio.Future]] = asyncio.Queue(
            _MOST_WAITING
        )
        self._task: asyncio.Task[None] | None = None
        self.num_batches = self.num_windows = 0

    async def submit(self, window: np.ndarray) -> asyncio.Future[dict[str, np.ndarray]]:
        """Of the rows {"scores" [K], "embedding" [D]} of a window, float32 [T]."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        future = asyncio.get_running_loop().create_future()
        await self._waiting.put((window, future))
        return future

    def compute(self, windows: list[np.ndarray]) -> dict[str, np.ndarray]:
        """Rows of at most sixteen windows, in a batch of 1, 2, 4, 8 or 16."""
        size = 1
        while size < len(windows):
            size *= 2
        audio = np.zeros((size, self._length), np.float32)
        audio[: len(windows)] = windows
        rows = np.arange(size, dtype=np.int32)
        batch = {"audio": audio, "index": rows, "row": rows, "valid": np.ones(size, np.float32)}
        found = jax.device_get(self._step(self._weights, batch))
        return {name: found[name][: len(windows)] for name in OUTPUTS if name in found}

    def close(self) -> None:
        """Answer nobody any more."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            taken = [await self._waiting.get()]
            await asyncio.sleep(0)  # those that are ready come along
            while len(taken) < _BATCH_SIZE and not self._waiting.empty():
                taken.append(self._waiting.get_nowait())
            # Of requests that were given up.
            taken = [(window, future) for window, future in taken if not future.done()]
            if not taken:
                continue
            windows = [window for window, _ in taken]
            try:
                found: Mapping[str, Any] = await loop.run_in_executor(
                    self._thread, self.compute, windows
                )
            except Exception as error:  # for those who asked, and the server goes on
                for _, future in taken:
                    if not future.done():
                        future.set_exception(error)
                continue
            self.num_batches += 1
            self.num_windows += len(taken)
            for row, (_, future) in enumerate(taken):
                if not future.done():
                    future.set_result({name: values[row] for name, values in found.items()})
