"""`mclf compare` and `robustness`: runs beside each other, and on songs that are changed."""

import argparse
from pathlib import Path
from typing import Any

from mclf_jax.cli import flags


def add_commands(commands: Any) -> None:
    """Declare them."""
    compare = flags.add_command(
        commands,
        _compare,
        examples=(
            "mclf compare runs/cnn runs/transformer",
            "mclf compare runs/seed0 runs/seed1 runs/other --split valid --ensemble --out DIR",
        ),
    )
    compare.add_argument("runs", nargs="+", metavar="RUN", help="run directories, two or more")
    compare.add_argument("--split", default="test", choices=flags.SPLITS, help=flags.HIDDEN)
    compare.add_argument("--metric", help="by which they are tested; default: that of the task")
    compare.add_argument(
        "--by",
        default="auto",
        choices=("auto", "song", "group"),
        help="what is resampled; auto: groups such as artists, where the data have some",
    )
    compare.add_argument(
        "--seeds",
        default="together",
        choices=("together", "apart"),
        help="whether runs that differ in their seed alone are one method",
    )
    compare.add_argument("--against", default="", metavar="RUN", help="compare all others to it")
    compare.add_argument(
        "--ensemble",
        action="store_const",
        const="add",
        default="no",
        help="compare the mean of all runs' scores, too",
    )
    compare.add_argument(
        "--from", dest="path", default="", metavar="DIR", help="where the data are"
    )
    compare.add_argument("--out", default="comparison", help="folder of the page and the tables")

    robustness = flags.add_command(
        commands,
        _robustness,
        examples=(
            "mclf robustness runs/mine --songs 100",
            "mclf robustness runs/cnn runs/transformer --effects noise mp3 --out DIR",
        ),
    )
    robustness.add_argument("runs", nargs="+", metavar="RUN", help="run directories")
    robustness.add_argument("--split", default="test", choices=flags.SPLITS, help=flags.HIDDEN)
    robustness.add_argument(
        "--effects",
        nargs="+",
        metavar="EFFECT",
        help="gain, noise, time_stretch, pitch_shift, compressor, mp3, ogg, sample_rate; default: "
        "all of them",
    )
    robustness.add_argument(
        "--songs", type=int, help="so many, evenly over the split; default: all"
    )
    robustness.add_argument("--metric", help="of the scores; default: that of the task")
    robustness.add_argument(
        "--from", dest="path", default="", metavar="DIR", help="where the data are"
    )
    robustness.add_argument("--out", default="robustness", help="folder of picture and tables")


def _compare(arguments: argparse.Namespace) -> None:
    """Compare runs on the same songs: scores, learning curves, differences with intervals and
    corrected for their number, and songs to listen to. Runs that differ in their seed alone are
    one method. What was not evaluated yet is."""
    from mclf_jax.common import files
    from mclf_jax.report.comparison.runs import compare_runs
    from mclf_jax.report.comparison.write import as_text

    files.check_place("--out", arguments.out, kind="folder")
    found = compare_runs(
        arguments.runs,
        split=arguments.split,
        metric=arguments.metric,
        by=arguments.by,
        seeds=arguments.seeds,
        against=arguments.against,
        ensemble=arguments.ensemble,
        path=arguments.path,
        out=arguments.out,
    )
    print(as_text(found))
    print(Path(arguments.out) / "index.html")


def _robustness(arguments: argparse.Namespace) -> None:
    """Score songs that are made louder, noisier, faster, higher, flatter, or encoded with fewer
    bits: curves of one run or several, as a picture and a table."""
    from mclf_jax.common import files
    from mclf_jax.report.comparison.robustness import EFFECTS, measure_robustness

    files.check_place("--out", arguments.out, kind="folder")
    found = measure_robustness(
        arguments.runs,
        split=arguments.split,
        effects=arguments.effects or tuple(EFFECTS),
        num_songs=arguments.songs,
        metric=arguments.metric,
        path=arguments.path,
    )
    picture = found.save(arguments.out)
    for row in found.rows:
        if row["strength"] is not None:
            change = (
                f"({row['change']:+.4f}: {row['change_low']:+.4f} to {row['change_high']:+.4f})"
            )
            what = f"{row['effect']} {row['strength']:g} {row['unit']}"
            print(f"{row['run']:<20} {what:<32} {row['value']:.4f}  {change}")
    print(picture)
