"""A soup: one network whose weights are the mean of those of several runs from one start."""

import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mclf_jax import config as config_lib
from mclf_jax import metrics
from mclf_jax.common import checks, parallel
from mclf_jax.common.storage.working import on_storage
from mclf_jax.evaluation.evaluate import compute_metrics, score_songs
from mclf_jax.run import checkpoint, experiment, songs
from mclf_jax.run.directory import write_run
from mclf_jax.run.weights import Run, load_variables, open_run, why_unfit

PyTree = Any
CHOICES = ("all", "greedy")
# Of these fields networks of one architecture may differ, as far as weights are concerned.
_OF_NETWORK = ("model.name", "model.args.", "features.")


@on_storage("runs")
def make_soup(
    runs: Sequence[str | Path], out: str | Path, *, choose: str = "all"
) -> dict[str, Any]:
    """Make a run directory of the mean of the best weights of runs (Wortsman et al. 2022).

    It is as fast as one network, and often better than each, if all were trained from the same
    start: from one checkpoint (`init.path`), or with one seed. Means of networks from different
    starts are no good network, and a warning says so. Running statistics of batch norm are averaged
    like weights.

    Args:
        runs: run directories of one network, with the same labels.
        out: the run directory to make. Config and data are those of the first run.
        choose: "all", or "greedy": from the run that is best on the valid split on, a run is added
            if the soup is not worse on valid with it.

    Returns:
        {"runs": those in it, "left_out": the others, "valid": of each that "greedy" tried,
        {run: score of the soup with it}}.

    Raises:
        FileNotFoundError: not a run directory, or nothing was trained in it yet.
        ValueError: fewer than two runs, other networks or labels than the first's, or `out` holds
            a run.
    """
    checks.choice("choose", choose, CHOICES)
    out = Path(out)
    if (out / "config.json").exists():
        raise ValueError(f"{out} holds a run already; take another --out, or remove it")
    opened = [open_run(run) for run in dict.fromkeys(map(Path, runs))]
    if len(opened) < 2:
        raise ValueError(f"got {len(opened)} run(s) for a soup; give two or more")
    first = opened[0]
    for other in opened[1:]:
        _check_same(first, other)
    if len({_start(run) for run in opened}) > 1:
        warnings.warn(
            "the runs do not share a start (the same init.path, or the same seed): the mean of "
            "their weights is no good network; average their scores instead, mclf predict RUN RUN",
            stacklevel=2,
        )
    mesh = parallel.make_mesh(1)
    loaded = {run.path: load_variables(run.path, run.model, mesh) for run in opened}
    variables = {path: jax.device_get(best["variables"]) for path, best in loaded.items()}
    chosen, valid = list(variables), {}
    if choose == "greedy":
        chosen, valid = _greedy(first, variables)
    step = max(best["step"] for best in loaded.values())
    _write(out, first, mean_of([variables[path] for path in chosen]), chosen, step=step)
    return {
        "runs": [str(path) for path in chosen],
        "left_out": [str(path) for path in variables if path not in chosen],
        "valid": {str(path): score for path, score in valid.items()},
    }


def mean_of(trees: Sequence[PyTree]) -> PyTree:
    """The mean of each array over trees of the same shapes, in its dtype."""

    def mean(*leaves: np.ndarray) -> np.ndarray:
        return np.mean([np.asarray(leaf, np.float64) for leaf in leaves], axis=0).astype(
            np.asarray(leaves[0]).dtype
        )

    return jax.tree.map(mean, *trees)


def _check_same(first: Run, other: Run) -> None:
    changed = config_lib.differences(first.config, other.config)
    fields = [name for name in changed if name.startswith(_OF_NETWORK) and name != "features.on"]
    said = [f"{name} is {changed[name]['old']!r} and {changed[name]['new']!r}" for name in fields]
    if first.meta["model"] != other.meta["model"] and not said:
        said = [f"window_samples: {first.meta['model']} and {other.meta['model']}"]
    if first.meta["features"] != other.meta["features"] and not said:
        said = ["their features differ"]
    if said:
        raise ValueError(
            f"{first.path} and {other.path} are other networks ({'; '.join(said)}); weights of one "
            "architecture alone can be averaged"
        )
    if first.meta["labels"] and (
        why := why_unfit(other, task=first.meta["task"], labels=first.meta["labels"])
    ):
        raise ValueError(f"{other.path} does not go with {first.path}: {why}")


def _start(run: Run) -> tuple[str, int]:
    path = run.config.init.path
    return (path, 0) if path else ("", run.config.seed)


def _greedy(first: Run, variables: dict[Path, PyTree]) -> tuple[list[Path], dict[Path, float]]:
    """The runs of the soup, and the score of the soup with each that was tried."""
    if why := why_unfit(first):
        raise ValueError(f"{first.path}: {why}, so 'greedy' has no score to choose by; take 'all'")
    parts = experiment.build(first.config)
    mesh = parallel.make_mesh(1)
    metric = metrics.HEADLINES[parts.source.info.task][0]
    sign = 1 if metrics.direction(metric) == "max" else -1

    def score(trees: Sequence[PyTree]) -> float:
        placed = jax.device_put(mean_of(trees), parallel.replicated(mesh))
        found = score_songs(parts, parts.indices("valid"), placed, mesh=mesh)
        return compute_metrics(parts, found).values[metric]

    alone = {path: score([tree]) for path, tree in variables.items()}
    ranked = sorted(variables, key=lambda path: -sign * alone[path])
    chosen, best = [ranked[0]], alone[ranked[0]]
    tried = {ranked[0]: best}
    for path in ranked[1:]:
        tried[path] = score([variables[one] for one in (*chosen, path)])
        if sign * tried[path] >= sign * best:
            chosen, best = [*chosen, path], tried[path]
    return chosen, tried


def _write(out: Path, first: Run, variables: PyTree, chosen: Sequence[Path], *, step: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    checkpoints = checkpoint.open_checkpoints(out / "checkpoints")
    try:
        checkpoint.save_best(checkpoints, step, variables)
    finally:
        checkpoint.close(checkpoints)
    if (first.path / songs.FILE_NAME).is_file():
        shutil.copy(first.path / songs.FILE_NAME, out / songs.FILE_NAME)
    meta = dict(first.meta) | {"soup_of": [path.resolve().name for path in chosen]}
    write_run(out, config=first.config, meta=meta, skipped=())
