"""`mclf predict` and `embed`: a run used on audio files, and on folders of them."""

import argparse
import contextlib
import itertools
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mclf_jax.cli import flags
from mclf_jax.common import checks, walk

_SHOW_PROGRESS_FROM = 10  # songs
_LONGEST_NAME = 200  # bytes
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
        ),
    )
    _add_songs(predict)
    predict.add_argument(
        "--aggregation",
        help="of the windows of a song: mean, max, median, vote, noisy_or; if not given, as in the "
        "run",
    )
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
    command.set_defaults(aggregation=None, layer=None)


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
        return _write_segments(arguments)
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

    return _for_each_song(arguments, show)


def _write_segments(arguments: argparse.Namespace) -> int:
    """Segments of songs: a table of all, labels of one, or both of each in a folder."""
    from mclf_jax.common import files
    from mclf_jax.metrics import along

    if arguments.threshold is not None:
        checks.within("--threshold", arguments.threshold, 0, 1)
    for name in ("merge_gap_s", "min_segment_s"):
        checks.at_least(f"--{name.replace('_', '-')}", getattr(arguments, name) or 0, 0)
    out = Path(arguments.segments)
    kind = out.suffix.lower() if out.suffix.lower() in (".csv", ".txt") else "folder"
    files.check_place("--segments", out, kind="folder" if kind == "folder" else "file")
    if kind == ".txt" and len(flags.find_audio(arguments.audio)[0]) != 1:
        raise ValueError(
            f"--segments is {out}, a label track of one song: name a .csv file or a folder"
        )
    settings = {
        "thresholds": arguments.threshold,
        "merge_gap_s": arguments.merge_gap_s or 0.0,
        "min_s": arguments.min_segment_s or 0.0,
    }
    found: dict[str, Any] = {}
    taken: set[str] = set()

    def keep(tagger, path):
        segments = tagger.segments(path, **settings)
        found[walk.shown(path)] = segments
        if kind == "folder":
            name = _free_name(path, taken)
            along.write_csv({walk.shown(path): segments}, out / f"{name}.csv")
            along.write_labels(segments, out / f"{name}.txt")

    (out if kind == "folder" else out.parent).mkdir(parents=True, exist_ok=True)
    code = _for_each_song(arguments, keep)
    if kind == ".csv":
        along.write_csv(found, out)
    elif kind == ".txt" and found:
        along.write_labels(next(iter(found.values())), out)
    print(f"{sum(map(len, found.values()))} segments of {len(found)} songs: {out}")
    return code


def _write_table(arguments: argparse.Namespace) -> int:
    """Scores of all songs as a table."""
    from mclf_jax.evaluation import journal as journal_lib

    out = Path(arguments.out)
    journal_lib.check_format(out)

    def write(tagger, journal, paths):
        tags = tagger.tags if tagger.thresholds else None
        journal_lib.write(out, journal.rows(paths), labels=tagger.labels, tags=tags)
        return _write_all_tags(tagger, journal, paths) if arguments.write_tags else []

    return _write_all(arguments, write, hear=lambda tagger: tagger.predict_files)


def _embed(arguments: argparse.Namespace) -> int:
    """Write the embeddings of songs to an .npz of paths and embeddings."""
    from mclf_jax.evaluation import journal as journal_lib

    out = Path(arguments.out)
    if out.suffix != ".npz":
        raise ValueError(f"--out is {out}; it must end in .npz")

    def write(tagger, journal, paths):
        if size := journal_lib.write_embeddings(out, journal.rows(paths)):
            print(f"{len(paths)} embeddings of {size} numbers")
        return []

    return _write_all(arguments, write, hear=lambda tagger: tagger.embed_files)


def _write_all(arguments: argparse.Namespace, write: Callable, *, hear: Callable) -> int:
    """Values of all songs as a file; what is done is kept in a journal beside it.

    Args:
        arguments: of the command.
        write: writes the file, of tagger, journal and paths, and says what it has skipped.
        hear: from the tagger to its function of paths, such as `predict_files`.
    """
    from mclf_jax.common import files, interrupt, progress
    from mclf_jax.evaluation import journal as journal_lib

    out = Path(arguments.out)
    files.check_place("--out", out, kind="file")
    paths, skipped = flags.find_audio(arguments.audio)
    for path, reason in skipped:
        print(f"skipped: {walk.shown(path)}: {reason}", file=sys.stderr)
    paths = list(dict.fromkeys(paths))
    tagger = _load(arguments)
    out.parent.mkdir(parents=True, exist_ok=True)
    place = journal_lib.place(out)
    with (
        files.locked(place, refusal=f"another command is writing {out}: wait until it is done"),
        contextlib.closing(journal_lib.Journal(out, identity=tagger.identity)) as journal,
        progress.bar(total=len(paths), title=arguments.command, unit="song", leave=True) as bar,
        warnings.catch_warnings(record=True) as said,
    ):
        warnings.simplefilter("always", UserWarning)
        stamps = {path: journal_lib.stamp(path) for path in paths if not journal.is_done(path)}
        bar.update(len(paths) - len(stamps))
        bar.unpause()  # the time that is left is reckoned from what is done now
        try:
            for found in hear(tagger)(list(stamps)):
                path = found["path"]
                for note in dict.fromkeys(str(each.message) for each in said):
                    progress.say(f"note: {note}")
                said.clear()
                if error := found.get("error"):
                    skipped.append((path, error.reason))
                    bar.write(f"skipped: {error}", file=sys.stderr)
                else:
                    del found["path"]
                    journal.add(path, stamp=stamps[path], **found)
                bar.update()
        except interrupt.Interrupted as error:
            arguments.goes_on = "yes"
            raise interrupt.Interrupted(f"{error}, and {journal.path} has what is done") from None
        left_out = {path for path, _ in skipped}
        kept = [path for path in paths if path not in left_out]
        skipped += write(tagger, journal, kept)
        listed = journal_lib.write_skipped(out, skipped)
    print(f"{len(kept)} songs ({len(paths) - len(stamps)} of them done before): {out}")
    if skipped:
        print(f"{len(skipped)} skipped: {listed}")
    return 1 if skipped else 0


def _write_all_tags(tagger: Any, journal: Any, paths: Sequence[str]) -> list[tuple[str, str]]:
    """Tags of songs that are done, into their files; (path, reason) of those that stay without."""
    from mclf_jax.audio.decode import AudioError
    from mclf_jax.audio.files.tags import write_tags
    from mclf_jax.common import progress
    from mclf_jax.evaluation.journal import stamp

    skipped, num_written = [], 0
    with progress.bar(total=len(paths), title="tags", unit="song", leave=True) as bar:
        for row in journal.rows(paths):
            path = row["path"]
            scores = dict(zip(tagger.labels, row["scores"], strict=True))
            try:
                if not journal.is_done(path):
                    raise AudioError(path, "tags not written: it has changed since it was heard")
                if write_tags(path, tagger.tags(scores)) == "written":
                    num_written += 1
                    journal.add(**row | {"stamp": stamp(path)})  # it sounds as it did
            except AudioError as error:
                skipped.append((path, error.reason))
                bar.write(f"skipped: {error}", file=sys.stderr)
            bar.update()
    print(f"tags of {num_written} songs written, {len(paths) - num_written - len(skipped)} were so")
    return skipped


def _draw(tagger: Any, path: str, *, folder: str, taken: set[str]) -> dict[str, Path]:
    """Write a song's taggram under a name that is not `taken`; the files by their kind."""
    from mclf_jax.figures.taggram import save_taggram

    name, title = _free_name(path, taken), walk.shown(Path(path).name)
    return save_taggram(tagger.taggram(path), folder, name=name, title=title)


def _free_name(path: str, taken: set[str]) -> str:
    """The name of a song without its ending, or that with a number, if it is among the `taken`."""
    # Songs of several folders may share a name: "intro", "intro_2", ...
    endings = itertools.chain([""], (f"_{i}" for i in itertools.count(2)))
    # A name on disk may have 255 bytes, with the ending of a picture and of its partial file.
    stem = walk.shown(Path(path).stem).encode()[:_LONGEST_NAME].decode(errors="ignore")
    name = next(name for end in endings if (name := stem + end) not in taken)
    taken.add(name)
    return name


def _for_each_song(arguments: argparse.Namespace, function: Callable) -> int:
    """Call `function` on every audio file; a bad one is skipped, and makes the exit code 1."""
    from mclf_jax.audio.decode import AudioError
    from mclf_jax.common import progress

    paths, skipped = flags.find_audio(arguments.audio)
    for path, reason in skipped:
        print(f"skipped: {walk.shown(path)}: {reason}", file=sys.stderr)
    tagger = _load(arguments)
    code = 1 if skipped else 0
    shown = "off" if len(paths) < _SHOW_PROGRESS_FROM else "auto"
    with progress.bar(
        total=len(paths), title=arguments.command, unit="song", progress=shown, leave=True
    ) as bar:
        for path in paths:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always", UserWarning)
                try:
                    function(tagger, path)
                except AudioError as error:
                    code = 1
                    print(f"skipped: {error}", file=sys.stderr)
            for note in dict.fromkeys(str(each.message) for each in said):
                print(f"note: {note}", file=sys.stderr)
            bar.update()
    return code


def _load(arguments: argparse.Namespace) -> Any:
    from mclf_jax.api import load
    from mclf_jax.audio.files import tags

    write_tags = arguments.command == "predict" and arguments.write_tags
    if write_tags:
        tags.check_installed("--write-tags")
    tagger = load(
        arguments.run,
        window_s=arguments.window_s,
        num_windows=arguments.num_windows,
        hop_s=arguments.hop_s,
        aggregation=arguments.aggregation,
        layer=arguments.layer,
    )
    if write_tags and tagger.task == "regression":
        raise ValueError("--write-tags is for tags, and this run predicts numbers; leave it out")
    return tagger
