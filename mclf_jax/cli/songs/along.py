"""`mclf evaluate --segments`: scores along songs that are annotated in time."""

import argparse
import sys
from pathlib import Path


def evaluate_along(arguments: argparse.Namespace) -> None:
    """Print the scores; with --out write them and a page with the songs, too."""
    from mclf_jax.api import load
    from mclf_jax.common import files
    from mclf_jax.evaluation import along as evaluation
    from mclf_jax.metrics import along

    truth = Path(arguments.segments)
    if arguments.out:
        files.check_place("the report", Path(arguments.out), kind="folder")
    segments = along.read(truth)
    if truth.suffix.lower() == ".txt":
        raise ValueError(
            f"--segments is {truth}, which does not say of which song: name a table with the "
            "columns path, start_s, end_s, label"
        )
    root = arguments.data_path or truth.parent
    tagger = load(arguments.run, hop_s=1.0)
    found = evaluation.evaluate_along(tagger, segments, root=root)
    for path, reason in found["skipped"]:
        print(f"skipped: {path}: {reason}", file=sys.stderr)
    if found["unknown"]:
        print(f"labels that the run has not: {', '.join(found['unknown'])}")
    print(f"{len(found['found'])} songs")
    for name, value in found["windows"].items():
        print(f"{'windows: ' + name:>26}  {value:.4f}")
    for kind, how in (
        ("frames", f"of {found['frame_s']:g} s"),
        ("events", f"onsets within {found['onset_s']:g} s"),
    ):
        for name in ("precision", "recall", "f1", "f1_macro", "error_rate"):
            if name in found[kind]:
                print(f"{kind + ': ' + name:>26}  {found[kind][name]:.4f}  ({how})")
    if arguments.out:
        from mclf_jax.report.songs.along import write_along

        name = Path(arguments.run).resolve().name
        print(*write_along(found, segments, arguments.out, run_name=name).values(), sep="\n")
