"""Size of networks, and minutes of music that they tag in a second, against the first of them.

    python benchmarks/predict_speed.py runs/large runs/small

From arrays, so without reading files, but with features; windows follow each other without a gap.
Runs take turns, and medians are shown.
"""

import argparse
import time
from collections.abc import Sequence

import jax
import numpy as np

import mclf_jax as mclf

SECONDS = 120


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", help="run directories; the first is compared with")
    parser.add_argument("--repeats", type=int, default=9, help="of a song of two minutes")
    arguments = parser.parse_args(argv)

    # Windows side by side are the same music for every network, whatever the length of its window.
    taggers = [mclf.load(run, hop_s=mclf.load(run).model.window_s) for run in arguments.runs]
    took_s = np.zeros((arguments.repeats, len(taggers)))
    for repeat in range(-1, arguments.repeats):  # the first time compiles
        for number, tagger in enumerate(taggers):
            rate = tagger.model.features.sample_rate_hz
            noise = np.random.default_rng(0).normal(0, 0.1, SECONDS * rate).astype(np.float32)
            start = time.perf_counter()
            tagger.predict(noise, sample_rate_hz=rate)
            if repeat >= 0:
                took_s[repeat, number] = time.perf_counter() - start
    medians = np.median(took_s, axis=0)

    print("| run | parameters | minutes of music a second | times the first |")
    print("|---|---|---|---|")
    for run, tagger, median in zip(arguments.runs, taggers, medians, strict=True):
        size = sum(leaf.size for leaf in jax.tree.leaves(tagger.variables["params"]))
        speed = SECONDS / 60 / median
        print(f"| {run} | {size:,} | {speed:.1f} | {medians[0] / median:.2f} |")


if __name__ == "__main__":
    main()
