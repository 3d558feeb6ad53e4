"""A pool of decoding processes: each song has one for itself, and what fails is replaced."""

import asyncio
import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any

import numpy as np

from mclf_jax.serve.decoder import every_start

# A process is new after so many songs: libraries that leak do not leak for ever.
_SONGS_EACH = 500


class DecodeError(ValueError):
    """A song that cannot be decoded here, with the reason as a sentence."""


@dataclasses.dataclass(frozen=True)
class Decoded:
    """A song on its way: what is known of it, and its windows as they come.

    Attributes:
        head: see `decoder`.
        windows: (first sample, float32 [T]) of each that could be decoded.
    """

    head: Mapping[str, Any]
    windows: AsyncIterator[tuple[int, np.ndarray]]


class Workers:
    """Decoding processes; `open` lends one of them to a song.

    Args:
        count: songs that are decoded at a time.
        memory_mb: that each may take beside its code.
        timeout_s: for a song.
    """

    def __init__(self, *, count: int, memory_mb: int, timeout_s: float):
        self._memory, self._timeout_s = memory_mb << 20, timeout_s
        self._idle: asyncio.Queue[asyncio.subprocess.Process | None] = asyncio.Queue()
        self._songs: dict[int, int] = {}
        self._ending: set[asyncio.Task[int]] = set()
        self.num_replaced = 0
        for _ in range(count):
            self._idle.put_nowait(None)  # started when it is needed

    @contextlib.asynccontextmanager
    async def open(self, asked: Mapping[str, Any]) -> AsyncIterator[Decoded]:
        """Decode a song.

        Raises:
            DecodeError: it cannot be, or not within the limits.
        """
        process = await self._idle.get()
        whole = False
        try:
            async with asyncio.timeout(self._timeout_s):
                process = process or await self._start()
                process.stdin.write(json.dumps(asked).encode() + b"\n")
                head = json.loads(await process.stdout.readuntil(b"\n"))
                if "error" in head:
                    whole = True
                    raise DecodeError(head["error"])
                windows = self._windows(process, head, 4 * asked["window_samples"])
                yield Decoded(head, windows)
                whole = await anext(windows, None) is None
        except TimeoutError as error:
            raise DecodeError(
                f"it takes longer than {self._timeout_s:g} s to decode and tag"
            ) from error
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise DecodeError(
                "decoding it failed, perhaps for want of the memory that one song may take"
            ) from error
        finally:
            self._give_back(process, whole=whole)

    async def start(self) -> None:
        """Start all of them, so that the first songs need not wait."""
        for _ in range(self._idle.qsize()):
            self._idle.put_nowait(self._idle.get_nowait() or await self._start())

    async def close(self) -> None:
        """End all that are idle."""
        while not self._idle.empty():
            if process := self._idle.get_nowait():
                process.kill()
                await process.wait()
        await asyncio.gather(*self._ending)

    async def _start(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "mclf_jax.serve.decoder",
            str(self._memory),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            limit=1 << 22,
            start_new_session=True,  # Ctrl-C is for the server, which ends them
        )
        self._songs[process.pid] = 0
        return process

    def _give_back(self, process: asyncio.subprocess.Process | None, *, whole: bool) -> None:
        if process is not None:
            self._songs[process.pid] += 1
            if not whole or self._songs[process.pid] >= _SONGS_EACH:
                del self._songs[process.pid]
                self.num_replaced += not whole
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                ending = asyncio.create_task(process.wait())
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)
                process = None
        self._idle.put_nowait(process)

    async def _windows(
        self, process: asyncio.subprocess.Process, head: Mapping[str, Any], num_bytes: int
    ) -> AsyncIterator[tuple[int, np.ndarray]]:
        for start in every_start(head):
            if await process.stdout.readexactly(1) == b"\1":
                samples = await process.stdout.readexactly(num_bytes)
                yield start, np.frombuffer(samples, "<f4")
