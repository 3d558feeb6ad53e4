"""The server: a page, a JSON interface, and what watches over both.

Nothing of a request becomes a path, and nothing in it is unpickled: a file is the body, is written
to a temporary file under a name of our own, and is decoded by a process of its own (`workers`).
"""

import asyncio
import contextlib
import importlib.resources
import math
import tempfile
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from mclf_jax.evaluation.aggregation import combine
from mclf_jax.evaluation.windows import NOT_FINITE
from mclf_jax.export.bundle import Bundle, right_scores
from mclf_jax.serve import limits as limits_lib
from mclf_jax.serve import openapi
from mclf_jax.serve.batches import Batches
from mclf_jax.serve.counts import Counts
from mclf_jax.serve.limits import Clients, Limits
from mclf_jax.serve.similar import Index, nearest
from mclf_jax.serve.workers import DecodeError, Workers

_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
_SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "media-src blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cache-Control": "no-store",
}
_DRAIN_BYTES, _DRAIN_S = 32 << 20, 2.0


class _Refused(Exception):
    """A request that is not answered, with the HTTP status and a sentence that says why."""

    def __init__(self, status: int, reason: str, **headers: str):
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers


def make_app(
    bundles: Mapping[str, Bundle],
    *,
    limits: Limits | None = None,
    index: Index | None = None,
    token: str = "",
    loopback_only: bool = True,
) -> Starlette:
    """The application, for uvicorn or another server of ASGI.

    Args:
        bundles: by the names that the page shows; the first is asked where none is named.
        limits: of what is taken; `Limits()` when not given.
        index: of songs to find similar ones in, made by the first bundle.
        token: that every request but that of the page has to show; none is asked for without it.
        loopback_only: refuse requests for other names than localhost, see `limits.why_refused`.

    Raises:
        ValueError: a bundle has learnt no labels, or the index is of other embeddings.
    """
    return _Server(
        bundles,
        limits=limits or Limits(),
        index=index,
        token=token,
        loopback_only=loopback_only,
    ).app()


class _Server:
    """Holds the networks, the decoding processes and the counts of one application."""

    def __init__(
        self,
        bundles: Mapping[str, Bundle],
        *,
        limits: Limits,
        index: Index | None,
        token: str,
        loopback_only: bool,
    ):
        if untaught := [name for name, bundle in bundles.items() if not bundle.labels]:
            raise ValueError(f"{untaught[0]} has learnt no labels, so it cannot tag")
        self.bundles, self.limits, self.index = dict(bundles), limits, index
        self.token, self.loopback_only = token, loopback_only
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="device")
        self.batches = {
            name: Batches(bundle, thread=self.thread) for name, bundle in self.bundles.items()
        }
        self.clients = Clients(limits.per_minute)
        self.workers = Workers(
            count=limits.num_workers,
            memory_mb=limits.decode_memory_mb,
            timeout_s=limits.decode_s,
        )
        self.waiting = 0
        self.counts, self.audio_s = Counts(), 0.0
        if index is not None:
            silence = np.zeros(next(iter(self.bundles.values())).window_samples, np.float32)
            width = next(iter(self.batches.values())).compute([silence])["embedding"].shape[1]
            if width != index.directions.shape[1]:
                raise ValueError(
                    f"--index has embeddings of {index.directions.shape[1]} numbers, and the "
                    f"network makes {width}: make it with `mclf embed` of the same network"
                )

    def app(self) -> Starlette:
        """All routes."""
        routes = [
            Route("/api/models", self.guarded(self.models), methods=["GET"]),
            Route("/api/tag", self.guarded(self.tag), methods=["POST"]),
            Route("/api/embed", self.guarded(self.embed), methods=["POST"]),
            Route("/openapi.json", self.guarded(self.describe), methods=["GET"]),
            Route("/metrics", self.guarded(self.metrics), methods=["GET"]),
            Route("/health", self.guarded(self.health, public=True), methods=["GET"]),
        ]
        # The names are those of the package, so that no request can ask for another file.
        folder = importlib.resources.files("mclf_jax.export") / "page"
        for file in folder.iterdir():
            if (suffix := f".{file.name.rpartition('.')[2]}") in _TYPES:
                page = self.guarded(_file(file.read_bytes(), _TYPES[suffix]), public=True)
                routes.append(Route(f"/{file.name}", page, methods=["GET"]))
                if file.name == "index.html":
                    routes.append(Route("/", page, methods=["GET"]))
        refusals: dict[Any, Any] = {HTTPException: self.no_route}
        return Starlette(routes=routes, lifespan=self.lifespan, exception_handlers=refusals)

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """While the server is up: networks are compiled before the first request comes."""
        loop = asyncio.get_running_loop()
        for name, batches in self.batches.items():
            window = np.zeros(self.bundles[name].window_samples, np.float32)
            for size in (1, 2, 4, 8, 16):
                await loop.run_in_executor(self.thread, batches.compute, [window] * size)
        await self.workers.start()
        yield
        for batches in self.batches.values():
            batches.close()
        await self.workers.close()
        self.thread.shutdown()

    def guarded(
        self, answer: Callable[[Request], Awaitable[Response]], *, public: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        """The same for those who may ask, with what every response carries, and counted."""

        async def guarded(request: Request) -> Response:
            start = time.perf_counter()
            try:
                self.check(request, public=public)
                response = await answer(request)
            except _Refused as error:
                headers = dict(error.headers)
                if await _drain(request) == "cut":
                    headers["Connection"] = "close"
                response = JSONResponse(
                    {"error": error.reason}, status_code=error.status, headers=headers
                )
            except ClientDisconnect:
                response = JSONResponse({"error": "the client went away"}, status_code=499)
            except Exception:  # a fault of ours: one request fails, and whoever runs this sees it
                traceback.print_exc()
                response = JSONResponse({"error": "the server failed"}, status_code=500)
            took_s = time.perf_counter() - start
            self.counts.add(request.url.path, response.status_code, took_s=took_s)
            response.headers.update(_SECURITY)
            return response

        return guarded

    def check(self, request: Request, *, public: bool) -> None:
        """Raise `_Refused` unless who asks may, from where, and as often."""
        headers = request.headers
        why = limits_lib.why_refused(
            headers, method=request.method, loopback_only=self.loopback_only
        )
        if why:
            raise _Refused(403, why)
        if self.token and not public and not limits_lib.has_token(headers, self.token):
            raise _Refused(401, "this server asks for its token", **{"WWW-Authenticate": "Bearer"})
        client = request.client.host if request.client else "unknown"
        if request.method == "POST" and (wait_s := self.clients.wait_s(client)):
            seconds = math.ceil(wait_s)
            raise _Refused(
                429,
                f"more than {self.limits.per_minute} songs within a minute; ask again in "
                f"{seconds} s",
                **{"Retry-After": str(seconds)},
            )

    async def no_route(self, request: Request, error: HTTPException) -> Response:
        """What is said where nothing is, or where it is asked in another way."""
        self.counts.add("elsewhere", error.status_code)
        said = {404: "there is nothing here", 405: "this is asked in another way (GET or POST)"}
        content = {"error": said.get(error.status_code, error.detail)}
        headers = {**(error.headers or {}), **_SECURITY}
        return JSONResponse(content, status_code=error.status_code, headers=headers)

    async def models(self, request: Request) -> Response:
        """The networks that there are."""
        found = [
            {
                "name": name,
                "labels": list(bundle.labels),
                "task": bundle.task,
                "thresholds": dict(bundle.thresholds),
                "sample_rate_hz": bundle.sample_rate_hz,
                "window_s": bundle.window_s,
                "hop_s": bundle.window_s / 2,
            }
            for name, bundle in self.bundles.items()
        ]
        limits = {"max_mb": self.limits.max_mb, "max_s": self.limits.max_s}
        return JSONResponse({"models": found, "index": self.index is not None, "limits": limits})

    async def describe(self, request: Request) -> Response:
        """The interface, in the words of OpenAPI."""
        return JSONResponse(openapi.describe(asks_for_token=bool(self.token)))

    async def health(self, request: Request) -> Response:
        """That the server is up."""
        return JSONResponse({"status": "ok"})

    async def tag(self, request: Request) -> Response:
        """Scores of a song, and along it."""
        found = await self.hear(request)
        bundle, name = found["bundle"], found["name"]
        content: dict[str, Any] = {
            "model": name,
            "duration_s": found["duration_s"],
            "scores": dict(zip(bundle.labels, found["scores"].tolist(), strict=True)),
            "thresholds": dict(bundle.thresholds),
            "taggram": {
                "times_s": found["times_s"].tolist(),
                "window_s": found["window_s"],
                "scores": np.round(found["along"], 4).tolist(),
            },
            "notes": found["notes"],
        }
        if self.index is not None and name == next(iter(self.bundles)):
            content["similar"] = nearest(self.index, found["embedding"])
        return JSONResponse(content)

    async def embed(self, request: Request) -> Response:
        """The embedding of a song."""
        found = await self.hear(request)
        embedding = found["embedding"].tolist()
        return JSONResponse({"model": found["name"], "embedding": embedding})

    async def hear(self, request: Request) -> dict[str, Any]:
        """Decode the body of a request and send its windows through a network."""
        name = request.query_params.get("model", next(iter(self.bundles)))
        if name not in self.bundles:
            raise _Refused(404, f"there is no model of this name, but {', '.join(self.bundles)}")
        if self.waiting >= self.limits.max_waiting:
            raise _Refused(
                503, "too many songs are waiting; ask again later", **{"Retry-After": "5"}
            )
        self.waiting += 1
        try:
            with tempfile.NamedTemporaryFile(prefix="mclf-") as file:
                await self.receive(request, file)
                return await self.listen(name, file.name)
        finally:
            self.waiting -= 1

    async def receive(self, request: Request, file: Any) -> None:
        """Write the body to a file, no further than the limits go."""
        most = int(self.limits.max_mb * 1e6)
        kind = request.headers.get("content-type", "")
        if kind.startswith(("multipart/", "application/x-www-form-urlencoded", "application/json")):
            raise _Refused(415, "the body must be the file itself, not a form or JSON around it")
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > most:
            raise _Refused(413, f"the file is larger than {self.limits.max_mb:g} MB")
        size = 0
        try:
            async with asyncio.timeout(self.limits.upload_s):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > most:
                        raise _Refused(413, f"the file is larger than {self.limits.max_mb:g} MB")
                    file.write(chunk)
        except TimeoutError as error:
            raise _Refused(
                408, f"the file did not arrive within {self.limits.upload_s:g} s"
            ) from error
        if not size:
            raise _Refused(400, "the body is empty; it must be an audio file")
        file.flush()

    async def listen(self, name: str, path: str) -> dict[str, Any]:
        """What a network says of a file."""
        bundle, batches = self.bundles[name], self.batches[name]
        asked = {
            "path": path,
            "rate_hz": bundle.sample_rate_hz,
            "window_samples": bundle.window_samples,
            "num_windows": bundle.num_windows,
            "hop_s": bundle.hop_s,
            "taggram_hop_s": bundle.hop_s or bundle.window_s / 2,
            "short": bundle.short,
            "max_s": self.limits.max_s,
        }
        rows: dict[int, Any] = {}
        try:
            async with self.workers.open(asked) as decoded:
                async for start, window in decoded.windows:
                    rows[start] = await batches.submit(window)
                for start, future in rows.items():
                    rows[start] = await future
        except DecodeError as error:
            raise _Refused(422, f"this file cannot be used: {error}") from error
        head = decoded.head
        scored = [rows[start] for start in head["scored"] if start in rows]
        along = [start for start in head["along"] if start in rows]
        if not scored or not along:
            raise _Refused(422, "this file cannot be used: nothing in it can be decoded")
        heard = {key: np.stack([row[key] for row in scored]) for key in scored[0]}
        mean = {
            "scores": combine(heard, bundle.aggregation, task=bundle.task),
            "embedding": heard["embedding"].mean(axis=0, dtype=np.float64),
        }
        scores = np.stack([rows[start]["scores"] for start in along])
        if not all(np.isfinite(values).all() for values in (*mean.values(), scores)):
            raise _Refused(422, f"this file cannot be used: {NOT_FINITE}")
        self.audio_s += head["duration_s"]
        return {
            "name": name,
            "bundle": bundle,
            "duration_s": head["duration_s"],
            "window_s": head["window_s"],
            "notes": head["notes"],
            "scores": right_scores(bundle, mean["scores"].astype(np.float32)),
            "embedding": mean["embedding"].astype(np.float32),
            "times_s": np.array(along) / bundle.sample_rate_hz + head["window_s"] / 2,
            "along": right_scores(bundle, scores),
        }

    async def metrics(self, request: Request) -> Response:
        """Counts in the text format of Prometheus."""
        return PlainTextResponse(
            self.counts.text(
                mclf_waiting_songs=self.waiting,
                mclf_audio_seconds_total=self.audio_s,
                mclf_replaced_decoders_total=self.workers.num_replaced,
                mclf_windows_total=sum(b.num_windows for b in self.batches.values()),
                mclf_batches_total=sum(b.num_batches for b in self.batches.values()),
            )
        )


async def _drain(request: Request) -> str:
    """Take in the rest of a body for a moment: "whole", or "cut" where there is more.

    A client that still sends would not see the answer, and could go on sending for ever.
    """
    left = _DRAIN_BYTES
    try:
        async with asyncio.timeout(_DRAIN_S):
            async for chunk in request.stream():
                left -= len(chunk)
                if left < 0:
                    return "cut"
    except TimeoutError:
        return "cut"
    except (RuntimeError, ClientDisconnect):  # it has been read to its end, or there is nobody
        pass
    return "whole"


def _file(content: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def file(request: Request) -> Response:
        return Response(content, media_type=kind)

    return file
