"""A config becomes its parts: the data, the network on it, and how an example must look."""

import dataclasses

import numpy as np
from ml_collections import ConfigDict

from mclf_jax import data, models
from mclf_jax.data.pipeline import Input
from mclf_jax.data.source import Source
from mclf_jax.models import Model


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What training, evaluation and inspection of a config have in common."""

    config: ConfigDict
    source: Source
    model: Model

    @property
    def inputs(self) -> Input:
        """How the pipeline makes an example of a window."""
        in_pipeline = self.config.features.on == "pipeline"
        return Input(
            num_samples=self.model.window_samples,
            short=self.config.data.short,
            features=self.model.features if in_pipeline else None,
        )

    def indices(self, split: str) -> np.ndarray:
        """The songs of a split.

        Raises:
            ValueError: there is no such split, or nothing is in it.
        """
        splits = self.source.info.splits
        if not len(splits.get(split, ())):
            there = ", ".join(f"{name} ({len(items)})" for name, items in splits.items())
            raise ValueError(f"no songs in split {split!r} of {self.source.info.name}; got {there}")
        return np.asarray(splits[split])

    def labels(self, split: str) -> np.ndarray:
        """Labels of a split, int [N] or float [N, K]."""
        return np.stack([self.source.label(int(i)) for i in self.indices(split)])


def build(config: ConfigDict) -> Experiment:
    """Open the data set of a config and build the network for it."""
    changes = {k: v for k, v in config.features.items() if k != "on" and v is not None}
    features = models.features_of(config.model.name, changes)
    source = data.build(
        config.data.name, sample_rate_hz=features.sample_rate_hz, **config.data.args
    )
    whole_songs = config.data.level == "song"
    model = models.build(
        config.model.name,
        num_labels=len(source.info.labels),
        features=changes,
        window_s=config.data.song_s if whole_songs else config.model.window_s,
        **config.model.args,
    )
    return Experiment(config, source, model)
