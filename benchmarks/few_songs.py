"""What the recipe for one's own songs makes of few of them, beside MFCC statistics and an SVM.

    python -m benchmarks.few_songs FOLDER... --songs 20 60 100 300 --seeds 3 --workdir runs/few

For each seed a third of the songs, whole groups, is the test. Of the others so many are taken, from
each label in turn, four in five of them to train on and the rest as valid; numbers that a folder
does not have are left out. Each run of `configs/folder.py` is judged as it is, by its network alone
(without its second opinion), and beside the SVM. Prints accuracy as Markdown, and the differences
to the SVM, paired by seed, 95 % by Student's t, as for three folds; few_songs.png in the workdir
shows it. What is there already is not trained again.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mclf_jax import config as config_lib
from mclf_jax import data
from mclf_jax.common import parallel
from mclf_jax.common.files import write_text
from mclf_jax.data.base.columns import groups_of
from mclf_jax.data.base.source import Source
from mclf_jax.data.views.base import derived
from mclf_jax.evaluation.evaluate import compute_metrics, score_songs
from mclf_jax.figures.layout import panels
from mclf_jax.figures.style import ACCENT, MUTED, PALETTE, styled
from mclf_jax.metrics.interval import mean_interval
from mclf_jax.models.layers.opinion import COLLECTION, empty
from mclf_jax.run import experiment
from mclf_jax.run.weights import load_variables
from mclf_jax.shallow.baseline import NAME, fit_baseline
from mclf_jax.shallow.opinion import PLACE
from mclf_jax.train import train

METHODS = ("recipe", "network alone", NAME)
METRIC = "accuracy"
Runs = dict[int, list[dict[str, float]]]
"""Songs with labels -> accuracies of each seed."""


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", help="songs with one label each")
    parser.add_argument("--songs", nargs="+", type=int, default=[20, 60, 100, 300])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--window-s", type=float, default=3.0)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--workdir", required=True, help="of the runs, the table and the picture")
    asked = parser.parse_args(argv)
    found: dict[str, Runs] = {}
    for folder in map(Path, asked.folders):
        name = "-".join(folder.resolve().parts[-2:])
        for seed in range(asked.seeds):  # so that what is interrupted has all sizes
            for songs in asked.songs:
                if not has_so_many(folder, songs=songs, seed=seed):
                    print(f"{name}: seed {seed} leaves no {songs} songs in groups of fewer")
                    continue
                run = Path(asked.workdir) / f"{name}-{songs}-{seed}"
                measured = measure(asked, folder, run, songs=songs, seed=seed)
                found.setdefault(name, {}).setdefault(songs, []).append(measured)
                print(run.name, {k: round(v, 3) for k, v in measured.items()}, flush=True)
    if not found:
        parser.error(f"--songs {asked.songs}: no folder has so many to learn from")
    write_text(Path(asked.workdir) / "few_songs.json", json.dumps(found, indent=2))
    draw(found).savefig(Path(asked.workdir) / "few_songs.png")
    for name, runs in found.items():
        print(f"\n{name}\n\n{table(runs)}")


def has_so_many(folder: Path, *, songs: int, seed: int) -> bool:
    """Whether a folder has so many songs beside those of the test, in groups that are smaller."""
    source = data.build("folder", sample_rate_hz=22050, path=str(folder))
    dealt = _dealt(source, seed=seed)
    if not dealt["test"] or sum(map(len, dealt["pool"])) < songs:
        return False
    return len(_taken(source, dealt["pool"], songs=songs)) > 1


def few_songs(*, sample_rate_hz: int, path: str, songs: int, seed: int) -> Source:
    """A folder of which so many songs have labels that may be learnt from, up to a group fewer."""
    source = data.build("folder", sample_rate_hz=sample_rate_hz, path=path)
    dealt = _dealt(source, seed=seed)
    taken = _taken(source, dealt["pool"], songs=songs)
    is_valid = np.arange(len(taken)) % 5 == min(4, len(taken) - 1)
    return derived(
        source,
        None,
        settings=["few_songs", songs, seed],
        note=f"{songs} songs",
        splits={
            "train": np.concatenate([g for g, v in zip(taken, is_valid, strict=True) if not v]),
            "valid": np.concatenate([g for g, v in zip(taken, is_valid, strict=True) if v]),
            "test": np.sort(np.concatenate(dealt["test"])),
        },
    )


def _taken(source: Source, pool: Sequence[np.ndarray], *, songs: int) -> list[np.ndarray]:
    """Groups of at most so many songs together, of each label in turn."""
    queues: dict[int, list[np.ndarray]] = {}
    for members in pool:
        queues.setdefault(int(source.targets[members[0]]), []).append(members)
    taken: list[np.ndarray] = []
    while sum(map(len, taken)) < songs and any(queues.values()):
        taken += [queue.pop() for _, queue in sorted(queues.items()) if queue]
    while sum(map(len, taken)) > songs and len(taken) > 1:
        taken.pop()
    return taken


def _dealt(source: Source, *, seed: int) -> dict[str, list[np.ndarray]]:
    """Songs with labels, by group, in an order that the seed draws: of the test, and others."""
    labelled = np.flatnonzero(np.asarray(source.targets) >= 0)
    groups = np.array(groups_of(source.info, labelled) or labelled.astype(str))
    names = np.random.default_rng(seed).permutation(np.unique(groups))
    dealt = [labelled[groups == name] for name in names]
    return {"test": dealt[: len(dealt) // 3], "pool": dealt[len(dealt) // 3 :]}


def measure(
    asked: argparse.Namespace, folder: Path, run: Path, *, songs: int, seed: int
) -> dict[str, float]:
    """{method: accuracy of the test songs}, kept in the run."""
    kept = run / "few_songs.json"
    recipe = {"path": str(folder), "window_s": asked.window_s, "steps": asked.steps}
    config = config_lib.named("folder", **recipe)
    config.seed = seed
    config.data.name = "benchmarks.few_songs:few_songs"
    with config.data.unlocked():
        config.data.args = {"path": str(folder), "songs": songs, "seed": seed}
    train(config, workdir=run)  # which refuses a run of other settings
    if kept.exists():
        return json.loads(kept.read_text())
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


def table(runs: Runs) -> str:
    """As Markdown."""
    head = (*METHODS, *(f"{name} − {NAME}" for name in METHODS[:2]))
    lines = [f"| songs | {' | '.join(head)} |", "|---" * (1 + len(head)) + "|"]
    for songs, seeds in runs.items():
        plain = [[of[name] for of in seeds] for name in METHODS]
        over = [[of[name] - of[NAME] for of in seeds] for name in METHODS[:2]]
        told = [_told(values, "") for values in plain] + [_told(values, "+") for values in over]
        lines.append(f"| {songs} | {' | '.join(told)} |")
    return "\n".join(lines)


@styled
def draw(found: Mapping[str, Runs]) -> Figure:
    """Accuracy against the number of songs, a panel for each folder: means, and every seed."""
    figure, all_axes = panels(len(found), columns=3, width=3.4, height=2.8)
    for axes, (name, runs) in zip(all_axes, found.items(), strict=True):
        for method, shade in zip(METHODS, (ACCENT, MUTED, PALETTE[1]), strict=True):
            values = [[of[method] for of in seeds] for seeds in runs.values()]
            axes.plot(list(runs), list(map(np.mean, values)), "o-", color=shade, label=method)
            for songs, seeds in zip(runs, values, strict=True):
                axes.plot([songs] * len(seeds), seeds, ".", color=shade, alpha=0.5, markersize=4)
        axes.set(title=name, xlabel="songs with labels", ylabel=METRIC, xscale="log")
        axes.set_xticks(list(runs), list(map(str, runs)))
        axes.minorticks_off()
    figure.legend(*all_axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _told(values: Sequence[float], sign: str) -> str:
    found = mean_interval(values, num_folds=3)
    return f"{found['mean']:{sign}.3f} ± {found['half_width']:.3f}"


if __name__ == "__main__":
    main()
