"""Layers of BERT over the steps, in no order: of CNNSA (Won et al. 2019).

No positions are encoded, so any length works.
"""

import functools

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from mclf_jax.models.layers.attention import attention, check_heads
from mclf_jax.models.layers.blocks import dense, dropout, layer_norm, stochastic_depth
from mclf_jax.models.layers.parts import Part


class FirstToken(Part):
    """Post-norm attention layers, and a dense layer with tanh on a token before all others.

    Attributes:
        num_heads, num_layers: of the attention. What comes in is as wide as its layers, and a
            multiple of `num_heads`.
        hidden_dropout_rate, attention_dropout_rate: on the outputs of the layers and on the
            weights of the attention.
        attention: "plain" or "dot_product_attention", see `models.layers.attention`.
        depth_rates: of stochastic depth, see `blocks.depth_rates`; none where there are none.
    """

    num_heads: int = 8
    num_layers: int = 2
    hidden_dropout_rate: float = 0.1
    attention_dropout_rate: float = 0.0
    attention: str = "plain"
    depth_rates: tuple[float, ...] = ()

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, D] -> [B, D]."""
        run = self.runner(train=train)
        first = jnp.asarray(class_vector(x.shape[-1]), x.dtype)
        x = jnp.concatenate([jnp.broadcast_to(first, (x.shape[0], 1, x.shape[-1])), x], axis=1)
        for i, rate in enumerate(self.depth_rates or (0.0,) * self.num_layers):
            layer = BertLayer(
                self.num_heads,
                self.hidden_dropout_rate,
                self.attention_dropout_rate,
                self.attention,
                rate,
                name=f"{self.prefix}encoder.layer.{i}",
            )
            x = run(layer, x)
        return jnp.tanh(dense(x[:, 0], x.shape[-1], name=f"{self.prefix}pooler.dense"))


class BertLayer(nn.Module):
    """Post-norm attention and feed-forward layers (Devlin et al. 2019), [B, L, D] -> the same."""

    num_heads: int
    hidden_dropout_rate: float
    attention_dropout_rate: float
    attention: str
    stochastic_depth_rate: float

    @nn.compact
    def __call__(self, x, *, train: bool):
        width = x.shape[-1]
        check_heads(width, self.num_heads)
        drop = functools.partial(dropout, rate=self.hidden_dropout_rate, train=train)
        skip = functools.partial(stochastic_depth, rate=self.stochastic_depth_rate, train=train)
        drop_weights = functools.partial(dropout, rate=self.attention_dropout_rate, train=train)
        heads = (
            dense(x, width, name=f"attention.self.{part}").reshape(*x.shape[:2], self.num_heads, -1)
            for part in ("query", "key", "value")
        )
        y = attention(
            *heads,
            implementation=self.attention,
            dropout=drop_weights if train and self.attention_dropout_rate else None,
        )
        y = skip(drop(dense(y, width, name="attention.output.dense")), name="attention.output.skip")
        x = layer_norm(x + y, epsilon=1e-12, name="attention.output.LayerNorm")
        y = dense(x, 4 * width, name="intermediate.dense")
        y = drop(dense(nn.gelu(y, approximate=False), width, name="output.dense"))
        y = skip(y, name="output.skip")
        return layer_norm(x + y, epsilon=1e-12, name="output.LayerNorm")


def class_vector(width: int) -> np.ndarray:
    """The first token, uniform in [0, 1), float64 [width]: fixed, and not in any checkpoint."""
    return np.random.RandomState(0).uniform(size=width)
