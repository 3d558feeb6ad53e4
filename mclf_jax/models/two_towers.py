"""Two towers (MuLan, Huang et al. 2022; CLAP, Elizalde et al. 2022): songs and words in one space.

The audio tower is any network of ours. The text tower takes vectors of words that were made
beforehand (`common.text.vectors`), as M2D-CLAP's does. The last layer is one product with the
vectors of those words that are asked for, which `with_words` puts there; nothing trains it.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.core import FrozenDict

from mclf_jax.common import checks
from mclf_jax.common.text.vectors import vectors_of
from mclf_jax.losses.contrastive import unit
from mclf_jax.models.layers.blocks import dense, torch_kernel_init

if TYPE_CHECKING:
    from mclf_jax.models import Model

NAME = "two_towers"
HEAD = "words"
_FIRST_SCALE, _LARGEST_SCALE = 10.0, 100.0
_CENTRE_MOMENTUM = 0.99


class Projection(nn.Module):
    """Two dense layers with ReLU between them, to vectors of length 1.

    Attributes:
        hidden_size, dim: their widths.
    """

    hidden_size: int
    dim: int

    @nn.compact
    def __call__(self, x):
        """[..., D] -> [..., dim]."""
        return unit(dense(nn.relu(dense(x, self.hidden_size, name="0")), self.dim, name="2"))


class TwoTowers(nn.Module):
    """An encoder of songs and one of words, into the same sphere.

    Attributes:
        num_labels: of the words that are asked for.
        tower: the network of `encoder`, whose embedding is projected; `models.build` makes it.
        encoder, encoder_args: its name, and its own arguments.
        dim: of the common space.
        hidden_size: of the two projections.
        text_encoder, text_size: what makes vectors of words, and how many numbers those have; see
            `common.text.vectors.vectors_of`.
    """

    num_labels: int
    tower: Any
    encoder: str = "short_chunk_cnn"
    encoder_args: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    dim: int = 128
    hidden_size: int = 256
    text_encoder: str = "ngrams"
    text_size: int = 512

    def __post_init__(self):
        # Modules are static to jit, so they have a hash.
        object.__setattr__(self, "encoder_args", FrozenDict(self.encoder_args))
        super().__post_init__()

    def setup(self):
        self.audio = Projection(self.hidden_size, self.dim)
        self.text = Projection(self.hidden_size, self.dim)
        self.log_scale = self.param("log_scale", nn.initializers.constant(np.log(_FIRST_SCALE)), ())
        self.centre = self.variable("batch_stats", "centre", jnp.zeros, (self.dim,))
        self.words = nn.Dense(
            self.num_labels,
            kernel_init=torch_kernel_init,
            bias_init=nn.initializers.zeros,
        )

    def __call__(self, x, *, train: bool):
        """An input -> {"logits": [B, K], "embedding": [B, dim]}, embeddings of length 1."""
        if self.is_initializing():
            self.say(jnp.zeros((1, self.text_size)))
        embedding = self.audio(self.tower(x, train=train)["embedding"].astype("float32"))
        if train:
            mean = jax.lax.stop_gradient(embedding.mean(axis=0))
            kept = _CENTRE_MOMENTUM
            self.centre.value = kept * self.centre.value + (1 - kept) * mean
        return {"logits": self.words(embedding), "embedding": embedding}

    def say(self, vectors):
        """Vectors of words, of length 1, [N, text_size] -> [N, dim] in the common space."""
        return self.text(vectors * self.text_size**0.5)

    def scale(self):
        """What similarities are multiplied by: 1 / temperature, learnt from 10, at most 100."""
        return jnp.minimum(jnp.exp(self.log_scale), _LARGEST_SCALE)


def hears_words(model: "Model") -> bool:
    """Whether a network has a text tower."""
    return isinstance(model.module, TwoTowers)


def with_words(
    model: "Model", variables: Mapping[str, Any], words: Sequence[str], *, task: str = "multi_label"
) -> tuple["Model", dict[str, Any]]:
    """The network with a last layer that asks for words, whether or not it was trained with them.

    A logit is the similarity of song and words, less what songs of training have on average, by
    which words that are near to everything would be ahead of all others; times the learnt scale
    for "single_label", and else 10, at which a sigmoid tells the best songs apart.

    Args:
        model, variables: of `hears_words`.
        words: K tags, phrases or captions.
        task: "multi_label": each by itself, or "single_label": one of them.

    Returns:
        A model with K labels, and its variables.

    Raises:
        ValueError: there are no words, one says nothing, or one is there twice.
    """
    checks.choice("task", task, ("single_label", "multi_label"))
    words = tuple(words)
    if not words or len(set(words)) < len(words):
        raise ValueError(f"words are {words}; they must be one or more, each once")
    module = model.module
    vectors = vectors_of(words, encoder=module.text_encoder, size=module.text_size)
    with jax.default_matmul_precision("highest"):
        said = module.apply(variables, jnp.asarray(vectors), method="say")
    scale = module.apply(variables, method="scale") if task == "single_label" else _FIRST_SCALE
    kernel = np.asarray(scale * said.T)
    layer = {"kernel": kernel, "bias": -np.asarray(variables["batch_stats"]["centre"]) @ kernel}
    asking = dataclasses.replace(model, module=module.clone(num_labels=len(words)))
    return asking, {**variables, "params": {**variables["params"], HEAD: layer}}
