"""Mel-RVQ (Zhu et al. 2025, MuQ): a residual vector quantizer of log-mel frames, or of a layer.

Four frames at a time, 25 of them a second, become one code in each of eight books. It is trained
first, by the objective "rvq"; its codes are what a larger network then learns to tell. Iterated, it
has codes of a layer of that network instead. 292,146 parameters for 50 tags.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.core import FrozenDict

from mclf_jax.models import arguments
from mclf_jax.models.encoders.musicfm import FEATURES, MusicFM
from mclf_jax.models.layers.blocks import Network, outputs
from mclf_jax.models.layers.residual_quantizer import ResidualQuantizer

__all__ = ["FEATURES", "RVQ", "WINDOW_SAMPLES"]

WINDOW_SAMPLES = 10 * 24000


class RVQ(Network):
    """Frames, or steps of a network, normalised and quantized; the mean over time of what is left.

    Attributes:
        stack: frames that make one step.
        num_stages, num_codes, code_dim, stale_after: see `layers.residual_quantizer`.
        encoder: arguments of a "musicfm" whose tokens are quantized in place of frames; {} for
            frames. With `num_layers` of an earlier run or fewer, it is a hidden layer of that run,
            whose weights the objective "rvq" takes over.
    """

    stack: int = 4
    num_stages: int = 8
    num_codes: int = 1024
    code_dim: int = 16
    stale_after: int = 1000
    encoder: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        # Modules are static to jit, so they have a hash.
        object.__setattr__(self, "encoder", FrozenDict(self.encoder))
        super().__post_init__()

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, M] -> {"logits": [B, K], "embedding": [B, D], "codes": int32 [B, S, C], ...}.

        "target" [B, S, D] is what was quantized; the others are those of `ResidualQuantizer`.
        """
        if self.encoder:
            takes = arguments.taken(MusicFM, without={"num_labels", *self.ways, "parent", "name"})
            arguments.check("model.args.encoder", self.encoder, takes, of="musicfm")
            encoder = MusicFM(num_labels=1, **self.ways, **self.encoder, name="encoder")
            x = encoder(x, train=False)["tokens"]
        else:
            steps = (x.shape[1] - 1) // self.stack  # the last frame is half beyond the end
            x = x[:, : steps * self.stack].reshape(x.shape[0], steps, -1)
        # One mean and one deviation of all numbers, as MusicFM and MuQ have them.
        normal = nn.BatchNorm(
            use_running_average=not train,
            use_scale=False,
            use_bias=False,
            use_fast_variance=False,
            name="input_norm",
        )(x[..., None])[..., 0]
        target = jax.lax.stop_gradient(normal.astype(jnp.float32))
        quantizer = ResidualQuantizer(
            self.num_stages, self.num_codes, self.code_dim, self.stale_after, name="quantizer"
        )
        found = quantizer(target, train=train)
        embedding = found["quantized"].mean(axis=1)
        return {**outputs(embedding, self.num_labels, name="head"), **found, "target": target}
