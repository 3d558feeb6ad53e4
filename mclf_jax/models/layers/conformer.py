"""The layer of a Conformer (Gulati et al. 2020): attention for what is far, convolution for near.

https://arxiv.org/abs/2005.08100, with rotary positions, as MusicFM, MuQ and OMAR-RQ stack them. The
names of its parts are those of published weights (`Wav2Vec2ConformerEncoderLayer`).
"""

import functools

import flax.linen as nn
import jax

from mclf_jax.common import checks
from mclf_jax.models.layers import rotary
from mclf_jax.models.layers.attention import attention, check_heads, rotate
from mclf_jax.models.layers.blocks import (
    batch_norm,
    conv,
    dense,
    dropout,
    layer_norm,
    stochastic_depth,
)
from mclf_jax.models.layers.convolutions.depthwise import depthwise_conv

ROTATED = ("heads", "input")


class ConformerLayer(nn.Module):
    """Half a feed-forward layer, attention, convolution, the other half; [B, L, D] -> the same.

    Attributes:
        num_heads: of the attention; D is a multiple of it.
        kernel_size: of the convolution over positions, odd.
        expansion: width of the feed-forward layers, in D.
        dropout_rate: after each part, and within the feed-forward layers.
        attention: "plain" or "dot_product_attention", see `layers.attention`.
        rotated: by position, "heads": queries and keys, as in RoFormer; or "input": what both are
            made of, as in published weights of MusicFM.
        stochastic_depth_rate: of each of the four branches, see `blocks.depth_rates`.
    """

    num_heads: int
    kernel_size: int = 31
    expansion: int = 4
    dropout_rate: float = 0.1
    attention: str = "plain"
    rotated: str = "heads"
    stochastic_depth_rate: float = 0.0

    @nn.compact
    def __call__(self, x, *, train: bool):
        checks.choice("model.args.rotated", self.rotated, ROTATED)
        if self.kernel_size % 2 == 0:
            raise ValueError(f"model.args.kernel_size is {self.kernel_size}; it must be odd")
        drop = functools.partial(dropout, rate=self.dropout_rate, train=train)
        skip = functools.partial(stochastic_depth, rate=self.stochastic_depth_rate, train=train)

        def feed_forward(x, name):
            y = layer_norm(x, epsilon=1e-5, name=f"{name}_layer_norm")
            y = dense(y, self.expansion * x.shape[-1], name=f"{name}.intermediate_dense")
            y = dense(drop(nn.silu(y)), x.shape[-1], name=f"{name}.output_dense")
            return x + skip(0.5 * drop(y), name=f"{name}.skip")

        x = feed_forward(x, "ffn1")
        y = self._attend(layer_norm(x, epsilon=1e-5, name="self_attn_layer_norm"))
        x = x + skip(drop(y), name="self_attn.skip")
        x = x + skip(drop(self._convolve(x, train=train)), name="conv_module.skip")
        x = feed_forward(x, "ffn2")
        return layer_norm(x, epsilon=1e-5, name="final_layer_norm")

    def _attend(self, x):
        width, shape = x.shape[-1], (*x.shape[:2], self.num_heads, -1)
        check_heads(width, self.num_heads)
        angles = rotary.angles(x.shape[1], head_dim=width // self.num_heads)
        turned = x
        if self.rotated == "input":
            turned = rotate(x.reshape(shape), angles).reshape(x.shape)
        query = dense(turned, width, name="self_attn.linear_q").reshape(shape)
        key = dense(turned, width, name="self_attn.linear_k").reshape(shape)
        value = dense(x, width, name="self_attn.linear_v").reshape(shape)
        if self.rotated == "heads":
            query, key = rotate(query, angles), rotate(key, angles)
        y = attention(query, key, value, implementation=self.attention)
        return dense(y, width, name="self_attn.linear_out")

    def _convolve(self, x, *, train: bool):
        width, pointwise = x.shape[-1], {"kernel_size": (1,), "use_bias": False}
        y = layer_norm(x, epsilon=1e-5, name="conv_module.layer_norm")
        y = nn.glu(conv(y, 2 * width, **pointwise, name="conv_module.pointwise_conv1"))
        near = {"kernel_size": (self.kernel_size,), "groups": width, "convolve": depthwise_conv}
        y = conv(y, width, **near, use_bias=False, name="conv_module.depthwise_conv")
        y = jax.nn.silu(batch_norm(y, name="conv_module.batch_norm", train=train))
        return conv(y, width, **pointwise, name="conv_module.pointwise_conv2")
