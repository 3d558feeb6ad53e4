"""Does it pay to choose the songs to annotate? Simulated on songs whose labels are known.

    python benchmarks/suggest.py RUN FOLDER [--seeds 30]

A third of the songs, whole groups, is the test; of the others a few have a label at first, and in
each round the next ones get theirs: drawn at random, or by `mclf data suggest`, asked with the
scores of a linear probe on all that have labels so far. Embeddings are those of RUN, and statistics
of MFCCs. Prints, as Markdown, the accuracy at each number of labels, and the mean over the rounds
with the difference to random draws, paired by seed (95 % by Student's t).
"""

import argparse
import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupShuffleSplit
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from mclf_jax import data
from mclf_jax.api import load
from mclf_jax.audio.decode import read_audio
from mclf_jax.audio.features import Mfcc
from mclf_jax.data.annotators.suggest import WAYS, suggest
from mclf_jax.metrics.interval import mean_interval
from mclf_jax.shallow.mfcc import mfcc_statistics

FIRST, STEP, LAST = 12, 6, 60
STRATEGIES = {"random": (), **{way: (way,) for way in WAYS}, "all in turn": WAYS}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="of a network whose embeddings are used")
    parser.add_argument("folder", help="songs with one label each")
    parser.add_argument("--seeds", type=int, default=30)
    asked = parser.parse_args(argv)
    catalogue = data.catalogue("folder", path=asked.folder)
    items = [item for item in catalogue.items if item.labels]
    names = sorted({item.labels[0] for item in items})
    labels = np.array([names.index(item.labels[0]) for item in items])
    groups = np.array([item.group or item.item_id for item in items])
    paths = [item.file for item in items]
    heard = [each["embedding"] for each in load(asked.run).hear_files(paths)]
    mfcc = Mfcc(sample_rate_hz=22050, n_mfcc=20)
    vectors = {
        asked.run: np.stack(heard),
        "MFCC statistics": np.stack(
            [mfcc_statistics(read_audio(path, sample_rate_hz=22050), mfcc) for path in paths]
        ),
    }
    for encoder, x in vectors.items():
        with threadpool_limits(1, user_api="blas"):  # the matrices are small
            curves = {
                name: np.array(
                    [simulate(x, labels, groups, by=by, seed=s) for s in range(asked.seeds)]
                )
                for name, by in STRATEGIES.items()
            }
        counts = range(FIRST, LAST + 1, STEP)
        shown = [n for n in range(len(counts)) if n % 2 == 0]
        print(f"\n**{encoder}**, {len(items)} songs, {asked.seeds} seeds\n")
        print(
            "| chosen |" + "".join(f" {counts[n]} labels |" for n in shown) + " mean | - random |"
        )
        print("|---|" + "---:|" * (len(shown) + 2))
        for name, found in curves.items():
            gain = mean_interval((found - curves["random"]).mean(axis=1).tolist(), num_folds=0)
            cells = [f"{found[:, n].mean():.3f}" for n in shown] + [f"{found.mean():.3f}"]
            cells.append(
                "" if name == "random" else f"{gain['mean']:+.3f} ± {gain['half_width']:.3f}"
            )
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def simulate(x, labels, groups, *, by: Sequence[str], seed: int) -> list[float]:
    """Accuracies on the test songs, at each number of labels."""
    ((pool, test),) = GroupShuffleSplit(1, test_size=1 / 3, random_state=seed).split(
        x, groups=groups
    )
    scaled = StandardScaler().fit(x[pool]).transform(x)
    rng, accuracies = np.random.default_rng(seed), []
    pool = rng.permutation(pool)
    known, left = pool[:FIRST], pool[FIRST:]
    while True:
        probe = LogisticRegression(C=0.01, max_iter=300)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            probe.fit(scaled[known], labels[known])
        accuracies.append(float((probe.predict(scaled[test]) == labels[test]).mean()))
        if len(known) >= LAST:
            return accuracies
        count = np.arange(STEP)
        if by:
            scores = probe.predict_proba(scaled[left])
            asked = {"task": "single_label", "labels": list(map(str, probe.classes_)), "by": by}
            found = suggest(scores, scaled[left], known=scaled[known], count=STEP, **asked)
            count = np.array([each["index"] for each in found])
        known = np.concatenate([known, left[count]])
        left = np.delete(left, count)


if __name__ == "__main__":
    main()
