"""A Transformer over the steps, whose positions are learnt (Won et al. 2021)."""

import flax.linen as nn
import jax.numpy as jnp

from mclf_jax.models.layers.attention import attention, check_heads
from mclf_jax.models.layers.blocks import dense, dropout, layer_norm, stochastic_depth
from mclf_jax.models.layers.parts import Part

MAX_TOKENS = 512


class Transformer(Part):
    """Pre-norm attention layers, and a normalised token that stands before all others.

    Attributes:
        num_heads, num_layers: of the attention. What comes in is as wide as its layers, and a
            multiple of `num_heads`.
        dropout_rate: of tokens and in the layers.
        attention: "plain" or "dot_product_attention", see `models.layers.attention`.
        depth_rates: of stochastic depth, see `blocks.depth_rates`; none where there are none.
    """

    num_heads: int = 8
    num_layers: int = 4
    dropout_rate: float = 0.1
    attention: str = "plain"
    depth_rates: tuple[float, ...] = ()

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, D] -> [B, D].

        Raises:
            ValueError: more than 512 steps, or a width that heads do not divide.
        """
        if x.shape[1] > MAX_TOKENS:
            raise ValueError(
                f"the input makes {x.shape[1]} tokens and this network has positions for "
                f"{MAX_TOKENS}; take a smaller model.window_s"
            )
        width = x.shape[-1]
        normal = nn.initializers.normal(1.0)
        first = self.param(f"{self.prefix}cls_token", normal, (width,))
        shape = (1, MAX_TOKENS + 1, width)
        positions = self.param(f"{self.prefix}pos_embedding", normal, shape)
        first = jnp.broadcast_to(first.astype(x.dtype), (x.shape[0], 1, width))
        x = jnp.concatenate([first, x], axis=1)
        x = x + positions[:, : x.shape[1]].astype(x.dtype)
        x = dropout(x, self.dropout_rate, train=train)
        run = self.runner(train=train)
        for i, rate in enumerate(self.depth_rates or (0.0,) * self.num_layers):
            layer = TransformerLayer(
                self.num_heads,
                self.dropout_rate,
                self.attention,
                rate,
                name=f"{self.prefix}transformer.layers.{i}",
            )
            x = run(layer, x)
        return layer_norm(x[:, 0], epsilon=1e-5, name=f"{self.prefix}mlp_head.0")


class TransformerLayer(nn.Module):
    """Pre-norm attention and feed-forward layers, [B, L, D] -> the same."""

    num_heads: int
    dropout_rate: float
    attention: str
    stochastic_depth_rate: float

    @nn.compact
    def __call__(self, x, *, train: bool):
        width = x.shape[-1]
        check_heads(width, self.num_heads)
        y = layer_norm(x, epsilon=1e-5, name="0.fn.norm")
        y = dense(y, 3 * width, use_bias=False, name="0.fn.fn.to_qkv")
        heads = (
            part.reshape(*x.shape[:2], self.num_heads, -1) for part in jnp.split(y, 3, axis=-1)
        )
        y = attention(*heads, implementation=self.attention)
        y = dense(y, width, name="0.fn.fn.to_out.0")
        y = dropout(y, self.dropout_rate, train=train)
        x = x + stochastic_depth(y, self.stochastic_depth_rate, train=train, name="0.skip")

        y = layer_norm(x, epsilon=1e-5, name="1.fn.norm")
        y = nn.gelu(dense(y, 4 * width, name="1.fn.fn.net.0"), approximate=False)
        y = dropout(y, self.dropout_rate, train=train)
        y = dense(y, width, name="1.fn.fn.net.3")
        y = dropout(y, self.dropout_rate, train=train)
        return x + stochastic_depth(y, self.stochastic_depth_rate, train=train, name="1.skip")
