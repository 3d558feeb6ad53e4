"""A config becomes its parts: the data, the network on it, and how an example must look."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import grain
import numpy as np
from ml_collections import ConfigDict

from mclf_jax import augment, data, models, objectives
from mclf_jax.audio.features import Features
from mclf_jax.augment import Augmentation, Chains
from mclf_jax.data import pipeline, sampling
from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.source import Source
from mclf_jax.data.base.targets import Targets
from mclf_jax.data.pipeline import Batch, Input
from mclf_jax.data.views import apply as view
from mclf_jax.data.views import pretext
from mclf_jax.data.words import Words, words_of
from mclf_jax.models import Model
from mclf_jax.objectives import Objective


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What training, evaluation and inspection of a config have in common."""

    config: ConfigDict
    source: Source
    model: Model

    def inputs_of(self, objective: Objective) -> Input:
        """How the pipeline makes an example for training with an objective."""
        span_s = self.config.data.view_span_s
        span = None if span_s is None else round(span_s * self.model.features.sample_rate_hz)
        if span is not None and span < self.model.window_samples:
            raise ValueError(
                f"data.view_span_s is {span_s}; it must be at least the length of a window, "
                f"{self.model.window_s:.4g}"
            )
        return dataclasses.replace(
            self.inputs, num_views=objective.num_views, view_span=span, words=self.words
        )

    @property
    def inputs(self) -> Input:
        """How the pipeline makes an example of a window."""
        in_pipeline = self.config.features.on == "pipeline"
        return Input(
            num_samples=self.model.window_samples,
            short=self.config.data.short,
            features=self.model.features if in_pipeline else None,
        )

    @functools.cached_property  # it may read recordings
    def chains(self) -> Chains:
        """How examples are changed in training."""
        return augment.build(self.config.augment, features=self.model.features)

    @property
    def pipeline_augmentation(self) -> Augmentation | None:
        """Those of waveforms, if the pipeline is to apply them."""
        return self.chains.waveform if self.config.augment.on == "pipeline" else None

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

    @functools.cached_property
    def words(self) -> Words | None:
        """What is said of the songs, where the objective learns that."""
        name = self.config.objective.name
        if not objectives.traits(name).needs_words:
            return None
        settings = objectives.arguments_of(name) | dict(self.config.objective.args)
        return words_of(
            self.source,
            text_encoder=self.model.module.text_encoder,
            text_size=self.model.module.text_size,
            **{name: settings[name] for name in ("words", "unseen", "dropout")},
        )

    @functools.cached_property
    def train_indices(self) -> np.ndarray:
        """The songs to train on, of all `data.train_splits`; those with words, if these count."""
        wanted, there = self.config.data.train_splits, self.source.info.splits
        found = [name for name in wanted if len(there.get(name, ()))]
        songs = np.concatenate([self.indices(name) for name in found or wanted[:1]])
        return songs if self.words is None else songs[self.words.any(songs)]

    @functools.cached_property
    def train_weights(self) -> np.ndarray | None:
        """How often each of them is drawn, or None: once an epoch."""
        settings = self.config.data
        return sampling.weights(
            self.source,
            self.train_indices,
            by=settings.sampling,
            balance=settings.balance,
            tag_rule=settings.tag_rule,
        )

    def iterate(self, batches: grain.MapDataset) -> Iterator[Batch]:
        """Read batches ahead, in threads and processes as `runtime` says; close it at the end."""
        runtime = self.config.runtime
        return pipeline.iterate(
            batches,
            num_threads=runtime.num_threads,
            prefetch=runtime.prefetch,
            num_workers=runtime.num_workers,
        )

    def targets(self, split: str) -> Targets:
        """Labels of a split, int [N], float [N, K] or tags."""
        return target_lib.take(self.source.targets, self.indices(split))


def build(config: ConfigDict) -> Experiment:
    """Open the data set of a config and build the network for it."""
    features = features_of(config)
    source = data.build(
        config.data.name,
        sample_rate_hz=features.sample_rate_hz,
        split_rule=config.data.split_rule,
        split_fractions=config.data.split_fractions,
        **config.data.args,
    )
    source = view.apply(source, **view.fields_of(config.data))
    if config.data.target:
        source = pretext.apply(source, config.data.target, **config.data.target_args)
    # Without labels there is still a head, which nothing trains.
    num_labels = max(1, len(source.info.labels))
    return Experiment(config, source, build_model(config, num_labels=num_labels))


def features_of(config: ConfigDict) -> Features:
    """What the network of a config takes in."""
    arguments = config.model.args.to_dict()
    return models.features_of(config.model.name, _feature_changes(config), arguments=arguments)


def build_model(config: ConfigDict, *, num_labels: int) -> Model:
    """The network of a config, for K labels."""
    whole_songs = config.data.level == "song"
    return models.build(
        config.model.name,
        num_labels=num_labels,
        features=_feature_changes(config),
        window_s=config.data.song_s if whole_songs else config.model.window_s,
        dtype=config.model.dtype,
        remat=config.model.remat,
        **config.model.args.to_dict(),
    )


def _feature_changes(config: ConfigDict) -> dict[str, Any]:
    own = {k: v for k, v in config.features.items() if k not in ("on", "args") and v is not None}
    return own | dict(config.features.get("args", {}))
