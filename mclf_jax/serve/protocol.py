"""HTTP of uvicorn that does not wait for ever: it has no limit of its own for heads of requests."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0


class Protocol(H11Protocol):
    """Closes a connection that has not brought a whole head of a request within `head_s`,
    or of the next one within twice that. How long a body takes is up to the application."""

    head_s = HEAD_S
    _seen: Any = None
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.head_s, self._close_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def _close_idle(self) -> None:
        answering = self.cycle is not None and not self.cycle.response_complete
        if not answering and self.cycle is self._seen:  # since the last look
            self.transport.close()
            return
        self._seen = self.cycle
        self._timer = self.loop.call_later(self.head_s, self._close_idle)
