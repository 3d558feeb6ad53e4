"""What the recipe for one's own songs makes of few of them, beside MFCC statistics and an SVM.

    python -m benchmarks.few_songs FOLDER --songs 20 60 100 300 --seeds 3 --workdir runs/few

For each seed a third of the songs, whole groups, is the test. Of the others so many are taken, from
each label in turn, four in five of them to train on and the rest as valid. Each run of
`configs/folder.py` is judged as it is, by its network alone (without its second opinion), and
beside the SVM. Prints accuracy as Markdown, and the differences to the SVM, paired by seed; 95 %
by Student's t, as for three folds. What is there already is not trained again.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mclf_jax import config as config_lib
from mclf_jax import data
from mclf_jax.common import parallel
from mclf_jax.data.base.columns import groups_of
from mclf_jax.data.base.source import Source
from mclf_jax.data.views.base import derived
from mclf_jax.evaluation.evaluate import compute_metrics, score_songs
from mclf_jax.metrics.interval import mean_interval
from mclf_jax.models.layers.opinion import COLLECTION, empty
from mclf_jax.run import experiment
from mclf_jax.run.weights import load_variables
from mclf_jax.shallow.baseline import NAME, fit_baseline
from mclf_jax.shallow.opinion import PLACE
from mclf_jax.train import train

METHODS = ("recipe", "network alone", NAME)
METRIC = "accuracy"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="songs with one label each")
    parser.add_argument("--songs", nargs="+", type=int, default=[20, 60, 100, 300])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--window-s", type=float, default=3.0)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--workdir", required=True, help="of the runs, and of few_songs.json")
    asked = parser.parse_args(argv)
    found: dict[int, list[dict[str, float]]] = {}
    for seed in range(asked.seeds):  # so that what is interrupted has all sizes
        for songs in asked.songs:
            run = Path(asked.workdir) / f"{Path(asked.folder).name}-{songs}-{seed}"
            found.setdefault(songs, []).append(measure(asked, run, songs=songs, seed=seed))
            print(run.name, {name: round(v, 3) for name, v in found[songs][-1].items()}, flush=True)
    (Path(asked.workdir) / f"few_songs-{Path(asked.folder).name}.json").write_text(
        json.dumps(found, indent=2)
    )
    print(table(found))


def few_songs(*, sample_rate_hz: int, path: str, songs: int, seed: int) -> Source:
    """A folder of which so many songs have labels that may be learnt from."""
    source = data.build("folder", sample_rate_hz=sample_rate_hz, path=path)
    rng, targets = np.random.default_rng(seed), np.asarray(source.targets)
    labelled = np.flatnonzero(targets >= 0)
    groups = np.array(groups_of(source.info, labelled) or labelled.astype(str))
    names = rng.permutation(np.unique(groups))
    queues: dict[int, list[np.ndarray]] = {}
    for name in names[len(names) // 3 :]:
        members = labelled[groups == name]
        queues.setdefault(int(targets[members[0]]), []).append(members)
    taken: list[np.ndarray] = []
    while sum(map(len, taken)) < songs and any(queues.values()):
        taken += [queue.pop() for _, queue in sorted(queues.items()) if queue]
    while sum(map(len, taken)) > songs and len(taken) > 1:
        taken.pop()
    is_valid = np.arange(len(taken)) % 5 == 4
    return derived(
        source,
        None,
        settings=["few_songs", songs, seed],
        note=f"{songs} songs",
        splits={
            "train": np.concatenate([g for g, v in zip(taken, is_valid, strict=True) if not v]),
            "valid": np.concatenate([g for g, v in zip(taken, is_valid, strict=True) if v]),
            "test": labelled[np.isin(groups, names[: len(names) // 3])],
        },
    )


def measure(asked: argparse.Namespace, run: Path, *, songs: int, seed: int) -> dict[str, float]:
    """{method: accuracy of the test songs}, kept in the run."""
    kept = run / "few_songs.json"
    if kept.exists():
        return json.loads(kept.read_text())
    recipe = f"path={asked.folder},window_s={asked.window_s},steps={asked.steps}"
    config = config_lib.load(f"folder:{recipe}")
    config.seed = seed
    config.data.name = "benchmarks.few_songs:few_songs"
    with config.data.unlocked():
        config.data.args = {"path": asked.folder, "songs": songs, "seed": seed}
    train(config, workdir=run)
    parts = experiment.build(config)
    mesh = parallel.make_mesh(config.runtime.num_devices)
    variables = load_variables(run, parts.model, mesh)["variables"]
    size = variables[COLLECTION][PLACE]["mean"].shape[0]
    nothing = empty(
        size,
        num_labels=len(parts.source.info.labels),
        num_references=getattr(parts.model.module, PLACE),
    )

    def accuracy(variables) -> float:
        scores = score_songs(parts, parts.indices("test"), variables, mesh=mesh)
        return compute_metrics(parts, scores).values[METRIC]

    alone = {**variables, COLLECTION: {PLACE: nothing}}
    baseline = fit_baseline(parts, run=run)["test"].metrics[METRIC]
    found = dict(zip(METHODS, (accuracy(variables), accuracy(alone), baseline), strict=True))
    kept.write_text(json.dumps(found))
    return found


def table(found: dict[int, list[dict[str, float]]]) -> str:
    """As Markdown."""
    head = (*METHODS, *(f"{name} − {NAME}" for name in METHODS[:2]))
    lines = [f"| songs | {' | '.join(head)} |", "|---" * (1 + len(head)) + "|"]
    for songs, runs in found.items():
        plain = [[of[name] for of in runs] for name in METHODS]
        over = [[of[name] - of[NAME] for of in runs] for name in METHODS[:2]]
        told = [_told(values, "") for values in plain] + [_told(values, "+") for values in over]
        lines.append(f"| {songs} | {' | '.join(told)} |")
    return "\n".join(lines)


def _told(values: Sequence[float], sign: str) -> str:
    found = mean_interval(values, num_folds=3)
    return f"{found['mean']:{sign}.3f} ± {found['half_width']:.3f}"


if __name__ == "__main__":
    main()
