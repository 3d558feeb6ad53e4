"""The network of a run on the data to probe it on, and whether these can be probed."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from mclf_jax import objectives
from mclf_jax.data.base.source import Info, Source
from mclf_jax.data.catalogue.items import SPLITS
from mclf_jax.data.views.apply import UNCHANGED
from mclf_jax.data.views.base import View
from mclf_jax.data.views.hidden import ALL_LABELS
from mclf_jax.evaluation.windows import check_cut
from mclf_jax.probe.cells import Cell
from mclf_jax.run import experiment
from mclf_jax.run.experiment import Experiment
from mclf_jax.run.weights import Run, open_run


def open_parts(
    run: Path,
    source: str | Source | None,
    arguments: Mapping[str, Any] | None,
    *,
    num_windows: int | None,
    hop_s: float | None,
) -> Experiment:
    """The run's network with data, and with the config that says which; arguments as in `probe`."""
    opened = open_run(run)
    config, model = opened.config.copy_and_resolve_references(), opened.model
    if source is None and arguments:
        raise ValueError("arguments are those of a data set: say which by source")
    if source is None and config.data.name == "none":
        raise ValueError(
            f"{run} was made from weights and has no data of its own: say what to probe it on by "
            "source (--data NAME) and its arguments (--from DIR)"
        )
    # All labels that there are: which of them are used is up to the probe. And the labels, not
    # what a pretext task put in their place: its songs and artists are those of "train" alone.
    config.data.update({**ALL_LABELS, "target": ""})
    with config.unlocked():
        config.data.target_args = ConfigDict()
    if source is not None:
        config.data.update(UNCHANGED)
    if isinstance(source, str):
        config.data.name = source
        with config.unlocked():
            config.data.args = ConfigDict(dict(arguments or {}))
    check_cut(num_windows=num_windows, hop_s=hop_s)
    if num_windows is not None:
        config.eval.update({"num_windows": num_windows, "hop_s": None})
    if hop_s is not None:
        config.eval.hop_s = hop_s
    if isinstance(source, str | None):
        return dataclasses.replace(experiment.build(config), model=model)
    wanted_hz = model.features.sample_rate_hz
    if source.info.sample_rate_hz != wanted_hz:
        raise ValueError(
            f"source is at {source.info.sample_rate_hz} Hz; it must be at {wanted_hz} Hz, as the "
            "features of the run are"
        )
    return Experiment(config, source, model)


def title_of(parts: Experiment) -> str:
    """What the data are called: their name, or that of the folder if it says more."""
    name, path = parts.source.info.name, parts.config.data.args.get("path", "")
    return Path(path).name if name == "folder" and path else name


def check_splits(info: Info, *, num_folds: int) -> None:
    """Raise a ValueError if there is nothing to learn, or nothing to learn or to test it with."""
    if not info.labels:
        raise ValueError(f"{info.name} has no labels, so there is nothing to probe for")
    missing = [name for name in SPLITS if not len(info.splits.get(name, ()))]
    if missing and not num_folds:
        raise ValueError(
            f"{info.name} has no {' and no '.join(missing)} split; probe by cross-validation "
            "(num_folds=5, --folds 5) or on data with all three"
        )


def find_heard(run: Run, parts: Experiment, all_cells: Sequence[Cell]) -> list[str]:
    """A note if the run was trained on test songs of the probe, by whatever splits or folds.

    Raises:
        ValueError: it was trained on them with their labels, or with what was made of these.
    """
    trained = run.config
    own = _trained_on(run, parts)
    if own is None:
        return []
    labelled = {own.source.item_id(int(i)) for i in own.train_indices}
    heard = labelled | _heard_unlabelled(own)
    tested = {parts.source.item_id(int(i)) for cell in all_cells for i in cell.split("test")[0]}
    learnt_labels = trained.data.target in ("", "artist_group", "column")
    count = len(tested & labelled)
    if count and learnt_labels and objectives.traits(trained.objective.name).needs_labels:
        raise ValueError(
            f"{run.path} was trained with the labels of {count} songs that it would be tested on; "
            "probe it on the splits that it was trained with (no num_folds, no source), or on "
            "other data"
        )
    count = len(tested & heard)
    if not count:
        return []
    return [
        f"Pretraining ({method_of(trained)}) heard {count} of {len(tested)} test songs, "
        "without their labels."
    ]


def _trained_on(run: Run, parts: Experiment) -> Experiment | None:
    """What the run was trained on, if that is of the songs of the probe.

    It has other labels, splits and folds, and may lie elsewhere now.
    """
    config, data = run.config.copy_and_resolve_references(), run.meta["data"]
    source, path = parts.source, parts.config.data.args.get("path")
    was = config.data.args.get("path")
    if data["name"] != source.info.name:
        return None
    if was and path and config.data.name == parts.config.data.name and not Path(was).exists():
        config.data.args.path = path
        try:
            moved = experiment.build(config)
        except ValueError:  # of other songs, for which its folds or labels cannot be
            return None
        return moved if moved.source.info.fingerprint == data["fingerprint"] else None
    own = experiment.build(config)
    same_path = was and path and Path(was).resolve() == Path(path).resolve()
    same = same_path or _whole(own.source).info.fingerprint == _whole(source).info.fingerprint
    return own if same else None


def _whole(source: Source) -> Source:
    """Without what was hidden, divided or named otherwise."""
    return _whole(source.base) if isinstance(source, View) else source


def _heard_unlabelled(own: Experiment) -> set[str]:
    """Names of the songs that a semi-supervised run took from its own data set."""
    config, splits = own.config, own.source.info.splits
    if config.unlabelled.name or not objectives.traits(config.objective.name).takes_unlabelled:
        return set()
    there = (splits.get(name, ()) for name in config.unlabelled.splits)
    return {own.source.item_id(int(i)) for items in there for i in items}


def method_of(config: ConfigDict) -> str:
    """What a run was trained by: its method, and its pretext task where it has one."""
    target, method = config.data.target, objectives.method_of(config)
    return f"{method}, {target}" if target else method
