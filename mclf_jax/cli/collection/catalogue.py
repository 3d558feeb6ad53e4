"""`mclf catalogue`, `similar` and `search`: very many songs heard once, and questions to them."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mclf_jax.cli import flags
from mclf_jax.common import walk

_HOW = ("window_s", "num_windows", "hop_s", "aggregation", "layer")


def add_commands(commands: Any) -> None:
    """Declare them."""
    catalogue = flags.add_command(
        commands,
        _catalogue,
        examples=(
            "mclf catalogue runs/mine SONGS --out songs.catalogue",
            "mclf catalogue runs/mine --list paths.txt --out songs.catalogue --beam",
            "mclf catalogue runs/mine --list paths.txt --out DIR --beam runner=FlinkRunner",
        ),
        goes_on="yes",
    )
    catalogue.add_argument("run", help="run directory, or exported file")
    catalogue.add_argument("audio", nargs="*", help="audio files, or folders of them")
    catalogue.add_argument(
        "--list", metavar="FILE", help="or a text file with a path a line, on disk or gs://, s3://"
    )
    catalogue.add_argument("--out", required=True, help="the folder of the catalogue")
    catalogue.add_argument(
        "--beam",
        nargs="*",
        metavar="OPTION",
        help="run on Apache Beam, with its own options if any, such as runner=FlinkRunner",
    )
    catalogue.add_argument(
        "--songs-per-shard", type=int, help="what a stop may lose (default: 1000)"
    )
    catalogue.add_argument(
        "--retries", type=int, default=2, help="of a song that cannot be heard, before it is listed"
    )
    catalogue.add_argument(
        "--window-s", type=float, help="seconds in a window, for networks that take any length"
    )
    cut = catalogue.add_mutually_exclusive_group()
    cut.add_argument("--num-windows", type=int, help="windows a song, evenly spaced (usually 16)")
    cut.add_argument("--hop-s", type=float, help="or a window every so many seconds")
    catalogue.add_argument("--aggregation", help="of the windows of a song, as in mclf predict")
    catalogue.add_argument("--layer", help="that the embedding is of, as in mclf embed")

    similar = flags.add_command(
        commands,
        _similar,
        examples=(
            "mclf similar songs.catalogue SONG.mp3",
            "mclf similar songs.catalogue rock/17.mp3 --count 50 --format json",
        ),
    )
    similar.add_argument("catalogue", help="folder that mclf catalogue made")
    similar.add_argument(
        "song", help="one of it, by its path or the end of that, or any audio file"
    )
    similar.add_argument("--model", help="where its run is now, if it has moved")
    _add_output(similar, count=10)

    search = flags.add_command(
        commands,
        _search,
        examples=(
            'mclf search songs.catalogue --tags "rock,not vocals"',
            'mclf search songs.catalogue --words "slow piano, not sad"',
        ),
    )
    search.add_argument("catalogue", help="folder that mclf catalogue made")
    asked = search.add_mutually_exclusive_group(required=True)
    asked.add_argument("--tags", help='such as "rock,not vocals"')
    asked.add_argument(
        "--words",
        help='any, such as "slow piano, not sad", if its run was trained beside words (--config '
        "words)",
    )
    search.add_argument("--model", help="where its run is now, if it has moved; for --words")
    _add_output(search, count=20)


def _add_output(command: argparse.ArgumentParser, *, count: int) -> None:
    command.add_argument("--count", type=int, default=count, help="songs to name")
    command.add_argument("--format", default="text", choices=("text", "json"))


def _catalogue(arguments: argparse.Namespace) -> int:
    """Hear very many songs once: scores and embeddings as Parquet, for mclf similar and search."""
    from mclf_jax.catalogue.build import build

    paths, skipped = _songs(arguments)
    for path, reason in skipped:
        print(f"skipped: {walk.shown(path)}: {reason}", file=sys.stderr)
    made = build(
        arguments.run,
        paths,
        out=arguments.out,
        beam=None if arguments.beam is None else [f"--{o.lstrip('-')}" for o in arguments.beam],
        songs_per_shard=arguments.songs_per_shard,
        retries=arguments.retries,
        **{name: getattr(arguments, name) for name in _HOW},
    )
    print(f"{made['songs']} songs ({made['done_before']} of them done before): {arguments.out}")
    if made["skipped"]:
        print(f"{len(made['skipped'])} skipped: {made['skipped_list']}")
    return 1 if made["skipped"] or skipped else 0


def _songs(arguments: argparse.Namespace) -> tuple[list[str], list[tuple[str, str]]]:
    """Paths of what is to be heard, and (path, reason) of what is none."""
    if bool(arguments.audio) == bool(arguments.list):
        got = "both" if arguments.list else "neither"
        raise ValueError(f"say which songs by audio files and folders or by --list; got {got}")
    if arguments.list is None:
        return flags.find_audio(arguments.audio)
    text = Path(arguments.list).read_text(encoding="utf-8-sig", errors="surrogateescape")
    paths = [line for line in text.split("\n") if line.strip()]
    if not paths:
        raise ValueError(f"--list is {arguments.list}, which names no songs")
    return paths, []


def _similar(arguments: argparse.Namespace) -> int:
    """Songs of a catalogue that sound like a song, the most similar first."""
    from mclf_jax.catalogue.ask import similar

    found = similar(
        arguments.catalogue, arguments.song, count=arguments.count, model=arguments.model
    )
    how = {"exact": "compared with all", "usearch": "approximate, by usearch"}[found["method"]]
    return _show(arguments, found, head=f"of {found['of']} songs ({how}):")


def _search(arguments: argparse.Namespace) -> int:
    """Songs of a catalogue that have tags or words and not others, the most certain first."""
    from mclf_jax.catalogue.ask import search

    found = search(
        arguments.catalogue,
        arguments.tags,
        words=arguments.words,
        count=arguments.count,
        model=arguments.model,
    )

    def more(song: Mapping[str, Any]) -> str:
        return "  " + ", ".join(f"{name} {score:.3f}" for name, score in song["scores"].items())

    return _show(arguments, found, head=f"{found['found']} of {found['of']} songs:", more=more)


def _show(
    arguments: argparse.Namespace,
    found: Mapping[str, Any],
    *,
    head: str,
    more: Callable[[Mapping[str, Any]], str] = lambda song: "",
) -> int:
    if arguments.format == "json":
        print(json.dumps(found, ensure_ascii=False))
        return 0
    print(head)
    for song in found["songs"]:
        print(f"  {song['score']:.3f}  {song['path']}{more(song)}")
    return 0
