"""`mclf data ...`: what there is, preparing it, checking it, hearing it, and whose labels agree."""

import argparse
from pathlib import Path
from typing import Any

from mclf_jax.cli import flags

_DEFAULT_RATE_HZ = 22050


def add_commands(commands: Any) -> None:
    """Declare `data` and its subcommands."""
    about = "Public data sets and your own: list, prepare, check, listen."
    data = commands.add_parser("data", help=about, description=about)
    subcommands = data.add_subparsers(dest="subcommand", required=True)

    listing = flags.add_command(
        subcommands, _list, examples=("mclf data list", "mclf data list gtzan")
    )
    listing.add_argument("name", nargs="?", help="of one of them, to see all that is known of it")

    prepare = flags.add_command(
        subcommands,
        _prepare,
        examples=(
            "mclf data prepare gtzan --from DIR --out prepared",
            "mclf data prepare folder --from SONGS --out prepared --encoding flac",
        ),
        goes_on="yes",
    )
    prepare.add_argument("name", help="of the data set (`mclf data list`), or folder: your own")
    prepare.add_argument("--from", dest="path", required=True, help="where it is on disk")
    prepare.add_argument("--out", required=True, help="directory of prepared data sets")
    prepare.add_argument("--sample-rate-hz", type=int, default=_DEFAULT_RATE_HZ)
    prepare.add_argument(
        "--encoding", default="int16", help="int16, the fastest to read, or flac, half the size"
    )
    prepare.add_argument("--max-duration-s", type=float, help="cut longer items there")
    prepare.add_argument(
        "--fractions", nargs=3, type=float, metavar="F", help="of splits that are made: .7 .15 .15"
    )
    prepare.add_argument("--version", help="of what is written, such as 1.1.0")
    prepare.add_argument("--workers", type=int, help="threads that decode; one for each core")
    prepare.add_argument(
        "--beam",
        nargs="*",
        metavar="OPTION",
        help="run on Apache Beam, with its own options if any, such as runner=FlinkRunner",
    )
    flags.add_reader_options(prepare)

    split = flags.add_command(
        subcommands,
        _split,
        examples=("mclf data split SONGS", "mclf data split SONGS --fractions .8 .1 .1 --seed 1"),
    )
    split.add_argument("path", help="folder of songs")
    split.add_argument(
        "--fractions", nargs=3, type=float, metavar="F", help="of train, valid, test: .7 .15 .15"
    )
    split.add_argument("--rule", default="hash", help="hash, or dealt: labels in proportion")
    split.add_argument("--seed", type=int, default=0, help="of the hash, or of the order")
    flags.add_reader_options(split)

    check = flags.add_command(
        subcommands,
        _check,
        examples=("mclf data check prepared", "mclf data check SONGS --out check.html"),
    )
    check.add_argument("path", help="a prepared data set, or where one is on disk")
    check.add_argument("--name", help="of the data set, if it is not prepared; default: folder")
    check.add_argument("--out", metavar="PAGE", help="write a page with pictures too")
    check.add_argument("--format", default="text", choices=("text", "json"))
    check.add_argument(
        "--audio", default="decode", choices=("decode", "skip"), help="skip: labels and groups only"
    )
    check.add_argument("--sample-rate-hz", type=int, default=_DEFAULT_RATE_HZ)
    check.add_argument("--workers", type=int, help="threads that listen; one for each core")
    flags.add_reader_options(check)

    listen = flags.add_command(
        subcommands,
        _listen,
        examples=(
            "mclf data listen --config clmr:data=folder --from SONGS",
            "mclf data listen --config quickstart --songs 5 --out hear.html",
            "mclf data listen --audio SONG.mp3 --chain clmr --chain tutorial",
        ),
    )
    flags.add_config(listen, needed="sometimes")
    listen.add_argument("--audio", nargs="+", metavar="SONG", help="these songs, without a config")
    listen.add_argument(
        "--chain",
        action="append",
        help="of --audio: a preset, or what augment.chain takes; given twice: both, side by side "
        "(default: clmr)",
    )
    listen.add_argument("--out", default="listen.html", help="the page to write")
    listen.add_argument("--songs", type=int, default=3, help="how many, from the training split")

    speed = flags.add_command(
        subcommands,
        _speed,
        examples=(
            "mclf data speed --config folder:path=DIR",
            "mclf data speed --config clmr --from DIR --workers 0 2 4 --threads 1 2",
        ),
    )
    flags.add_config(speed)
    for name in ("workers", "threads", "prefetch"):
        text = f"values of runtime.{'' if name == 'prefetch' else 'num_'}{name} to try"
        speed.add_argument(f"--{name}", nargs="+", type=int, metavar="N", help=text)
    speed.add_argument("--seconds", type=float, default=35.0, help="to measure for")
    speed.add_argument("--format", default="text", choices=("text", "json"))
    speed.add_argument("--out", metavar="PICTURE", help="draw it too: .png, .svg or .pdf")

    suggest = flags.add_command(
        subcommands,
        _suggest,
        examples=(
            "mclf data suggest runs/mine NEW_SONGS --out next.csv",
            "mclf data suggest runs/mine NEW_SONGS --known SONGS --by diverse --count 100",
        ),
    )
    suggest.add_argument("run", help="run directory, or exported file")
    suggest.add_argument("audio", nargs="+", help="audio files without labels, or folders of them")
    suggest.add_argument("--out", default="suggest.csv", help="the table to write")
    suggest.add_argument("--count", type=int, default=50, help="how many songs")
    suggest.add_argument(
        "--by",
        nargs="+",
        help="in turn: uncertain, songs of which the run is unsure; diverse, songs unlike all that "
        "are known; extremes, those with the highest score of each label (default: all that there "
        "are for the run)",
    )
    suggest.add_argument(
        "--known", nargs="+", default=(), metavar="AUDIO", help="songs that have labels already"
    )

    agreement = flags.add_command(
        subcommands,
        _agreement,
        examples=(
            "mclf data agreement votes.csv",
            "mclf data agreement votes.csv --ties absent --out manifest.csv",
        ),
    )
    agreement.add_argument("table", help="CSV with the columns path, annotator, label or labels")
    agreement.add_argument("--out", help="the manifest.csv to write")
    agreement.add_argument(
        "--ties", default="unknown", help="a tie leaves a label unknown, absent or present"
    )


def _list(arguments: argparse.Namespace) -> None:
    """Public data sets that can be read, and what is known of them."""
    from mclf_jax.data import listing

    if arguments.name:
        print(listing.describe(arguments.name))
    else:
        print(listing.table())


def _prepare(arguments: argparse.Namespace) -> None:
    """Decode a data set once into ArrayRecord files that training reads quickly (a TensorFlow
    Datasets directory). Killed? Start it again."""
    from mclf_jax import data
    from mclf_jax.data.catalogue.items import FRACTIONS
    from mclf_jax.data.prepare.beam import prepare_beam
    from mclf_jax.data.prepare.meta import summary
    from mclf_jax.data.prepare.run import prepare

    catalogue = data.catalogue(
        arguments.name, path=arguments.path, **flags.reader_options(arguments, arguments.name)
    )
    settings = {
        "sample_rate_hz": arguments.sample_rate_hz,
        "encoding": arguments.encoding,
        "max_duration_s": arguments.max_duration_s,
        "version": arguments.version,
        "split_fractions": arguments.fractions or FRACTIONS,
    }
    if arguments.beam is None:
        made = prepare(catalogue, arguments.out, num_workers=arguments.workers, **settings)
    else:
        if arguments.workers is not None:
            raise ValueError("--workers is for preparing without --beam, whose options say where")
        beam = [f"--{option.lstrip('-')}" for option in arguments.beam]
        made = prepare_beam(catalogue, arguments.out, pipeline_options=beam, **settings)
    print(summary(made))


def _split(arguments: argparse.Namespace) -> None:
    """Write the splits of a folder of songs into its manifest.csv, where they stay as they are.
    Without this, they are made by a hash of the group (or file) each time."""
    from mclf_jax import data
    from mclf_jax.common import progress, walk
    from mclf_jax.data.catalogue.fix_splits import fix_splits
    from mclf_jax.data.catalogue.items import FRACTIONS

    found = data.catalogue(
        "folder", path=arguments.path, **flags.reader_options(arguments, "folder")
    )
    counts = fix_splits(
        arguments.path,
        found,
        seed=arguments.seed,
        split_rule=arguments.rule,
        split_fractions=arguments.fractions or FRACTIONS,
    )
    for note in found.notes:
        progress.say(note)
    if found.skipped:
        name, reason = found.skipped[0]
        more = "; `mclf data check` lists all" if len(found.skipped) > 1 else ""
        progress.say(f"skipped: {len(found.skipped)}, such as {walk.shown(name)}: {reason}{more}")
    print(", ".join(f"{split} {count}" for split, count in counts.items()))


def _check(arguments: argparse.Namespace) -> int:
    """Look for leaks between splits, duplicates, bad audio and doubtful labels before
    training. Exit code 1 if there is a leak."""
    from mclf_jax import data
    from mclf_jax.common import files
    from mclf_jax.data.check import check

    if arguments.out:
        files.check_place("--out", arguments.out, kind="file")
    name = arguments.name or ("prepared" if data.is_prepared(arguments.path) else "folder")
    options = flags.reader_options(arguments, name)
    if name == "prepared":
        options = {"checksums": "verify", **options}
    source = data.build(
        name, sample_rate_hz=arguments.sample_rate_hz, path=arguments.path, **options
    )
    result = check(source, audio=arguments.audio, num_workers=arguments.workers)
    print(result.json() if arguments.format == "json" else result.text())
    if arguments.out:
        from mclf_jax.report.check import write_check_page

        page = write_check_page(result, arguments.out)
        if arguments.format == "text":
            print(page)
    return 1 if result.leaks else 0


def _listen(arguments: argparse.Namespace) -> None:
    """Write a page with training songs before and after augmentation, as players and
    spectrograms."""
    from mclf_jax import config as config_lib
    from mclf_jax.common import files
    from mclf_jax.report.listen import PREVIEW, write_listening_page, write_songs_page

    files.check_place("--out", arguments.out, kind="file")
    if (arguments.config is None) == (arguments.audio is None):
        raise ValueError("say what to hear: --config, training songs of it, or --audio, your files")
    if arguments.audio is not None:
        chains = tuple(dict.fromkeys(arguments.chain or [PREVIEW]))
        print(write_songs_page(arguments.audio, arguments.out, chains=chains))
        return
    if arguments.chain:
        raise ValueError("--chain is of --audio; a config has --config.augment.waveform=NAME")
    config = config_lib.load(arguments.config, overrides=arguments.overrides)
    if not (config.augment.waveform or config.augment.chain):
        print(
            f"the config changes no waveforms; the page lets you hear the preset {PREVIEW} "
            "(choose with --config.augment.waveform=NAME)"
        )
    page = write_listening_page(
        config, arguments.out, title=arguments.config, num_songs=arguments.songs
    )
    print(page)


def _speed(arguments: argparse.Namespace) -> None:
    """Songs per second at each stage of the input and in the step, for several numbers of workers
    and threads: where the time goes, and what to change. Nothing is trained or written."""
    import json

    from mclf_jax import config as config_lib
    from mclf_jax.common import files, interrupt
    from mclf_jax.train.spending.speed import measure

    if arguments.out:
        files.check_place("--out", arguments.out, kind="file")
    found = measure(
        config_lib.load(arguments.config, overrides=arguments.overrides),
        workers=arguments.workers,
        threads=arguments.threads,
        prefetch=arguments.prefetch,
        seconds=arguments.seconds,
    )
    shown = found.to_json()
    print(json.dumps(shown, indent=2) if arguments.format == "json" else found.text())
    if arguments.out:
        from mclf_jax.figures.training import input_speed

        with files.replacing(arguments.out) as path:
            input_speed(shown).savefig(path)
    if found.step:  # it is still being compiled, and Python would wait for that
        interrupt.leave(0)


def _suggest(arguments: argparse.Namespace) -> int:
    """Which songs to annotate next: those of which a run is unsure, those unlike all others, the
    extremes of each label; a table of them with the reasons."""
    import sys
    import warnings

    import numpy as np

    from mclf_jax.api import load
    from mclf_jax.common import checks, files, progress, walk
    from mclf_jax.common.text import tables
    from mclf_jax.data.annotators.suggest import check_ways, suggest, ways_of

    out = Path(arguments.out)
    files.check_place("--out", out, kind="file")
    checks.at_least("--count", arguments.count, 1)
    known, _ = flags.find_audio(arguments.known) if arguments.known else ([], [])
    taken = {str(Path(path).resolve()) for path in known}
    found, skipped = flags.find_audio(arguments.audio)
    paths = [path for path in found if str(Path(path).resolve()) not in taken]
    tagger = load(arguments.run)
    of_run = {"task": tagger.task, "labels": tagger.labels}
    by = ways_of(**of_run) if arguments.by is None else tuple(arguments.by)
    check_ways(by, **of_run)  # before hours of listening
    heard: dict[str, dict[str, Any]] = {}
    wanted = list(dict.fromkeys([*paths, *known]))
    with (
        progress.bar(total=len(wanted), title="suggest", unit="song", leave=True) as bar,
        warnings.catch_warnings(record=True) as said,
    ):
        warnings.simplefilter("always", UserWarning)
        for each in tagger.hear_files(wanted):
            if error := each.get("error"):
                skipped.append((each["path"], error.reason))
            else:
                heard[each["path"]] = each
            bar.update()
    for note in dict.fromkeys(str(each.message) for each in said):
        progress.say(f"note: {note}")
    for path, reason in skipped:
        print(f"skipped: {walk.shown(path)}: {reason}", file=sys.stderr)
    paths, known = ([path for path in some if path in heard] for some in (paths, known))
    if not paths:
        raise ValueError(f"no songs without labels could be read in {', '.join(arguments.audio)}")

    def stacked(some: list[str], name: str) -> np.ndarray:
        return np.stack([heard[path][name] for path in some])

    chosen = suggest(
        stacked(paths, "scores") if tagger.labels else None,
        stacked(paths, "embedding"),
        task=tagger.task,
        labels=tagger.labels,
        count=arguments.count,
        by=by,
        known=stacked(known, "embedding") if known else None,
    )
    rows: list[list[Any]] = [["path", "by", "value", "why"]]
    for each in chosen:
        path = walk.shown(paths[each["index"]])
        rows.append([path, each["by"], f"{each['value']:.4f}", each["why"]])
    out.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(out) as temporary, temporary.open("w", encoding="utf-8") as file:
        tables.write_rows(file, rows)
    print(f"{len(chosen)} of {len(paths)} songs: {out}")
    return 1 if skipped else 0


def _agreement(arguments: argparse.Namespace) -> None:
    """How far several annotators agree (Cohen's kappa of each two), and the manifest.csv of
    what most of them said."""
    from mclf_jax.common import progress
    from mclf_jax.data.annotators.agreement import agreement, describe
    from mclf_jax.data.annotators.annotations import (
        alike,
        majority,
        read_annotations,
        write_manifest,
    )

    annotations = read_annotations(arguments.table)
    out = Path(arguments.out or "").expanduser()
    if arguments.out and out.exists() and out.samefile(Path(arguments.table).expanduser()):
        raise ValueError(f"--out is {arguments.out}, the table itself: name another file")
    for sentence in alike(annotations):
        progress.say(sentence)
    print(describe(agreement(annotations)))
    resolved = majority(annotations, ties=arguments.ties)
    if resolved.unresolved:
        print(f"{len(resolved.unresolved)} of {len(annotations.votes)} items have a tie")
    if arguments.out:
        write_manifest(annotations, resolved, arguments.out)
        print(Path(arguments.out))
