"""`mclf predict` and `embed`: a run used on audio files, and on folders of them."""

import argparse
import json
from pathlib import Path
from typing import Any

from mclf_jax.cli import flags
from mclf_jax.cli.songs.each import for_each_song, free_name
from mclf_jax.cli.songs.segments import write_segments
from mclf_jax.cli.songs.table import write_all, write_all_tags
from mclf_jax.common import checks, walk

_OF_SEGMENTS = ("threshold", "merge_gap_s", "min_segment_s")


def add_commands(commands: Any) -> None:
    """Declare them."""
    predict = flags.add_command(
        commands,
        _predict,
        examples=(
            "mclf predict runs/mine SONG.mp3 --top 3",
            "mclf predict runs/mine DIR --format json --hop-s 1.5",
            "mclf predict runs/mine DIR --out scores.csv",
            "mclf predict runs/mine SONG.mp3 --segments SONG.txt --hop-s 0.5 --min-segment-s 2",
            "mclf predict runs/mine DIR --write-tags",
            "mclf predict runs/words SONG.mp3 --words 'slow piano, sad, festival drums'",
        ),
    )
    _add_songs(predict)
    predict.add_argument(
        "--aggregation",
        help="of the windows of a song: mean, max, median, vote, noisy_or; if not given, as in the "
        "run",
    )
    flags.add_words(predict)
    predict.add_argument("--top", type=int, help="labels to show (default: 5)")
    predict.add_argument("--format", choices=("text", "json"), help="of them (default: text)")
    predict.add_argument(
        "--taggram",
        metavar="DIR",
        help="write a picture and a table of each song's scores along time, --hop-s apart or half "
        "a window",
    )

    predict.add_argument(
        "--out",
        help="write a row for each song to a table (.csv, .jsonl or .parquet) instead; the same "
        "command goes on where it was interrupted",
    )
    predict.add_argument(
        "--segments",
        metavar="PLACE",
        help="write from when to when each song has which labels: FILE.csv for all songs, FILE.txt "
        "(labels for Audacity) for one, or a folder for both of each song",
    )
    predict.add_argument(
        "--threshold",
        type=float,
        help="of segments (default: the run's, or .5; none for single labels)",
    )
    predict.add_argument(
        "--merge-gap-s", type=float, help="segments of one label that are so near become one"
    )
    predict.add_argument("--min-segment-s", type=float, help="drop shorter ones")
    predict.add_argument(
        "--write-tags",
        action="store_true",
        help="write the tags that a song has by its scores into the file's own metadata, as "
        "MCLF_TAGS; its sound and all else in it stay",
    )

    embed = flags.add_command(
        commands,
        _embed,
        examples=(
            "mclf embed runs/mine DIR --out embeddings.npz",
            "mclf embed runs/clmr A.wav B.flac --out two.npz --layer 7",
        ),
    )
    _add_songs(embed)
    embed.add_argument(
        "--layer",
        help="of the network, by name or by number counted from 1, or all; a wrong one lists them",
    )
    embed.add_argument(
        "--out",
        required=True,
        help="the .npz file to write; the same command goes on where it was interrupted",
    )


def _add_songs(command: argparse.ArgumentParser) -> None:
    """The run, the songs, and how these are cut, see `api.Tagger`: if not given, as in the run."""
    command.add_argument("run", help="run directory, or exported file")
    command.add_argument("audio", nargs="+", help="audio files, or folders of them")
    command.add_argument(
        "--window-s", type=float, help="seconds in a window, for networks that take any length"
    )
    cut = command.add_mutually_exclusive_group()
    cut.add_argument("--num-windows", type=int, help="windows a song, evenly spaced (usually 16)")
    cut.add_argument("--hop-s", type=float, help="or a window every so many seconds")
    command.set_defaults(aggregation=None, layer=None, words=None)


def _predict(arguments: argparse.Namespace) -> int:
    """Tag songs."""
    from mclf_jax.audio.files.tags import write_tags
    from mclf_jax.common import files

    given = [name for name in _OF_SEGMENTS if getattr(arguments, name) is not None]
    if given and arguments.segments is None:
        flag = given[0].replace("_", "-")
        raise ValueError(f"--{flag} is of --segments: say where to write them")
    if arguments.segments is not None:
        for name in ("out", "top", "format", "taggram"):
            if getattr(arguments, name) is not None:
                raise ValueError(f"--segments and --{name} are two ways to tell: leave one out")
        for name in ("num_windows", "aggregation", "write_tags"):
            if getattr(arguments, name):
                flag = name.replace("_", "-")
                raise ValueError(
                    f"--{flag} is of whole songs, and --segments tells of windows, --hop-s apart: "
                    "leave one out"
                )
        return write_segments(arguments)
    if arguments.out is not None:
        for name in ("top", "format", "taggram"):
            if getattr(arguments, name) is not None:
                raise ValueError(
                    f"--{name} is for what is shown, and --out writes the scores of all labels as "
                    "its ending says; leave one of them out"
                )
        return _write_table(arguments)
    arguments.top = 5 if arguments.top is None else arguments.top
    checks.at_least("--top", arguments.top, 1)
    if arguments.taggram is not None:
        files.check_place("--taggram", arguments.taggram, kind="folder")
    taken: set[str] = set()

    def show(tagger, path):
        scores = tagger.predict(path)
        best = sorted(scores, key=scores.get, reverse=True)[: arguments.top]
        drawn = {}
        if arguments.taggram is not None:
            drawn = _draw(tagger, path, folder=arguments.taggram, taken=taken)
        tags = None
        if arguments.write_tags or tagger.thresholds:
            tags = tagger.tags(scores)
        if arguments.format == "json":
            line = {"path": walk.shown(path), "scores": {name: scores[name] for name in best}}
            line |= {} if tags is None else {"tags": tags}
            print(json.dumps(line | {kind: str(file) for kind, file in drawn.items()}))
        else:
            print(walk.shown(path))
            for name in best:
                said = {True: "  yes", False: "  no"}[name in (tags or ())]
                print(f"  {scores[name]:.3f}  {name}{said if tagger.thresholds else ''}")
            for file in drawn.values():
                print(f"  {file}")
            if arguments.write_tags and tags is not None:
                print(f"  tags: {', '.join(tags) or 'none'}")
        if arguments.write_tags and tags is not None:
            write_tags(path, tags)

    return for_each_song(arguments, show)


def _write_table(arguments: argparse.Namespace) -> int:
    """Scores of all songs as a table."""
    from mclf_jax.common import files
    from mclf_jax.evaluation import journal as journal_lib

    out = Path(arguments.out)
    files.check_place("--out", out, kind="file")
    journal_lib.check_format(out)

    def write(tagger, journal, paths):
        tags = tagger.tags if tagger.thresholds else None
        journal_lib.write(out, journal.rows(paths), labels=tagger.labels, tags=tags)
        return write_all_tags(tagger, journal, paths) if arguments.write_tags else []

    return write_all(arguments, write, hear=lambda tagger: tagger.predict_files)


def _embed(arguments: argparse.Namespace) -> int:
    """Write the embeddings of songs to an .npz of paths and embeddings."""
    from mclf_jax.common import files
    from mclf_jax.evaluation import journal as journal_lib

    out = Path(arguments.out)
    if out.suffix != ".npz":
        raise ValueError(f"--out is {out}; it must end in .npz")
    files.check_place("--out", out, kind="file")

    def write(tagger, journal, paths):
        if size := journal_lib.write_embeddings(out, journal.rows(paths)):
            print(f"{len(paths)} embeddings of {size} numbers")
        return []

    return write_all(arguments, write, hear=lambda tagger: tagger.embed_files)


def _draw(tagger: Any, path: str, *, folder: str, taken: set[str]) -> dict[str, Path]:
    """Write a song's taggram under a name that is not `taken`; the files by their kind."""
    from mclf_jax.figures.taggram import save_taggram

    name, title = free_name(path, taken), walk.shown(Path(path).name)
    return save_taggram(tagger.taggram(path), folder, name=name, title=title)
