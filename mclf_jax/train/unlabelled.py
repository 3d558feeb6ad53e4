"""Songs without labels, which a semi-supervised objective learns from beside labelled ones."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from mclf_jax import data, objectives
from mclf_jax.data.base.source import Source
from mclf_jax.evaluation.predictions import pseudo_label
from mclf_jax.evaluation.teacher import Teacher
from mclf_jax.run.experiment import Experiment


@dataclasses.dataclass(frozen=True)
class Unlabelled:
    """Songs whose own labels are not looked at.

    Attributes:
        source: of the same sample rate as the labelled ones; it may be the same.
        indices: int [N], of the songs in it.
    """

    source: Source
    indices: np.ndarray


def build(parts: Experiment, *, teacher: Teacher | None) -> Unlabelled | None:
    """What `config.unlabelled` asks for; None for objectives that need no such songs.

    Where a teacher has to predict the songs beforehand, it is done now, or read from
    `predictions/` in the teacher's run if it has been done.

    Args:
        parts: of the labelled songs.
        teacher: of objectives that need one.

    Raises:
        ValueError: the songs are not there, or the teacher is not one for them.
    """
    config = parts.config
    if not objectives.traits(config.objective.name).takes_unlabelled:
        return None
    source, indices = _songs(parts)
    if teacher is None or config.objective.args.get("predictions") != "cached":
        return Unlabelled(source, indices)
    settings = config.unlabelled if config.unlabelled.name else config.data
    found = pseudo_label(
        teacher,
        source,
        indices,
        config=config,
        open_source=lambda rate_hz: data.build(
            settings.name, sample_rate_hz=rate_hz, **_splits(config), **settings.args
        ),
        cache_dir=Path(config.objective.args.teacher) / "predictions",
    )
    return Unlabelled(found.source, found.indices)


def _songs(parts: Experiment) -> tuple[Source, np.ndarray]:
    settings, source = parts.config.unlabelled, parts.source
    if settings.name:
        rate_hz = source.info.sample_rate_hz
        try:
            source = data.build(
                settings.name, sample_rate_hz=rate_hz, **_splits(parts.config), **settings.args
            )
        except ValueError as error:
            raise ValueError(f"config.unlabelled: {error}") from error
    splits = source.info.splits
    indices = [np.asarray(splits.get(name, ()), np.int64) for name in settings.splits]
    if not any(map(len, indices)):
        there = ", ".join(f"{name} ({len(items)})" for name, items in splits.items())
        raise ValueError(
            f"unlabelled.splits is {tuple(settings.splits)}, and no song of {source.info.name} is "
            f"in there; it has {there}. Put songs without labels beside the others, use the "
            "labels of a part only (data.songs_per_label, data.fraction), or name another data set "
            "(unlabelled.name)"
        )
    return source, np.concatenate(indices)


def _splits(config: ConfigDict) -> dict[str, Any]:
    return {key: config.data[key] for key in ("split_rule", "split_fractions")}
