"""A catalogue of generated songs, some of them broken, made by a command that is killed.

    python benchmarks/catalogue.py                                # 5,000 songs, 50 broken, 3 kills
    python benchmarks/catalogue.py --songs 60 --broken 6 --shard 5 --beam     # fewer, on Beam

Songs are tones of a second; the broken ones are empty, cut off or no audio. The network is a small
one that nobody trained. `mclf catalogue` is killed (SIGKILL, to it and all its processes) whenever
another quarter of the shards is there, and started again; then once more without a kill. At the
end every good song is there exactly once, every broken one is listed exactly once, and no shard
that was there at a kill has been written again; else this fails.
"""

import argparse
import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

_RATE_HZ = 8000
_BROKEN = ("empty", "text", "cut")
ROOT = Path(__file__).parent.parent


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=int, default=5000)
    parser.add_argument("--broken", type=int, default=50, help="of them")
    parser.add_argument("--shard", type=int, default=100, help="songs in one")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--beam", nargs="*", help="on Apache Beam, with these options")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), **vars(arguments))
    print(json.dumps(found, indent=1))


def measure(
    folder: Path,
    *,
    songs: int,
    broken: int,
    shard: int,
    kills: int,
    beam: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Make it; times, and what was found.

    Raises:
        AssertionError: a song is missing, or there twice.
    """
    bad = make_songs(folder / "songs", count=songs, num_broken=broken)
    run, out = make_run(folder / "run"), folder / "out"
    command = [sys.executable, "-m", "mclf_jax.cli", "catalogue", run, str(folder / "songs")]
    command += ["--out", str(out), "--songs-per-shard", str(shard)]
    command += [] if beam is None else ["--beam", *beam]
    num_shards, killed, before = -(-songs // shard), [], {}
    for kill in range(kills):
        wait_for = num_shards * (kill + 1) // (kills + 1)
        _start_and_kill(command, out, wait_for=max(wait_for, 1))
        stamps = _stamps(out)
        assert before.items() <= stamps.items(), "a shard was written again"
        before = stamps
        killed.append(len(stamps))
    start = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    wall_s = time.perf_counter() - start
    assert done.returncode == 1, done.stderr  # as always when songs were skipped
    after = _stamps(out)
    assert before.items() <= after.items(), "a shard was written again"
    check(out, folder / "songs", bad=bad)
    start = time.perf_counter()
    assert subprocess.run(command, cwd=ROOT, capture_output=True).returncode == 1
    assert _stamps(out) == after
    return {
        "good": songs - broken,
        "skipped": broken,
        "shards at each kill": killed,
        "seconds of the last start": round(wall_s, 1),
        "songs a second then": round((songs - len(before) * shard) / wall_s, 1),
        "seconds to find all done": round(time.perf_counter() - start, 1),
        "said": done.stdout.splitlines(),
    }


def make_songs(folder: Path, *, count: int, num_broken: int) -> set[str]:
    """Files of a second each; the names of those that are no audio."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    broken = set(rng.choice(count, num_broken, replace=False).tolist())
    times_s, bad = np.arange(_RATE_HZ) / _RATE_HZ, set()
    for number in range(count):
        place = folder / f"{number:05d}.wav"
        sound = 0.3 * np.sin(2 * np.pi * rng.uniform(80, 3000) * times_s)
        soundfile.write(place, sound + 0.02 * rng.standard_normal(len(times_s)), _RATE_HZ)
        if number in broken:
            kind = _BROKEN[len(bad) % len(_BROKEN)]
            whole = place.read_bytes()
            place.write_bytes({"empty": b"", "text": b"no song\n" * 99, "cut": whole[:30]}[kind])
            bad.add(place.name)
    return bad


def make_run(folder: Path) -> str:
    """A run of a small network."""
    sys.path.insert(0, str(ROOT))
    from tests.small_run import write_run

    noise = np.random.default_rng(0).standard_normal((4, 1000)).astype(np.float32) / 10
    return write_run(folder, noise)


def check(out: Path, songs: Path, *, bad: set[str]) -> None:
    """Every good song is there exactly once, every bad one listed exactly once."""
    import pyarrow.parquet as pq

    paths = Counter(
        Path(path).name
        for shard in sorted((out / "songs").glob("shard-*.parquet"))
        for path in pq.read_table(shard, columns=["path"])["path"].to_pylist()
    )
    with (out / "skipped.csv").open(newline="") as file:
        listed = Counter(Path(row["path"]).name for row in csv.DictReader(file))
    names = {path.name for path in songs.iterdir()}
    assert set(paths) == names - bad and set(paths.values()) <= {1}, "songs missing or twice"
    assert set(listed) == bad and set(listed.values()) <= {1}, "broken songs missing or twice"
    assert not list((out / "songs").glob(".*")), "something half-written is left"


def _start_and_kill(command: Sequence[str], out: Path, *, wait_for: int) -> None:
    """Kill a command when so many shards are there."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while len(_stamps(out)) < wait_for:
        assert process.poll() is None, "it ended before it was killed"
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _stamps(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (out / "songs").glob("shard-*.parquet")}


if __name__ == "__main__":
    main()
