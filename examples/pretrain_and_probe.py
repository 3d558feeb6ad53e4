"""Pretraining without labels, then a probe: is what was learnt worth more than MFCCs?

    python pretrain_and_probe.py SONGS --run runs/simclr

SONGS needs labels for the probe alone: one subfolder for each, or a manifest.csv. The table has
accuracies of an SVM and a linear probe on the pretrained network, on the same network untrained and
on MFCC statistics, on the same folds. Half of a 95 % interval stands behind each mean.
"""

import argparse
from collections.abc import Mapping
from typing import Any

import mclf_jax as mclf


def pretrain_and_probe(
    songs: str,
    *,
    run: str,
    method: str = "simclr",
    window_s: float = 3.0,
    steps: int = 1000,
    folds: int = 5,
    overrides: Mapping[str, Any] | None = None,
) -> mclf.probe.ProbeResult:
    config = mclf.config(
        "small_pretraining",
        method=method,
        path=songs,
        window_s=window_s,
        steps=steps,
        overrides=overrides,
    )
    mclf.train(config, workdir=run)
    return mclf.probe(
        run,
        kinds=("linear", "svm"),
        baselines=("untrained", "mfcc"),
        num_folds=folds,
        progress="off",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("songs")
    parser.add_argument("--run", default="runs/simclr")
    parser.add_argument("--method", default="simclr", help="or moco, byol, cola, cpc, ...")
    parser.add_argument("--window-s", type=float, default=3.0, help="at most that of your clips")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--folds", type=int, default=5, help="0: the splits of SONGS")
    for row in pretrain_and_probe(**vars(parser.parse_args())).summary():
        print("{encoder:<10} {kind:<7} {mean:.3f} ± {half_width:.3f}".format(**row))
