"""`mclf serve`: a page and a JSON interface for a trained network."""

import argparse
import os
import secrets
import sys
from pathlib import Path
from typing import Any

from mclf_jax.cli import flags
from mclf_jax.common import checks

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def add_commands(commands: Any) -> None:
    """Declare it."""
    command = flags.add_command(
        commands,
        _serve,
        examples=(
            "mclf serve tagger.mclf",
            "mclf serve runs/a runs/b --index embeddings.npz --port 8080",
        ),
    )
    command.add_argument(
        "run", nargs="+", help="run directory or exported file; of two the page shows both"
    )
    command.add_argument("--host", default="127.0.0.1", help="0.0.0.0 for others; asks for a token")
    command.add_argument("--port", type=int, default=8000)
    command.add_argument("--index", help=".npz of `mclf embed`, to find similar songs in")
    command.add_argument(
        "--token-file", metavar="FILE", help="with the token on its first line; else one is made up"
    )
    command.add_argument("--max-mb", type=float, default=100.0, help="of a file")
    command.add_argument("--max-s", type=float, default=1200.0, help="of a song")
    command.add_argument("--per-minute", type=int, default=120, help="songs of one client")
    command.add_argument("--decoders", type=int, default=2, help="songs decoded at a time")


def _serve(arguments: argparse.Namespace) -> None:
    """Show a page on which songs are tagged, and answer programs that ask. For this machine
    alone unless --host says otherwise."""
    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise ImportError(
            f"mclf serve needs {error.name}: pip install 'mclf-jax[serve]'"
        ) from error
    from mclf_jax.export.collect import bundle_of
    from mclf_jax.serve.app import make_app
    from mclf_jax.serve.limits import Limits
    from mclf_jax.serve.protocol import Protocol
    from mclf_jax.serve.similar import read_index

    checks.positive("--max-mb", arguments.max_mb, unit="megabytes")
    checks.positive("--max-s", arguments.max_s, unit="seconds")
    checks.at_least("--per-minute", arguments.per_minute, 1)
    checks.at_least("--decoders", arguments.decoders, 1)
    checks.within("--port", arguments.port, 0, 65535)
    token = _token(arguments)
    bundles = {}
    for path in arguments.run:
        name = Path(path).resolve().name
        if name in bundles:
            raise ValueError(f"two of them are called {name}; the page tells them by their names")
        bundles[name] = bundle_of(path)
    app = make_app(
        bundles,
        limits=Limits(
            max_mb=arguments.max_mb,
            max_s=arguments.max_s,
            per_minute=arguments.per_minute,
            num_workers=arguments.decoders,
        ),
        index=None if arguments.index is None else read_index(arguments.index),
        token=token,
        loopback_only=arguments.host in _LOOPBACK,
    )
    config = uvicorn.Config(
        app,
        host=arguments.host,
        port=arguments.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=512,
        http=Protocol,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=5,
        loop="asyncio",  # others fork, which jax warns of
    )
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    ending = f"#token={token}" if token else ""

    class Server(uvicorn.Server):
        async def startup(self, sockets=None):
            await super().startup(sockets)
            if not self.should_exit:  # where nobody listens, it has been said why
                port = self.servers[0].sockets[0].getsockname()[1]
                print(f"http://{host}:{port}/{ending}", flush=True)
                print("Ctrl-C ends it", file=sys.stderr)

    print("compiling ...", file=sys.stderr)
    Server(config).run()


def _token(arguments: argparse.Namespace) -> str:
    if arguments.token_file is not None:
        token = Path(arguments.token_file).read_text(encoding="utf-8").partition("\n")[0].strip()
        if len(token) < 16:
            raise ValueError(
                f"--token-file is {arguments.token_file}, whose first line has {len(token)} "
                "characters; a token needs 16 or more"
            )
        return token
    if arguments.host in _LOOPBACK:
        return ""
    return os.environ.get("MCLF_TOKEN", "") or secrets.token_urlsafe(24)
