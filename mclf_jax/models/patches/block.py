"""A layer of a vision transformer, which encoders and predictors are stacks of."""

import flax.linen as nn
import jax.numpy as jnp

from mclf_jax.models.layers.attention import attention, rotate
from mclf_jax.models.layers.blocks import dense, dropout, layer_norm, stochastic_depth

EPSILON = 1e-6
"""Of layer normalisation."""
HEAD_EPSILON = 1e-5
"""Of that before a last layer, outside of timm."""


class Block(nn.Module):
    """Pre-norm attention and feed-forward layers (Dosovitskiy et al. 2021), named as in timm.

    Attributes:
        num_heads: of the attention; divides the width.
        mlp_ratio: hidden units of the feed-forward layer over the width.
        dropout_rate: after each dense layer but the first of attention.
        stochastic_depth_rate: how often each branch is left out, see `blocks.stochastic_depth`.
        attention: of `layers.attention`.
    """

    num_heads: int
    mlp_ratio: int = 4
    dropout_rate: float = 0.0
    stochastic_depth_rate: float = 0.0
    attention: str = "plain"

    @nn.compact
    def __call__(self, inputs, *, train: bool):
        """(x [B, L, D], angles [B or 1, L, A] or None) -> [B, L, D].

        Angles are those by which queries and keys are turned, see `positions.rotary`.
        """
        x, angles = inputs
        width = x.shape[-1]
        y = layer_norm(x, epsilon=EPSILON, name="norm1")
        y = dense(y, 3 * width, name="attn.qkv")
        query, key, value = (
            part.reshape(*x.shape[:2], self.num_heads, -1) for part in jnp.split(y, 3, axis=-1)
        )
        if angles is not None:
            query, key = rotate(query, angles), rotate(key, angles)
        y = attention(query, key, value, implementation=self.attention)
        y = dropout(dense(y, width, name="attn.proj"), self.dropout_rate, train=train)
        x = x + stochastic_depth(y, self.stochastic_depth_rate, train=train, name="attn.skip")

        y = layer_norm(x, epsilon=EPSILON, name="norm2")
        y = nn.gelu(dense(y, self.mlp_ratio * width, name="mlp.fc1"), approximate=False)
        y = dropout(y, self.dropout_rate, train=train)
        y = dropout(dense(y, width, name="mlp.fc2"), self.dropout_rate, train=train)
        return x + stochastic_depth(y, self.stochastic_depth_rate, train=train, name="mlp.skip")
