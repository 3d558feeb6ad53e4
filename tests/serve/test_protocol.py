"""Connections that never bring a whole request."""

import asyncio
import contextlib

import pytest

pytest.importorskip("uvicorn")

import uvicorn

from mclf_jax.serve.protocol import Protocol

HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"


class Hasty(Protocol):
    head_s = 0.2


async def app(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


@contextlib.asynccontextmanager
async def listening():
    config = uvicorn.Config(
        app, port=0, http=Hasty, lifespan="off", loop="asyncio", log_config=None
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    yield server.servers[0].sockets[0].getsockname()[1]
    await server.shutdown()


async def answer_to(*pieces: bytes, after_s: float) -> bytes:
    """All that comes back until the connection is closed, of pieces sent one after the other."""
    async with listening() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(after_s)
        found = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        await writer.wait_closed()
        return found


@pytest.mark.parametrize("head", [b"", HEAD], ids=["nothing", "half a head"])
def test_who_never_ends_a_head_is_left(head):
    assert asyncio.run(answer_to(head, after_s=0)) == b""


def test_a_body_may_take_longer():
    found = asyncio.run(answer_to(HEAD + b"\r\n", b"song", after_s=0.5))
    assert found.startswith(b"HTTP/1.1 204")


def test_a_second_head_is_not_waited_for_either():
    found = asyncio.run(answer_to(HEAD + b"\r\nsong", HEAD, after_s=0.05))
    assert found.count(b"HTTP/1.1 204") == 1
