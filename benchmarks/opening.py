"""Seconds and peak memory of opening many songs with many labels, first and second time.

    python benchmarks/opening.py --songs 50000 --labels 5000
    python benchmarks/opening.py --songs 200000 --labels 100 --task single_label

Songs are links to a few short WAV files, so this is what there is beside decoding. Each opening is
a process of its own; its peak is the resident memory that the kernel reports when it ends.
"""

import argparse
import csv
import os
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import process
import soundfile

RATE_HZ = 8000
LINKS = 30_000  # to one file; some file systems allow no more than 65,000
TAGS = 10  # of a song
CODE = """
from mclf_jax import data
source = data.build("folder", path=sys.argv[1], sample_rate_hz=8000, progress="off")
print(len(source))
"""


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=int, default=50_000)
    parser.add_argument("--labels", type=int, default=5_000)
    parser.add_argument(
        "--task", default="multi_label", choices=["multi_label", "single_label"], help="of labels"
    )
    arguments = parser.parse_args(argv)
    how_many = {"songs": arguments.songs, "labels": arguments.labels}

    print("| songs | labels | task | opened | time | peak memory |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        write_songs(Path(folder) / "songs", task=arguments.task, **how_many)
        for opened in ("first", "second"):
            used = process.measure(
                ["-c", CODE, str(Path(folder) / "songs")],
                title=f"opening {folder}",
                environment={"XDG_CACHE_HOME": str(Path(folder) / "cache")},
            )
            print(
                f"| {arguments.songs} | {arguments.labels} | {arguments.task} | {opened} time "
                f"| {used['seconds']:.1f} s | {used['peak_mib']:.0f} MiB |",
                flush=True,
            )


def write_songs(folder: Path, *, songs: int, labels: int, task: str) -> None:
    """A folder with a manifest without groups and splits, so that each song is dealt alone."""
    rng = random.Random(0)
    folder.mkdir()
    column = "labels" if task == "multi_label" else "label"
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", column])
        for number in range(songs):
            block, within = divmod(number, LINKS)
            original = folder / f"{block:03d}.wav"
            if not within:
                noise = np.random.default_rng(block).uniform(-0.5, 0.5, RATE_HZ // 4)
                soundfile.write(original, noise, RATE_HZ)
            name = f"artist {number // 80:05d}/album {number // 8:06d}/track {number:07d}.wav"
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.link(original, folder / name)
            # The first songs have each label in turn, so that there are as many as were asked for.
            own = number if number < labels else int(labels * rng.random() ** 3)
            others = {int(labels * rng.random() ** 3) for _ in range(TAGS - 1)}
            chosen = {own, *others} if task == "multi_label" else {own}
            tags = "|".join(f"label {label:05d}" for label in sorted(chosen))
            writer.writerow([name, tags])


if __name__ == "__main__":
    main()
