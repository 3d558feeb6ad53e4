"""Size of networks, and minutes of music that they tag in a second, against the first of them.

    python benchmarks/predict_speed.py runs/large runs/small

Whole: `Tagger.predict` of an array, windows side by side, so with features but without a file.
Network: on features that are there. Runs take turns, and medians are shown.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

import mclf_jax as mclf

SECONDS = 120


class _Timed(NamedTuple):
    size: int
    whole: Callable
    network: Callable


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", help="run directories; the first is compared with")
    parser.add_argument("--repeats", type=int, default=9, help="of a song of two minutes")
    arguments = parser.parse_args(argv)
    if arguments.repeats < 1:
        parser.error(f"--repeats is {arguments.repeats}; allowed: 1 or more")

    timed = [_timed(run) for run in arguments.runs]
    took_s = np.zeros((1 + arguments.repeats, len(timed), 2))
    for repeat in took_s:  # the first one compiles
        for row, run in zip(repeat, timed, strict=True):
            row[:] = _seconds(run.whole), _seconds(run.network)
    medians = np.median(took_s[1:], axis=0)

    print("| run | parameters | whole: minutes a second | times | network | times |")
    print("|---|---|---|---|---|---|")
    for name, run, median in zip(arguments.runs, timed, medians, strict=True):
        (whole, network), (faster, faster_network) = SECONDS / 60 / median, medians[0] / median
        print(
            f"| {name} | {run.size:,} | {whole:.1f} | {faster:.2f} "
            f"| {network:.1f} | {faster_network:.2f} |"
        )


def _timed(run: str) -> _Timed:
    model = mclf.load(run).model
    tagger = mclf.load(run, hop_s=model.window_s)
    rate, samples = model.features.sample_rate_hz, model.window_samples
    noise = np.random.default_rng(0).normal(0, 0.1, SECONDS * rate).astype(np.float32)
    windows = noise[: len(noise) // samples * samples].reshape(-1, samples)
    x = jax.jit(model.features)(windows)
    logits = jax.jit(lambda v, x: model.module.apply(v, x, train=False)["logits"])
    return _Timed(
        size=sum(leaf.size for leaf in jax.tree.leaves(tagger.variables["params"])),
        whole=lambda: tagger.predict(noise, sample_rate_hz=rate),
        network=lambda: jax.block_until_ready(logits(tagger.variables, x)),
    )


def _seconds(run: Callable) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
