"""Writes made music as a folder to train on: audio, MIDI, and manifest.csv with labels along time.

python -m mclf_jax.data.made.write DIR --packages DIR/packages --hours 12
"""

import argparse
import concurrent.futures
import multiprocessing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import soundfile

from mclf_jax.common import checks, files
from mclf_jax.common import progress as progress_lib
from mclf_jax.common.text import tables
from mclf_jax.data.made.fonts import choose, find
from mclf_jax.data.made.labels import labels_of
from mclf_jax.data.made.midi import to_midi
from mclf_jax.data.made.render import Player, render, treatment
from mclf_jax.data.made.score import Score, compose

SAMPLE_RATE_HZ = 22050
SONG_S = 12.0
WINDOW_S = 3.0
_HEADER = ("path", "labels", "split", "group", "licence", "start_s", "end_s")
_HELD_OUT = {0: "valid", 10: "test"}  # of twenty songs each


class Song(NamedTuple):
    """What is known of a song without playing it."""

    name: str
    score: Score
    split: str
    licence: str
    rows: list[tuple]  # of the manifest


def describe(*, seed: int, index: int) -> Song:
    """A song and its rows of the manifest, one for each window."""
    score = compose(seed=seed, index=index, song_s=SONG_S, slot_s=WINDOW_S)
    effects = treatment(seed=seed, index=index, sample_rate_hz=SAMPLE_RATE_HZ)[2]
    split, name = _HELD_OUT.get(index % 20, "train"), f"{index:06d}"
    of_fonts = "train" if split == "train" else "valid"
    fonts = [choose(p.font, program=p.program, split=of_fonts)[0] for p in score.parts]
    licence = " and ".join(sorted({font.licence for font in fonts}))
    rows = []
    for window in range(int(SONG_S // WINDOW_S)):
        start_s, end_s = window * WINDOW_S, (window + 1) * WINDOW_S
        labels = labels_of(score, start_s=start_s, end_s=end_s, effects=list(effects))
        if any(label.startswith("program/") for label in labels):  # not what is silent
            rows.append(
                (f"audio/{name}.flac", "|".join(labels), split, name, licence, start_s, end_s)
            )
    return Song(name, score, split, licence, rows)


def write(
    folder: str | Path,
    *,
    packages: str | Path,
    hours: float,
    seed: int = 0,
    processes: int = 1,
    progress: str = "auto",
) -> int:
    """Makes so many hours of music; what is there already is not made again.

    A longer set begins with the shorter one. Valid and test are played by fonts of their own.

    Args:
        folder: where audio/, midi/ and manifest.csv go.
        packages: the unpacked packages of `fonts.FONTS`.
        hours: how much.
        seed: of everything.
        processes: that play at the same time, 0.4 GB each; the files are the same for any number.
        progress: "auto", "on" or "off".

    Returns:
        How many songs there are.

    Raises:
        ValueError: `hours` or `processes` is not allowed.
        FileNotFoundError: a font is missing.
        ImportError: tinysoundfont is.
    """
    checks.positive("hours", hours)
    checks.at_least("processes", processes, 1)
    checks.at_least("seed", seed, 0)
    root, packages = Path(folder), Path(packages)
    find(packages)
    for name in ("audio", "midi"):
        (root / name).mkdir(parents=True, exist_ok=True)
    count = max(1, round(hours * 3600 / SONG_S))
    todo = [i for i in range(count) if not (root / "audio" / f"{i:06d}.flac").exists()]
    bar = progress_lib.bar(total=len(todo), title="made music", unit="song", progress=progress)
    with bar:
        for _ in _each(todo, (root, packages, seed), processes):
            bar.update()
    rows = [_HEADER, *(row for i in range(count) for row in describe(seed=seed, index=i).rows)]
    with (
        files.replacing(root / "manifest.csv") as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        tables.write_rows(file, rows)
    return count


def _each(todo: Sequence[int], given: tuple, processes: int) -> Iterator[None]:
    if processes == 1 or len(todo) < 2:
        if todo:
            _start(*given)
            yield from map(_make, todo)
        return
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(
        processes, mp_context=context, initializer=_start, initargs=given
    ) as pool:
        yield from pool.map(_make, todo, chunksize=8)


_given: dict = {}  # of this process


def _start(root: Path, packages: Path, seed: int) -> None:
    player = Player(find(packages), sample_rate_hz=SAMPLE_RATE_HZ)
    _given.update(root=root, player=player, seed=seed)


def _make(index: int) -> None:
    root, seed = _given["root"], _given["seed"]
    song = describe(seed=seed, index=index)
    of_fonts = "train" if song.split == "train" else "valid"
    audio = render(_given["player"], song.score, seed=seed, index=index, split=of_fonts)
    files_of = (root / "midi" / f"{song.name}.mid", root / "audio" / f"{song.name}.flac")
    with files.replacing(files_of[0]) as partial:
        partial.write_bytes(to_midi(song.score))
    with files.replacing(files_of[1]) as partial:
        soundfile.write(partial, audio, SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m mclf_jax.data.made.write")
    parser.add_argument("folder", help="where audio/, midi/ and manifest.csv go")
    parser.add_argument("--packages", required=True, help="the unpacked packages")
    parser.add_argument("--hours", type=float, default=12.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args(argv)
    count = write(
        given.folder,
        packages=given.packages,
        hours=given.hours,
        seed=given.seed,
        processes=given.processes,
    )
    print(f"{given.folder}: {count} songs")


if __name__ == "__main__":
    main()
