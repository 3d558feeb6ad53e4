"""Ours beside what people would take instead: `python -m benchmarks PART ... --out DIR`.

    python -m benchmarks all --out runs/benchmarks
    python -m benchmarks networks --only fcn crnn --batch 8 --out runs/benchmarks

Each part writes DIR/PART.json, DIR/PART.md and DIR/PART.png. Rows that a run does not measure stay
as they were, so that a part can be measured a few rows at a time. Peers (torch, librosa,
audiomentations) are measured where they are installed. benchmarks/README.md says what a part is.
"""

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.frame import report
from benchmarks.frame.machine import describe, find_unreadable

PARTS = {
    "networks": "benchmarks.parts.networks",
    "features": "benchmarks.parts.features",
    "augment": "benchmarks.parts.augment",
    "pipeline": "benchmarks.parts.pipeline",
    "epoch": "benchmarks.parts.epoch",
    "predict": "benchmarks.parts.predict",
    "growth": "benchmarks.parts.growth",
}
"""Where each part is."""


def make_parser(parts: Sequence[str]) -> argparse.ArgumentParser:
    """Of the command line, with the options that these parts add."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__.splitlines()[0]
    )
    parser.add_argument("parts", nargs="+", choices=[*PARTS, "all"], metavar="PART")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the results")
    parser.add_argument(
        "--only", nargs="+", default=(), metavar="WORD", help="rows whose name has one of these"
    )
    parser.add_argument("--rounds", type=int, default=5, help="medians are of so many (5)")
    parser.add_argument(
        "--size",
        choices=("full", "small"),
        default="full",
        help="small shows that all of it works, and measures nothing",
    )
    for name in parts:
        if add_options := getattr(importlib.import_module(PARTS[name]), "add_options", None):
            add_options(parser.add_argument_group(name))
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Measure parts one after the other; one that fails does not keep the others back."""
    words = list(sys.argv[1:] if argv is None else argv)
    asked = [name for name in PARTS if name in words or "all" in words]
    options = make_parser(asked).parse_args(words)
    if why := find_unreadable(options.out, asked):
        print(why, file=sys.stderr)
        return 2
    machine = describe()
    print(json.dumps(machine, indent=1), flush=True)
    failed = []
    for name in asked:
        part = importlib.import_module(PARTS[name])
        try:
            for row in part.measure(options):
                report.add(options.out, name, row, machine=machine, rounds=options.rounds)
                print(report.line(row), flush=True)
        except Exception as error:  # the other parts go on
            failed.append(f"{name}: {type(error).__name__}: {error}")
        if (options.out / f"{name}.json").exists():
            report.write(options.out, name, draw=getattr(part, "draw", report.draw))
    for why in failed:
        print(f"skipped: {why}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
