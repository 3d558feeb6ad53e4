"""`mclf compare`: several runs beside each other."""

import argparse
from pathlib import Path
from typing import Any

from mclf_jax.cli import flags


def add_commands(commands: Any) -> None:
    """Declare it."""
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
