"""`mclf serve` under load and under attack: right answers, latency, memory, and that it lives.

    python benchmarks/serving.py runs/quickstart DIR_OF_SONGS
    python benchmarks/serving.py runs/quickstart DIR_OF_SONGS --parts load hostile --requests 50

The server is a process of its own, as a user starts it; its memory is that of it and its decoders.
The answers to good songs are compared with those of `Tagger.predict`. Exit code 1 if one is wrong,
an attack is not refused, or the server does not answer afterwards.
"""

import argparse
import asyncio
import contextlib
import io
import os
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import numpy as np
import soundfile

PARTS = ("load", "fuzz", "hostile", "slow")
CLIP_S = 6.0
TOLERANCE = 1e-5
FORMATS = ("wav", "flac", "ogg", "mp3")
BOUNDARY = "edge"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="run directory or exported file")
    parser.add_argument("songs", help="folder of audio files, of which some are taken")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--requests", type=int, default=200, help="at a time; a tenth are bad")
    parser.add_argument("--fuzzed", type=int, default=1000, help="damaged files")
    parser.add_argument("--slow", type=int, default=100, help="clients that never finish")
    parser.add_argument("--slow-s", type=float, default=75.0, help="how long they are watched")
    arguments = parser.parse_args(argv)

    clips = clips_of(Path(arguments.songs), count=20)
    failures: list[str] = []
    with served(arguments.run) as server:
        print(f"memory at the start: {server.memory_mib():.0f} MiB", flush=True)
        for part in arguments.parts:
            start = time.perf_counter()
            failures += asyncio.run(globals()[part](server, clips, arguments))
            said = asyncio.run(server.is_alive())
            failures += [] if said else [f"{part}: the server does not answer any more"]
            print(
                f"  {time.perf_counter() - start:.1f} s; memory {server.memory_mib():.0f} MiB, "
                f"peak {server.peak_mib:.0f} MiB",
                flush=True,
            )
    for failure in failures:
        print(f"WRONG: {failure}")
    return 1 if failures else 0


class Server:
    """A running `mclf serve`, and the memory that it and its decoders take."""

    def __init__(self, process: subprocess.Popen, url: str):
        self.process, self.url, self.peak_mib = process, url.rstrip("/"), 0.0

    def memory_mib(self) -> float:
        """Resident now, of all its processes; code that they share counts for each."""
        pids, pages = [self.process.pid], 0
        for pid in pids:
            with contextlib.suppress(OSError):
                for thread in Path(f"/proc/{pid}/task").iterdir():
                    pids += map(int, (thread / "children").read_text().split())
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        found = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        self.peak_mib = max(self.peak_mib, found)
        return found

    async def watch(self) -> None:
        """Keep `peak_mib` true until cancelled."""
        while True:
            self.memory_mib()
            await asyncio.sleep(0.1)

    async def is_alive(self) -> bool:
        try:
            async with httpx.AsyncClient(base_url=self.url, timeout=30) as client:
                return (await client.get("/health")).status_code == 200
        except httpx.HTTPError:
            return False


@contextlib.contextmanager
def served(run: str) -> Iterator[Server]:
    words = ["serve", run, "--port", "0", "--per-minute", "1000000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mclf_jax", *words], stdout=subprocess.PIPE, text=True
    )
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError(f"mclf {' '.join(words)} failed")
        server = Server(process, url)
        deadline = time.monotonic() + 300  # its networks are compiled first
        while not asyncio.run(server.is_alive()):
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError("the server does not answer")
            time.sleep(0.5)
        yield server
    finally:
        start = time.perf_counter()
        process.terminate()
        process.wait(60)
        print(f"SIGTERM: exit {process.returncode} after {time.perf_counter() - start:.1f} s")


def clips_of(folder: Path, *, count: int) -> list[bytes]:
    """The first seconds of some songs of a folder, as files of several formats in turn."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".wav", ".ogg", ".mp3"))
    clips = []
    for number, path in enumerate(paths[:: max(1, len(paths) // count)][:count]):
        with soundfile.SoundFile(path) as file:
            audio = file.read(int(CLIP_S * file.samplerate))
            content = io.BytesIO()
            kind = FORMATS[number % len(FORMATS)]
            soundfile.write(content, audio, file.samplerate, format=kind)
        clips.append(content.getvalue())
    return clips


async def post(
    client: httpx.AsyncClient, content: bytes, *, seen: Counter
) -> tuple[httpx.Response, float]:
    """The answer, and the seconds to it; asked again where the server is too busy.

    All answers are counted in `seen` by their status, also "closed" where there is none.
    """
    start = time.perf_counter()
    for _ in range(100):
        try:
            response = await client.post("/api/tag", content=content)
        except httpx.TransportError:
            seen["closed"] += 1
            response = httpx.Response(503)
        else:
            seen[response.status_code] += 1
        if response.status_code != 503:
            break
        await asyncio.sleep(float(response.headers.get("retry-after", 1)))
    return response, time.perf_counter() - start


def connected(server: Server) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=400)
    return httpx.AsyncClient(base_url=server.url, timeout=300, limits=limits)


async def load(server: Server, clips: list[bytes], arguments: argparse.Namespace) -> list[str]:
    """Many requests at a time, a tenth of them bad, and the same songs one after the other."""
    from mclf_jax.api import load as load_tagger

    tagger = load_tagger(arguments.run)
    expected = [tagger.predict(clip) for clip in clips]  # compiles, too
    bad = (b"", b"no audio at all", b"RIFF" + bytes(200), clips[0][:30])
    order = [None if n % 10 == 9 else n % len(clips) for n in range(arguments.requests)]
    start = time.perf_counter()
    for number in order:
        if number is not None:
            tagger.predict(clips[number])
    alone_s = time.perf_counter() - start

    watch, seen = asyncio.create_task(server.watch()), Counter()
    start = time.perf_counter()
    async with connected(server) as client:
        bodies = [bad[n // 10 % 4] if i is None else clips[i] for n, i in enumerate(order)]
        answers = await asyncio.gather(*(post(client, body, seen=seen) for body in bodies))
        took_s = time.perf_counter() - start
        counts = (await client.get("/metrics")).text
    watch.cancel()

    wrong, greatest = [], 0.0
    if seen["closed"]:
        wrong.append(f"load: {seen['closed']} requests were cut off without an answer")
    for index, (response, _) in zip(order, answers, strict=True):
        if index is None:
            if response.status_code not in (400, 422):
                wrong.append(f"load: a bad file got {response.status_code}")
        elif response.status_code != 200:
            wrong.append(f"load: a good file got {response.status_code}: {response.text}")
        else:
            scores = response.json()["scores"]
            off = max(abs(scores[label] - score) for label, score in expected[index].items())
            greatest = max(greatest, off)
    if greatest > TOLERANCE:
        wrong.append(f"load: scores differ from Tagger.predict by {greatest:.1e}")
    good = len(order) - order.count(None)
    waits = [seconds for i, (_, seconds) in zip(order, answers, strict=True) if i is not None]
    median, late = np.percentile(waits, [50, 95])
    print(f"load: {len(order)} requests at a time, {order.count(None)} bad")
    print(f"  answers by status, those that were asked again too: {dict(seen)}")
    print(f"  scores differ from Tagger.predict by {greatest:.1e} at most")
    print(f"  latency: median {median:.2f} s, 95% {late:.2f} s")
    print(f"  songs a second: {good / took_s:.1f}; Tagger.predict one by one {good / alone_s:.1f}")
    for line in counts.splitlines():
        if line.startswith(("mclf_windows", "mclf_batches")):
            print(f"  {line}")
    return wrong


def damaged(clip: bytes, rng: np.random.Generator) -> bytes:
    """A file with some bytes changed, cut off, taken out or repeated."""
    content = bytearray(clip)
    for _ in range(rng.integers(1, 4)):
        at, kind = int(rng.integers(len(content))), rng.integers(5)
        head = int(rng.integers(min(100, len(content))))
        if kind == 0:
            content[head] = int(rng.integers(256))
        elif kind == 1:
            content[at : at + 64] = rng.bytes(64)
        elif kind == 2:
            del content[max(1, at) :]
        elif kind == 3:
            del content[at : at + int(rng.integers(1, 5000))]
        else:
            content[head : head + 4] = b"\xff\xff\xff\x7f"
        content = content or bytearray(b"\0")
    return bytes(content)


async def fuzz(server: Server, clips: list[bytes], arguments: argparse.Namespace) -> list[str]:
    """Damaged files: each is answered or refused."""
    rng, wrong, seen = np.random.default_rng(0), [], Counter()
    bodies = [damaged(clips[n % len(clips)], rng) for n in range(arguments.fuzzed)]
    reasons: Counter[str] = Counter()
    watch, gate = asyncio.create_task(server.watch()), asyncio.Semaphore(16)

    async def one(client, number):
        async with gate:
            response, _ = await post(client, bodies[number], seen=seen)
        if response.status_code not in (200, 422):
            wrong.append(f"fuzz: file {number} got {response.status_code}: {response.text[:200]}")
        elif response.status_code == 422:
            reasons[response.json()["error"][:70]] += 1

    async with connected(server) as client:
        await asyncio.gather(*(one(client, number) for number in range(len(bodies))))
    watch.cancel()
    if seen["closed"]:
        wrong.append(f"fuzz: {seen['closed']} requests were cut off without an answer")
    print(f"fuzz: {len(bodies)} damaged files: {dict(seen)}")
    for reason, count in reasons.most_common(6):
        print(f"  {count} x {reason}")
    return wrong


def hours_of_silence(hours: float, *, rate_hz: int = 8000) -> bytes:
    """A FLAC of a few hundred kilobytes that is gigabytes when it is decoded."""
    content, block = io.BytesIO(), np.zeros(rate_hz * 60, np.int16)
    with soundfile.SoundFile(content, "w", rate_hz, 1, format="FLAC") as file:
        for _ in range(round(hours * 60)):
            file.write(block)
    return content.getvalue()


def zip_bomb() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("song.wav", bytes(200 << 20))
    return content.getvalue()


def long_header(clip_s: float = 1.0) -> bytes:
    """A WAV whose header promises hours that are not there."""
    content = io.BytesIO()
    soundfile.write(content, np.zeros(int(8000 * clip_s)), 8000, format="WAV")
    made = bytearray(content.getvalue())
    made[4:8] = made[40:44] = (0x7FFFFFF0).to_bytes(4, "little")
    return bytes(made)


def form(name: str, content: bytes) -> dict:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    body = head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    kind = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    return {"content": body, "headers": kind}


async def hostile(server: Server, clips: list[bytes], arguments: argparse.Namespace) -> list[str]:
    """What is made to fill memory or disk, or to reach what it should not."""

    async def endless():
        while True:
            yield bytes(1 << 20)

    tag, wrong = "/api/tag", []
    flac = hours_of_silence(10)
    cases = {
        "zip bomb": ("POST", tag, {"content": zip_bomb()}),
        f"10 h of silence in {len(flac) >> 10} KiB": ("POST", tag, {"content": flac}),
        "body without end": ("POST", tag, {"content": endless()}),
        "length of a terabyte": (
            "POST",
            tag,
            {"content": endless(), "headers": {"content-length": str(10**12)}},
        ),
        "page of somebody else": (
            "POST",
            tag,
            {"content": clips[0], "headers": {"origin": "http://evil.example"}},
        ),
        "origin that is none": (
            "POST",
            tag,
            {"content": clips[0], "headers": {"origin": "http://["}},
        ),
        "another host": ("POST", tag, {"content": clips[0], "headers": {"host": "evil.example"}}),
        "GET of a POST": ("GET", tag, {}),
        "model ../..": ("POST", f"{tag}?model=../../etc/passwd", {"content": clips[0]}),
        "GET /..%2f": ("GET", "/page/..%2f..%2f..%2fetc/passwd", {}),
        "GET /%2e%2e": ("GET", "/%2e%2e/%2e%2e/etc/passwd", {}),
        "pickle": ("POST", tag, {"content": b"cos\nsystem\n(S'false'\ntR."}),
    }
    may_pass = {
        "WAV that promises hours": ("POST", tag, {"content": long_header()}),
        "form with ../ in its name": ("POST", tag, form("../../../tmp/x.wav", clips[0])),
        "form with a zero byte": ("POST", tag, form("a\0b.wav", clips[0])),
    }
    watch = asyncio.create_task(server.watch())
    print("hostile:")
    for name, (method, path, more) in {**cases, **may_pass}.items():
        start = time.perf_counter()
        async with connected(server) as client:
            try:
                response = await client.request(method, path, **more)
                status, said = response.status_code, response.text[:110]
            except httpx.HTTPError as error:
                status, said = 0, f"closed ({type(error).__name__})"
        took_s = time.perf_counter() - start
        print(f"  {name}: {status or '-'} in {took_s:.1f} s: {said}", flush=True)
        fine = status == 0 or 400 <= status < 500 or (status == 200 and name in may_pass)
        if not fine or "root:" in said:
            wrong.append(f"hostile: {name} got {status}: {said}")
    watch.cancel()
    return wrong


async def slow(server: Server, clips: list[bytes], arguments: argparse.Namespace) -> list[str]:
    """Clients that begin a request and never end it, while others want to be served."""
    host, port = server.url.removeprefix("http://").rsplit(":", 1)
    watch, wrong = asyncio.create_task(server.watch()), []
    heads = {
        "header": b"POST /api/tag HTTP/1.1\r\nHost: localhost\r\nX-A: ",
        "body": b"POST /api/tag HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nRIFF",
        "nothing": b"",
    }
    closed: Counter[str] = Counter()

    async def one(kind):
        reader, writer = await asyncio.open_connection(host, int(port))
        with contextlib.suppress(OSError):
            writer.write(heads[kind])
            await writer.drain()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(), arguments.slow_s)
                closed[kind] += 1
        writer.close()

    kinds = [list(heads)[n % 3] for n in range(arguments.slow)]
    tasks = [asyncio.create_task(one(kind)) for kind in kinds]
    await asyncio.sleep(2)
    async with connected(server) as client:
        try:
            response = await asyncio.wait_for(client.post("/api/tag", content=clips[0]), 60)
            status = response.status_code
        except (TimeoutError, httpx.HTTPError):
            status = 0
    if status != 200:
        wrong.append(f"slow: beside {arguments.slow} slow clients a good one got {status or '-'}")
    await asyncio.gather(*tasks)
    watch.cancel()
    print(f"slow: {arguments.slow} clients that never finish; beside them a good one got {status}")
    asked = Counter(kinds)
    for kind in heads:
        print(f"  {kind}: {closed[kind]} of {asked[kind]} ended within {arguments.slow_s:g} s")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
