"""`mclf_jax.evaluate`: a run on its own data, or any model on any other."""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from mclf_jax import config as config_lib
from mclf_jax import objectives
from mclf_jax.api import Tagger, load
from mclf_jax.common import parallel
from mclf_jax.common.storage.working import on_storage
from mclf_jax.config.load import override
from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.source import Source
from mclf_jax.evaluation import evaluate as of_run
from mclf_jax.evaluation.aggregation import song_scores
from mclf_jax.evaluation.along import taggrams
from mclf_jax.evaluation.result import Report
from mclf_jax.evaluation.windows import NOT_FINITE, Rows, song_batches
from mclf_jax.export.bundle import Bundle, make_step, right_scores, takes_words, with_words
from mclf_jax.export.collect import Paths
from mclf_jax.metrics import outside
from mclf_jax.run.directory import describe_data, read_config, read_meta
from mclf_jax.run.experiment import Experiment
from mclf_jax.trial import labels as label_lib
from mclf_jax.trial.page import write_report
from mclf_jax.trial.sources import mark_of, name_of, open_data, place_of, songs_of

_BATCH_SIZE = 16


@on_storage("run")
def evaluate(
    run: Paths | Tagger,
    *,
    split: str | None = None,
    config: ConfigDict | None = None,
    data_change: str = "refuse",
    data: str | os.PathLike | Source | None = None,
    path: str | os.PathLike | None = None,
    arguments: Mapping[str, Any] | None = None,
    synonyms: label_lib.Synonyms | None = None,
    num_windows: int | None = None,
    hop_s: float | None = None,
    metrics: Sequence[str] | None = None,
    words: Sequence[str] | None = None,
    out: str | os.PathLike | None = None,
) -> Report:
    """Score songs of a run's own data, or of other data that the model never saw.

    Of other data, labels are matched by name: exact names first, then without case, punctuation
    and prefixes such as "genre---", and by synonyms. Scores are over the labels that both have;
    `Report.meta["labels"]` says which, and what either side has alone. See `trial.labels.joined`
    for what is compared where one side has single labels and the other tags.

    Args:
        run: a run directory of `mclf train` or `mclf convert`; or whatever else `load` takes, such
            as an exported file, or a `Tagger`: then `data` must be given.
        split: "test" (when not given), "valid" or "train"; "hidden": training songs whose labels
            the run did not use. Of other data also "all", which is taken if they come without
            splits of their own.
        config: of the run's own data: that of the run with other fields of `data` and `eval`.
        data_change: of the run's own data: "refuse" or "allow" another fingerprint than the run's.
        data: other data: a name (`mclf data list`, "mtat", ...), a folder, or an open `Source`.
        path: where data of that name are on disk.
        arguments: of their reader, such as {"subset": "medium"}.
        synonyms: {name: name or names that mean the same}, a taxonomy, or a JSON or TOML file of
            either; when not given, the `data.taxonomy` that the run was trained under.
        num_windows, hop_s: how songs of other data are cut, if not as the model says.
        metrics: names of others beside those of the task, as in `eval.metrics`; those of the run's
            config when not given, of other data where the task is the same.
        words: of runs that were trained beside words (`configs/words.py`), which of the labels of
            the data are asked for, seen in training or not; all of them when not given.
        out: of other data: a folder for the report and its page, index.html. That of a run on its
            own data is written by `mclf report`.

    Returns:
        A report with song-level metrics, 95 % intervals and all scores; `save` it.

    Raises:
        FileNotFoundError: there is no such run or file, or nothing was trained in it yet.
        ValueError: the split is empty, the data are not those of the run, or no label is common.
    """
    if data is None:
        of_other = (path, arguments or None, synonyms, num_windows, hop_s, out)
        if any(given is not None for given in of_other):
            raise ValueError(
                "path, arguments, synonyms, num_windows, hop_s and out are for other data: say "
                "which by data; for the run's own there is config"
            )
        if not isinstance(run, str | Path) or Path(run).is_file():
            what = "a tagger" if isinstance(run, Tagger) else run
            raise ValueError(f"{what} has no data of its own: say on what to score it by data")
        if metrics is not None:
            config = override(config or read_config(Path(run)), {"eval.metrics": tuple(metrics)})
        how = {"config": config, "data_change": data_change}
        split = split or "test"
        if not objectives.traits(read_config(Path(run)).objective.name).needs_words:
            if words is not None:
                with_words(load(run).bundle, words)  # says why not
            return of_run.evaluate(run, split=split, **how)
        own = of_run.open_own(run, **how)
        cut = own.config.eval
        how = {"hop_s": cut.hop_s, "num_windows": None if cut.hop_s else cut.num_windows}
        how |= {"metrics": cut.metrics, "words": words}
        return on_other_data(run, own.source, split=split, **how)["report"]
    if config is not None or data_change != "refuse":
        raise ValueError("config and data_change are of the run's own data; leave data out")
    how = {"synonyms": synonyms, "num_windows": num_windows, "hop_s": hop_s, "metrics": metrics}
    how |= {"words": words}
    of_data = {"split": split, "path": path, "arguments": arguments}
    found = on_other_data(run, data, **of_data, **how)
    if out is not None:
        write_report(found, out)
    return found["report"]


@on_storage("run")
def on_other_data(
    run: Paths | Tagger,
    data: str | os.PathLike | Source,
    *,
    split: str | None = None,
    path: str | os.PathLike | None = None,
    arguments: Mapping[str, Any] | None = None,
    synonyms: label_lib.Synonyms | None = None,
    num_windows: int | None = None,
    hop_s: float | None = None,
    metrics: Sequence[str] | None = None,
    words: Sequence[str] | None = None,
) -> dict[str, Any]:
    """What `evaluate` found, "report", and what its page is made of: "source", "model", and
    "taggram_of", from the name of a song to its scores along time."""
    bundle = run.bundle if isinstance(run, Tagger) else load(run).bundle
    bundle = Tagger.of(bundle, num_windows=num_windows, hop_s=hop_s).bundle
    if words is not None:
        bundle = with_words(bundle, words)
    elif not bundle.labels and not takes_words(bundle):
        raise ValueError(f"{bundle.name} has learnt no labels; see what it is good for by probing")
    if synonyms is None:
        synonyms = _own_taxonomy(run)
    same = label_lib.read_synonyms(synonyms)
    rate = bundle.sample_rate_hz
    source = open_data(data, path=path, arguments=dict(arguments or {}), sample_rate_hz=rate)
    info = source.info
    if takes_words(bundle) and info.task != "regression":
        bundle = with_words(bundle, bundle.labels or info.labels, task=info.task)
    task = label_lib.common_task(bundle.task, info.task)
    others = _others(run, metrics, task=task)
    outside.directions(others)  # raises before songs are heard
    matched = label_lib.match(bundle.labels, info.labels, synonyms=same)
    least = 2 if task == "single_label" else 1
    if len(matched.labels) < least:
        raise ValueError(
            f"{_name_of_model(run, bundle)} and {name_of(data, info, path)} have "
            f"{len(matched.labels)} labels in common, and it takes {least}: "
            + "; ".join(label_lib.told(matched))
            + "; say by synonyms "
            "(--synonyms FILE) which names mean the same"
        )
    split, songs = songs_of(source, split)
    found = score_songs(bundle, source, songs)
    tasks = {"of_model": bundle.task, "of_data": info.task}
    heard = songs[found["readable"]]
    targets = target_lib.in_own_unit(source.targets[heard], info.unit)
    both = label_lib.joined(matched, found["scores"], targets, **tasks)
    kept = heard[both["kept"]]
    if not len(kept):
        raise ValueError(f"not one song of split {split!r} has a label that both have")
    judged = dataclasses.replace(
        info,
        task=task,
        labels=matched.labels,
        parents={
            child: parent
            for child, parent in info.parents.items()
            if {child, parent} <= set(matched.labels)
        },
    )
    scores, targets = both["scores"], both["targets"]
    unread = [(source.item_id(int(i)), "could not be read") for i in songs[~found["readable"]]]
    place = place_of(data, info, path)
    meta = {
        "step": bundle.about.get("step"),
        "trained_on": _trained_on(bundle),
        "data": describe_data(info),
        "place": place,
        "folder": name_of(data, info, path) + mark_of(place, dict(arguments or {})),
        "labels": {
            "both": len(matched.labels),
            "renamed": matched.renamed,
            "only_model": list(matched.only_model),
            "only_data": list(matched.only_data),
            "told": label_lib.told(matched),
        },
        "songs_of_other_labels": int((~both["kept"]).sum()),
        "num_windows": bundle.num_windows,
        "hop_s": bundle.hop_s,
        "scores": "of the network" if bundle.scaling is None else "put right by its calibration",
        "thresholds": label_lib.thresholds_of(matched, bundle.thresholds, bundle.labels, task=task),
    }
    said = {"scores": scores, "targets": targets, "meta": meta}
    result = of_run.metrics_of(judged, scores, targets, others=others)
    report = Report(
        run_name=_name_of_model(run, bundle),
        dataset=name_of(data, info, path),
        split=split,
        num_windows=found["num_windows"],
        skipped=(*info.skipped, *unread),
        **of_run.fields_of_report(source, kept, info=judged, found=result, **said),
    )

    def taggram_of(item: str) -> dict[str, Any]:
        taggram = taggrams(parts, bundle.weights, step=make_step(bundle), mesh=mesh)(item)
        right = right_scores(bundle, taggram["scores"])
        return taggram | {"scores": label_lib.merged(matched, right, of_model=bundle.task)}

    parts, mesh = _parts(bundle, source), parallel.make_mesh(1)
    found = {"report": report, "source": source, "model": bundle.models[0]}
    return found | {"taggram_of": taggram_of}


def score_songs(bundle: Bundle, source: Source, songs: np.ndarray) -> dict[str, Any]:
    """What networks say of songs of a data set, cut as the bundle says.

    Args:
        bundle: of networks that have learnt labels.
        source: at their sample rate.
        songs: int [N], ascending.

    Returns:
        "readable", bool [N]; "scores", float64 [n, K] of those n that can be read, of
        their windows as the bundle says; "num_windows".

    Raises:
        ValueError: not one song can be read, or scores are not finite.
    """
    parts = _parts(bundle, source)
    mesh = parallel.make_mesh(1)
    step, count = make_step(bundle), 0

    def batches() -> Iterator[Rows]:
        nonlocal count
        how = {"step": step, "mesh": mesh, "title": "evaluate"}
        for rows in song_batches(parts, songs, bundle.weights, **how):
            count += len(rows["index"])
            place = np.searchsorted(songs, rows["index"])
            attention = {name: rows[name] for name in ("attention",) if name in rows}
            yield {"index": place, "scores": rows["scores"], **attention}

    said = {"how": bundle.aggregation, "task": bundle.task}
    found = song_scores(batches(), num_songs=len(songs), **said)
    readable = found["counts"] > 0
    if not readable.any():
        raise ValueError("not one song of the split could be read")
    scores = right_scores(bundle, found["means"][readable])
    if (bad := ~np.isfinite(scores).all(axis=1)).any():
        name = source.item_id(int(songs[readable][bad][0]))
        raise ValueError(f"{bad.sum()} of {len(songs)} songs, such as {name}: {NOT_FINITE}")
    return {"readable": readable, "scores": scores, "num_windows": count}


def _parts(bundle: Bundle, source: Source) -> Experiment:
    """A data set and how its songs are cut for a bundle."""
    settings = config_lib.base()
    settings.eval.batch_size = _BATCH_SIZE
    if bundle.hop_s is None:
        settings.eval.num_windows = bundle.num_windows
    settings.eval.hop_s = bundle.hop_s
    settings.data.short = bundle.short
    settings.features.on = "device"  # a bundle takes in waveforms
    return Experiment(settings, source, bundle.models[0])


def _config(run: Paths | Tagger) -> ConfigDict | None:
    """That of a run directory; None of all else that there are scores from."""
    if not isinstance(run, str | Path) or not (Path(run) / "config.json").is_file():
        return None
    return read_config(Path(run))


def _others(run: Paths | Tagger, names: Sequence[str] | None, *, task: str) -> tuple[str, ...]:
    """The metrics beside those of the task: what is asked for, or what the run has of this task."""
    if names is not None:
        return tuple(names)
    config = _config(run)
    same = config is not None and read_meta(Path(str(run)))["task"] == task
    return tuple(config.eval.metrics) if config is not None and same else ()


def _own_taxonomy(run: Paths | Tagger) -> str | None:
    """The file of labels that a run was trained under, if it is still there."""
    if (config := _config(run)) is None:
        return None
    name = config.data.taxonomy
    return name if isinstance(name, str) and name and Path(name).expanduser().is_file() else None


def _name_of_model(run: Paths | Tagger, bundle: Bundle) -> str:
    return Path(run).resolve().name if isinstance(run, str | Path) else bundle.name


def _trained_on(bundle: Bundle) -> str:
    return str((bundle.about.get("data") or {}).get("name", "unknown"))
