"""`mclf serve` and `stream`: a trained network behind a page, and along a sound without end."""

import argparse
import json
import os
import secrets
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from mclf_jax.cli import flags
from mclf_jax.common import checks

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def add_commands(commands: Any) -> None:
    """Declare them."""
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

    stream = flags.add_command(
        commands,
        _stream,
        examples=(
            "mclf stream tagger.mclf --rate 44100 --channels 2 --encoding s16",
            "mclf stream tagger.mclf --microphone --hop-s .5 --format json",
        ),
    )
    stream.add_argument("run", help="run directory, or exported file")
    stream.add_argument("--microphone", action="store_true", help="hear that, not standard input")
    stream.add_argument("--rate", type=int, default=44100, help="of raw samples, in hertz")
    stream.add_argument("--channels", type=int, default=1, help="of raw samples, which take turns")
    stream.add_argument("--encoding", default="s16", choices=("f32", "s16"), help="of raw samples")
    stream.add_argument(
        "--hop-s", type=float, help="seconds between answers; usually half a window"
    )
    stream.add_argument("--smooth-s", type=float, default=0.0, help="seconds to average over")
    stream.add_argument("--top", type=int, default=3, help="labels to show")
    stream.add_argument("--format", default="text", choices=("text", "json"))


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


def _stream(arguments: argparse.Namespace) -> None:
    """Tag what is heard, window by window, as it comes. Standard input holds raw samples, or a WAV
    file, whose header is believed. One window is held, however long it goes on; what happens is in
    an answer after --hop-s and the time of the network, both of which are told."""
    from mclf_jax.api import load
    from mclf_jax.serve import raw
    from mclf_jax.serve.live import Stream, read_microphone

    checks.at_least("--top", arguments.top, 1)
    checks.within("--channels", arguments.channels, 1, 16)
    tagger = load(arguments.run)
    if arguments.microphone:
        rate, late = tagger.bundle.sample_rate_hz, "skip"
        blocks = read_microphone(sample_rate_hz=rate, block_s=raw.BLOCK_S)
    else:
        stdin: Any = sys.stdin.buffer
        form = raw.form_of(
            stdin,
            rate_hz=arguments.rate,
            channels=arguments.channels,
            encoding=arguments.encoding,
        )
        rate, late = form["rate"], "compute"  # who writes to a pipe can wait
        blocks = raw.read_blocks(stdin, form)
    stream = Stream(tagger, sample_rate_hz=rate, hop_s=arguments.hop_s, smooth_s=arguments.smooth_s)
    _say(
        f"windows of {stream.window_s:.3g} s, an answer every {stream.hop_s:.3g} s of sound; "
        f"memory for {stream.window_s:.3g} s"
    )
    took_s: list[float] = []
    try:
        asked = time.monotonic()
        for block in blocks:
            gap_s = time.monotonic() - asked - raw.BLOCK_S
            if block["lost"]:
                _say("some sound was lost: it came faster than it was taken")
            if took_s and gap_s > max(1.0, 2 * stream.hop_s):
                _say(f"no sound came for {gap_s:.1f} s; times go on by what is heard")
            for moment in stream.feed(block["samples"], late=late):
                took_s = [*took_s[-999:], moment.took_s]
                _show(moment, arguments)
            asked = time.monotonic()
        for moment in stream.finish():
            _show(moment, arguments)
    finally:
        if took_s:
            _say(
                f"the network took {1e3 * statistics.median(took_s):.1f} ms for an answer (median)"
                + f", and {stream.num_skipped} answers were skipped to keep up"
                * bool(stream.num_skipped)
            )


def _show(moment: Any, arguments: argparse.Namespace) -> None:
    best = sorted(moment.scores, key=moment.scores.get, reverse=True)[: arguments.top]
    if arguments.format == "json":
        scores = {name: moment.scores[name] for name in best}
        line = json.dumps({"time_s": moment.time_s, "end_s": moment.end_s, "scores": scores})
    else:
        minutes, seconds = divmod(moment.end_s, 60)
        tags = "  ".join(f"{name} {moment.scores[name]:.2f}" for name in best)
        line = f"{minutes:.0f}:{seconds:04.1f}  {tags}"
    print(line, flush=True)


def _say(text: str) -> None:
    print(f"mclf stream: {text}", file=sys.stderr, flush=True)
