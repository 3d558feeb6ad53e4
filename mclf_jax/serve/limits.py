"""What a server takes from whom: how much, how long, how often, and from which pages."""

import dataclasses
import hmac
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from urllib.parse import urlsplit

_MOST_CLIENTS = 10_000
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclasses.dataclass(frozen=True)
class Limits:
    """Settings of a server.

    Attributes:
        max_mb: of a file.
        max_s: of a song.
        upload_s: for a file to arrive.
        decode_s: to decode and tag a song.
        decode_memory_mb: of a decoding process, beside its code.
        num_workers: songs that are decoded at a time.
        max_waiting: requests that wait for one of them; more are told to come later.
        per_minute: requests of one client.
    """

    max_mb: float = 100.0
    max_s: float = 1200.0
    upload_s: float = 60.0
    decode_s: float = 120.0
    decode_memory_mb: int = 1024
    num_workers: int = 2
    max_waiting: int = 256
    per_minute: int = 120


class Clients:
    """Counts the requests of each client within a minute."""

    def __init__(self, per_minute: int):
        self._most = per_minute
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, client: str) -> float:
        """Seconds until this client may ask again; 0 if now, and then it is counted."""
        now = time.monotonic()
        asked = self._seen.setdefault(client, deque())
        self._seen.move_to_end(client)
        if len(self._seen) > _MOST_CLIENTS:
            self._seen.popitem(last=False)
        while asked and asked[0] < now - 60:
            asked.popleft()
        if len(asked) >= self._most:
            return asked[0] + 60 - now
        asked.append(now)
        return 0.0


def why_refused(headers: Mapping[str, str], *, method: str, loopback_only: bool) -> str:
    """Why a request may be that of a page of somebody else; "" if it is not.

    A page that a user of this machine looks at can have its browser ask servers on this machine,
    under a name that it has made point here: those names, and its origin, give it away.
    """
    host = headers.get("host", "")
    if loopback_only and _hostname(f"//{host}") not in LOOPBACK:
        return f"this server is asked as localhost, not as {host!r}"
    origin = headers.get("origin")
    if method == "POST" and origin and origin.partition("://")[2] != host:
        return f"pages of {origin!r} may not ask this server"
    return ""


def has_token(headers: Mapping[str, str], token: str) -> bool:
    """Whether a request shows the token, compared in a time that tells nothing of it."""
    given = headers.get("authorization", "")
    return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
