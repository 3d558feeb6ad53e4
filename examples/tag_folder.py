"""A tagger for a folder: learns from songs with labels, then writes the labels of all others.

    python tag_folder.py LABELLED OTHERS --run runs/tagger

LABELLED has one subfolder for each label, or a manifest.csv. The scores of OTHERS, a row for each
song, go to RUN/scores.csv; songs that cannot be decoded are listed with the reason.
"""

import argparse
import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mclf_jax as mclf


def tag_folder(
    labelled: str,
    others: str,
    *,
    run: str,
    steps: int = 200,
    overrides: Mapping[str, Any] | None = None,
) -> Path:
    """Returns the table that it wrote."""
    config = mclf.config("folder", path=labelled, steps=steps, overrides=overrides)
    mclf.train(config, workdir=run)  # killed? the same program goes on from there
    report = mclf.evaluate(run, split="test")
    print({name: round(value, 3) for name, value in report.metrics.items()})

    tagger = mclf.load(run)
    songs = sorted(str(path) for path in Path(others).rglob("*") if path.is_file())
    table = Path(run) / "scores.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "likeliest", *tagger.labels])
        for found in tagger.predict_files(songs):
            if "error" in found:
                print(f"skipped {found['path']}: {found['error']}")
                continue
            scores = found["scores"]  # [K]
            likeliest = tagger.labels[scores.argmax()]
            writer.writerow([found["path"], likeliest, *(f"{score:.4f}" for score in scores)])
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("labelled")
    parser.add_argument("others")
    parser.add_argument("--run", default="runs/tagger")
    parser.add_argument("--steps", type=int, default=200)
    print(tag_folder(**vars(parser.parse_args())))
