"""A run and a split become window scores, song scores, metrics and a report."""

import dataclasses
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mclf_jax import config as config_lib
from mclf_jax import metrics
from mclf_jax.audio.files.versions import warn_of_others
from mclf_jax.common import parallel
from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.columns import columns_of, groups_of
from mclf_jax.data.base.source import Info, Source
from mclf_jax.data.base.targets import Targets
from mclf_jax.data.views import hidden
from mclf_jax.evaluation import aggregation
from mclf_jax.evaluation.result import Report, load_report, saved_splits
from mclf_jax.evaluation.windows import NOT_FINITE, Rows, make_step, song_batches
from mclf_jax.metrics import outside
from mclf_jax.metrics.bootstrap import draws
from mclf_jax.objectives.supervised import tree_of_run
from mclf_jax.run import experiment, restore
from mclf_jax.run.directory import check_data, read_config
from mclf_jax.run.experiment import Experiment
from mclf_jax.run.weights import load_variables, open_run, why_unfit

PyTree = Any
# The `eval.metric` that compares nothing: the newest checkpoint is the one that is used.
LAST = "last"


@dataclasses.dataclass(frozen=True)
class SongScores:
    """What a network says of the songs of a split.

    Attributes:
        indices: int [N], the songs in the source.
        scores: [N, K], of the windows of each song as `eval.aggregation` says.
        targets: int [N] or float [N, K], NaN where not observed; numbers in their own unit.
        loss: mean over all windows of songs with an observed label; NaN if there is none.
        num_windows: how many that were.
        skipped: indices of songs that could not be read at all; they are in none of the above.
    """

    indices: np.ndarray
    scores: np.ndarray
    targets: np.ndarray
    loss: float
    num_windows: int
    skipped: tuple[int, ...]


def score_songs(
    parts: Experiment, songs: np.ndarray, variables: PyTree, *, mesh: Mesh
) -> SongScores:
    """Scores of songs and the loss by their labels; arguments and engine: `windows.song_batches`.

    Whatever the length of the songs, windows go through the network in batches of
    `eval.batch_size`, and every process gets the scores of all of them.

    Raises:
        ValueError: not one song could be read, or the batch does not fit the devices.
    """
    how, task = parts.config.eval.aggregation, parts.source.info.task
    aggregation.check(how, task=task, field="eval.aggregation")
    step = make_step(
        parts.model,
        outputs=("scores", "loss"),
        task=task,
        distance=parts.config.objective.distance,
        tree=tree_of_run(parts.config, parts.source.info),
        unit=parts.source.info.unit,
        mesh=mesh,
    )
    order, heard, losses = np.argsort(songs), [], []

    def batches() -> Iterator[Rows]:
        for rows in song_batches(parts, songs, variables, step=step, mesh=mesh):
            heard.append(order[np.searchsorted(songs, rows["index"], sorter=order)])
            losses.append(rows["loss"])
            yield {"index": heard[-1], "scores": rows["scores"]}

    found = aggregation.song_scores(batches(), num_songs=len(songs), how=how, task=task)
    readable = found["counts"] > 0
    if not readable.any():
        raise ValueError("not one song of the split could be read")
    bad = np.flatnonzero(readable & ~np.isfinite(found["means"]).all(axis=1))
    if len(bad):
        name = parts.source.item_id(int(np.asarray(songs)[bad[0]]))
        raise ValueError(f"{len(bad)} of {len(songs)} songs, such as {name}: {NOT_FINITE}")
    # A song of which nothing is known has loss 0, which would only thin out the mean.
    labelled = target_lib.any_known(target_lib.take(parts.source.targets, songs))
    judged = np.concatenate(losses)[labelled[np.concatenate(heard)]].astype(np.float64)
    return SongScores(
        indices=np.asarray(songs)[readable],
        scores=found["means"] if readable.all() else found["means"][readable],
        targets=target_lib.in_own_unit(
            parts.source.targets[np.asarray(songs)[readable]], parts.source.info.unit
        ),
        loss=float(judged.mean()) if len(judged) else float("nan"),
        num_windows=sum(map(len, heard)),
        skipped=tuple(int(i) for i in np.asarray(songs)[~readable]),
    )


def compute_metrics(parts: Experiment, scores: SongScores) -> metrics.Metrics:
    """Song-level metrics; `values` has the mean window loss too, what a hierarchy adds, and
    `eval.metrics`."""
    names = parts.config.eval.metrics
    result = metrics_of(parts.source.info, scores.scores, scores.targets, others=names)
    return dataclasses.replace(result, values={"loss": scores.loss} | result.values)


def metrics_of(
    info: Info, scores: np.ndarray, targets: np.ndarray, *, others: Sequence[str] = ()
) -> metrics.Metrics:
    """Metrics of songs [N, K] of a data set, with those of its hierarchy if it has one, and others
    by name (`eval.metrics`)."""
    result = metrics.compute(info.task, scores, targets, labels=info.labels)
    more = outside.values(others, scores, targets, labels=info.labels)
    if metrics.hierarchical_names(info.task, info.parents):
        of_tree = {"labels": info.labels, "parents": info.parents}
        more = metrics.hierarchical(scores, targets, **of_tree) | more
    more = {name: value for name, value in more.items() if name not in result.values}
    return dataclasses.replace(result, values=result.values | more)


def intervals_of(
    info: Info,
    scores: np.ndarray,
    targets: np.ndarray,
    *,
    names: Sequence[str],
    groups: Sequence[str],
) -> dict[str, dict[str, float]]:
    """{metric: {"low", "high"}} of songs of a data set, 95 % by bootstrap over their groups, or
    over the songs where () are known."""
    how = {"labels": info.labels, "parents": info.parents, "groups": groups}
    return {
        name: metrics.confidence_interval(info.task, scores, targets, metric=name, **how)
        for name in names
    }


def fields_of_report(
    source: Source,
    songs: np.ndarray,
    *,
    info: Info,
    scores: np.ndarray,
    targets: np.ndarray,
    found: metrics.Metrics,
    meta: Mapping[str, Any],
) -> dict[str, Any]:
    """What a `Report` says of N songs of a data set, whatever was scored on them.

    Args:
        source: of the songs.
        songs: int [N], those that were scored.
        info: what they were judged by: task, labels, parents.
        scores, targets: of the songs, by these labels.
        found: their metrics.
        meta: of the report, to which "intervals" is added, what they are made of.
    """
    shown = metrics.HEADLINES[info.task] + metrics.hierarchical_names(info.task, info.parents)
    groups, kind = groups_of(source.info, songs), source.info.group_kind
    return {
        "task": info.task,
        "labels": info.labels,
        "items": tuple(source.item_id(int(i)) for i in songs),
        "scores": scores,
        "targets": targets,
        "metrics": found.values,
        "per_label": found.per_label,
        "undefined": found.undefined,
        "intervals": intervals_of(info, scores, targets, names=shown, groups=groups),
        "parents": dict(info.parents),
        "groups": groups,
        "group_kind": kind,
        "columns": columns_of(source, songs),
        "meta": {**meta, "intervals": draws(groups, kind=kind, num_songs=len(songs))},
    }


def evaluate(
    run: str | Path,
    *,
    split: str = "test",
    config: ConfigDict | None = None,
    data_change: str = "refuse",
) -> Report:
    """Score a split of a run's data set with the run's best checkpoint.

    Args:
        run: a run directory of `mclf train`.
        split: "test", "valid" or "train"; "hidden": training songs whose labels the run did not
            use (`data.fraction`, `data.songs_per_label`).
        config: that of the run (`read_config`) with other fields of `data` and `eval`, such
            as where the data are now; what it was trained with when not given.
        data_change: "refuse" or "allow" data with another fingerprint than the run's.

    Returns:
        A report with song-level metrics, 95 % intervals and all scores; `save` it.

    Raises:
        FileNotFoundError: not a run directory, or nothing was trained in it yet.
        ValueError: the split is empty, no labels are hidden, `config` is that of another network,
            or the data are not those of the run.
    """
    opened = open_run(run)
    run, meta = opened.path, opened.meta
    if why := why_unfit(opened):
        raise ValueError(
            f"{run}: {why}, so there is nothing to score; see what its embeddings are good for "
            "with `mclf probe`"
        )
    parts = open_own(run, config=config, data_change=data_change)
    config, info = parts.config, parts.source.info
    if split == hidden.HIDDEN:
        parts = dataclasses.replace(parts, source=hidden.revealed(parts.source))
    mesh = parallel.make_mesh(parts.config.runtime.num_devices)
    best = load_variables(run, parts.model, mesh)
    scores = score_songs(parts, parts.indices(split), best["variables"], mesh=mesh)
    result = compute_metrics(parts, scores)
    skipped = [(parts.source.item_id(i), "could not be read") for i in scores.skipped]
    meta |= {
        "step": best["step"],
        "asked": _asked(config),
        "same_data_as_trained_on": info.fingerprint == meta["data"]["fingerprint"],
    }
    judged = {"scores": scores.scores, "targets": scores.targets, "found": result, "meta": meta}
    return Report(
        run_name=run.resolve().name,
        dataset=info.name,
        split=split,
        num_windows=scores.num_windows,
        skipped=tuple(info.skipped) + tuple(skipped),
        **fields_of_report(parts.source, scores.indices, info=info, **judged),
    )


def open_own(
    run: str | Path, *, config: ConfigDict | None = None, data_change: str = "refuse"
) -> Experiment:
    """The data set of a run and its network, for its best checkpoint; arguments of `evaluate`.

    Raises:
        FileNotFoundError, ValueError: see `evaluate`.
    """
    opened = open_run(run)
    run, meta, config = opened.path, opened.meta, config_of(opened.path, config)
    outside.directions(config.eval.metrics)  # raises, before songs are decoded, as does this:
    restore.best_step(run / "checkpoints")
    warn_of_others(meta.get("audio", {}))
    parts = experiment.build(config)
    check_data(run, meta, parts.source, data_change=data_change)
    return parts


def config_of(run: Path, config: ConfigDict | None) -> ConfigDict:
    """That of a run, or `config` if it differs in fields of data and eval alone.

    Raises:
        ValueError: it differs in others, or does not make sense.
    """
    trained = read_config(run)
    if config is None:
        return trained
    changed = config_lib.differences(trained, config)
    if fixed := [name for name in changed if not name.startswith(("data.", "eval."))]:
        raise ValueError(
            f"{', '.join(fixed)}: a run is evaluated as it was trained; only fields of data, eval "
            "and runtime may be others"
        )
    return config_lib.validate(config)


def _asked(config: ConfigDict) -> dict[str, Any]:
    """The fields that decide which songs are scored, and how; not where they lie."""
    fields = json.loads(json.dumps(config_lib.flatten(config)))
    return {
        name: value
        for name, value in fields.items()
        if name.startswith(("data.", "eval."))
        and name != "data.args.path"
        # Reports of earlier versions knew no other.
        and (name, value) != ("eval.aggregation", "mean")
    }


def evaluate_once(
    run: str | Path, *, split: str = "test", config: ConfigDict | None = None
) -> Report:
    """The saved report of a split if it is what `evaluate` would give; else a new one, saved.

    It is one of the run's best checkpoint, on the same data in the same windows. Arguments and
    errors are those of `evaluate`.
    """
    run = Path(run)
    if split in saved_splits(run / "report"):
        wanted = {
            "step": restore.best_step(run / "checkpoints"),
            "asked": _asked(config_of(run, config)),
            "same_data_as_trained_on": True,
        }
        try:
            report = load_report(run / "report", split)
        except ValueError as error:
            warnings.warn(f"{error}; {split} is evaluated again", stacklevel=2)
        else:
            if all(report.meta.get(name) == value for name, value in wanted.items()):
                return report
    report = evaluate(run, split=split, config=config)
    report.save(run / "report")
    return report


def check_defined(name: str, parts: Experiment, *, split: str) -> None:
    """Raise a ValueError if the labels of a split leave `eval.metric` undefined.

    They do or do not whatever is predicted, so that it is known before anything is trained.
    """
    info, targets = parts.source.info, parts.targets(split)
    needs = {
        "single_label": "songs of a label and songs of another",
        "multi_label": "a label that some of its songs have and some have not",
        "regression": "numbers that differ",
    }[info.task]
    if name == "loss":
        needs = "a label that is known"
        value = 0.0 if target_lib.any_known(targets).any() else np.nan
    else:
        labels, few = _few_songs(info, targets)
        scores = np.full((len(few), len(labels)), 1 / len(labels))
        few_labels = dataclasses.replace(info, labels=labels)
        value = metrics_of(few_labels, scores, few).values.get(name, 0.0)
    if np.isnan(value):
        raise ValueError(
            f"eval.metric is {name!r}, which is undefined for the {len(targets)} songs of the "
            f"split {split}, whatever is predicted: it needs {needs}; choose another metric, or "
            "give the split other songs"
        )


def _few_songs(info: Info, targets: Targets) -> tuple[tuple[str, ...], np.ndarray]:
    """Labels and targets of a few songs for which the same metrics are undefined."""
    if info.task == "regression":
        return info.labels, targets[:]
    num_with = target_lib.count_positives(targets, num_labels=len(info.labels))
    if info.task == "single_label":
        kept = np.argsort(-num_with, kind="stable")[:2]
        return tuple(info.labels[k] for k in kept), np.flatnonzero(num_with[kept])
    num_without = target_lib.count_observed(targets, num_labels=len(info.labels)) - num_with
    # A song with the labels that any has, and one without those that any is known not to have.
    found, kept = np.unique([num_with > 0, num_without > 0], axis=1, return_index=True)
    few = np.where(found, np.float32([[1], [0]]), np.float32(np.nan))
    return tuple(info.labels[k] for k in kept), few


def check_metric(
    name: str,
    *,
    task: str,
    parents: Mapping[str, str],
    labels: Sequence[str] = (),
    others: Sequence[str] = (),
) -> None:
    """Raise a ValueError that lists the choices if `eval.metric` is none of the data set's.

    Args:
        name: of the metric.
        task: of the data set.
        parents: of its labels; empty where they are in no hierarchy.
        labels: in their order, as those of keys have a metric of their own.
        others: `eval.metrics`, which are named without their places.
    """
    names = ("loss", *metrics.names_of(task, labels), *metrics.hierarchical_names(task, parents))
    names += (*outside.directions(others), LAST)
    if name not in names:
        why = ", but the labels are in no hierarchy" if name in metrics.HIERARCHICAL else ""
        allowed = ", ".join(names)
        raise ValueError(f"eval.metric is {name!r}{why}; for task {task} allowed: {allowed}")
