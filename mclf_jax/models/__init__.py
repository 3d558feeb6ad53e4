"""The architectures by name, and `build`, which binds one to its input representation."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from mclf_jax.audio.features import LogMel, log_mel
from mclf_jax.models import short_chunk_cnn, tutorial_cnn


class Architecture(NamedTuple):
    """A network and the input that it was published with."""

    module: type[nn.Module]
    features: LogMel
    window_samples: int


ARCHITECTURES = {
    "short_chunk_cnn": Architecture(
        short_chunk_cnn.ShortChunkCNN, short_chunk_cnn.FEATURES, short_chunk_cnn.WINDOW_SAMPLES
    ),
    "tutorial_cnn": Architecture(
        tutorial_cnn.TutorialCNN, tutorial_cnn.FEATURES, tutorial_cnn.WINDOW_SAMPLES
    ),
}


@dataclasses.dataclass(frozen=True)
class Model:
    """A network, the features it takes and the length of its input.

    Attributes:
        name: as in `ARCHITECTURES`.
        module: maps [B, F, M] to {"logits": [B, K], "embedding": [B, D]}.
        features: how a waveform becomes [F, M].
        window_samples: T of one input, at `features.sample_rate_hz`.
    """

    name: str
    module: nn.Module
    features: LogMel
    window_samples: int

    @property
    def window_s(self) -> float:
        return self.window_samples / self.features.sample_rate_hz

    @property
    def input_shape(self) -> tuple[int, int]:
        """(F, M) of one window."""
        return self.features.num_frames(self.window_samples), self.features.n_mels

    def init(self, key: jax.Array) -> dict[str, Any]:
        """Fresh variables: {"params": ..., "batch_stats": ...}."""
        x = jnp.zeros((1, *self.input_shape))
        return dict(self.module.init({"params": key}, x, train=False))

    def inputs(self, batch: Mapping[str, jax.Array]) -> jax.Array:
        """[B, F, M] of a batch: its "features", or computed here from its "audio" [B, T]."""
        if "features" in batch:
            return batch["features"]
        return log_mel(batch["audio"], self.features)

    def apply(self, variables: Mapping[str, Any], waveform: jax.Array) -> dict[str, jax.Array]:
        """Evaluation-mode outputs for float [B, T] at the model's rate.

        Returns:
            {"logits": [B, K], "embedding": [B, D]}; logits, never probabilities.
        """
        x = self.inputs({"audio": jnp.asarray(waveform)})
        return self.module.apply(variables, x, train=False)


def build(
    name: str,
    *,
    num_labels: int,
    features: Mapping[str, Any] | None = None,
    window_s: float | None = None,
    **arguments: Any,
) -> Model:
    """A model by name with its published input, or with the changes asked for.

    Args:
        name: one of `ARCHITECTURES`.
        num_labels: K.
        features: fields of `LogMel` to replace.
        window_s: length of an input in seconds; the published one when not given.
        **arguments: attributes of the module, such as `n_channels` or `dropout_rate`.

    Raises:
        ValueError: an unknown name or argument; the message lists the choices.
    """
    architecture = _architecture(name)
    hidden = {"num_labels", "parent", "name"}
    known = {f.name for f in dataclasses.fields(architecture.module)} - hidden
    if unknown := sorted(set(arguments) - known):
        raise ValueError(
            f"model.args has {', '.join(unknown)}; {name} takes {', '.join(sorted(known))}"
        )
    published = architecture.features
    settings = features_of(name, features)
    if window_s is None:
        window_s = architecture.window_samples / published.sample_rate_hz
    if window_s <= 0:
        raise ValueError(f"model.window_s is {window_s}; it must be positive")
    return Model(
        name=name,
        module=architecture.module(num_labels=num_labels, **arguments),
        features=settings,
        window_samples=round(window_s * settings.sample_rate_hz),
    )


def features_of(name: str, changes: Mapping[str, Any] | None = None) -> LogMel:
    """The published features of a model with some fields replaced; known before its labels are."""
    return dataclasses.replace(_architecture(name).features, **(changes or {}))


def _architecture(name: str) -> Architecture:
    if name not in ARCHITECTURES:
        raise ValueError(f"model.name is {name!r}; allowed: {', '.join(sorted(ARCHITECTURES))}")
    return ARCHITECTURES[name]
