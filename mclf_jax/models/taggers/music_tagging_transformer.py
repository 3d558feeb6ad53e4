"""Music Tagging Transformer (Won et al. 2021): a shallow CNN, then a Transformer over time.

Input 220,500 samples at 22,050 Hz -> 431 frames of 128 mels -> 107 tokens; up to 512 tokens,
47.6 s. 4,567,732 parameters for 50 tags as published; the compact student
(`attention_dim=64`) has 1,108,852.
"""

import flax.linen as nn
import jax.numpy as jnp

from mclf_jax.audio.features import LogMel
from mclf_jax.models.layers.attention import attention
from mclf_jax.models.layers.blocks import (
    Network,
    ResBlock,
    batch_norm,
    compute_in,
    dense,
    depth_rates,
    dropout,
    flatten_frequency,
    layer_norm,
    outputs,
    stochastic_depth,
)

FEATURES = LogMel(sample_rate_hz=22050, n_fft=1024, hop_length=512, n_mels=128)
WINDOW_SAMPLES = 10 * 22050
_MAX_TOKENS = 512


class MusicTaggingTransformer(Network):
    """Three residual blocks, four pre-norm attention layers, and a dense layer on the first token.

    Attributes:
        conv_channels: of the blocks.
        attention_dim: width of the attention layers and size of the embedding; a multiple of
            `num_heads`.
        num_heads, num_layers: of the attention.
        dropout_rate: in the attention layers.
        attention: "plain" or "dot_product_attention", see `models.layers.attention`.
        stochastic_depth_rate: of the last residual block, see `blocks.depth_rates`.
    """

    conv_channels: int = 128
    attention_dim: int = 256
    num_heads: int = 8
    num_layers: int = 4
    dropout_rate: float = 0.1
    attention: str = "plain"
    stochastic_depth_rate: float = 0.0

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, M] -> {"logits": [B, K], "embedding": [B, attention_dim]}."""
        if self.attention_dim % self.num_heads:
            raise ValueError(
                f"model.args.attention_dim is {self.attention_dim}; it must be a multiple of "
                f"model.args.num_heads, {self.num_heads}"
            )
        x = batch_norm(x[..., None], name="frontend.input_bn", train=train)
        x = compute_in(x, self.dtype)
        run = self.runner(train=train)
        pools = ((2, 2), (2, 2), (1, 2))
        rates = depth_rates(self.stochastic_depth_rate, len(pools) + self.num_layers)
        for i, pool in enumerate(pools):
            block = ResBlock(
                self.conv_channels,
                pool=pool,
                stochastic_depth_rate=rates[i],
                name=f"frontend.layer{i + 1}",
            )
            x = run(block, x)
        x = dense(flatten_frequency(x), self.attention_dim, name="frontend.fc")
        if x.shape[1] > _MAX_TOKENS:
            raise ValueError(
                f"the input makes {x.shape[1]} tokens and this network has positions for "
                f"{_MAX_TOKENS}; take a smaller model.window_s"
            )

        normal = nn.initializers.normal(1.0)
        first = self.param("cls_token", normal, (self.attention_dim,))
        positions = self.param("pos_embedding", normal, (1, _MAX_TOKENS + 1, self.attention_dim))
        first = jnp.broadcast_to(first.astype(x.dtype), (x.shape[0], 1, self.attention_dim))
        x = jnp.concatenate([first, x], axis=1)
        x = x + positions[:, : x.shape[1]].astype(x.dtype)
        x = dropout(x, self.dropout_rate, train=train)
        for i, rate in enumerate(rates[len(pools) :]):
            layer = _Layer(
                self.num_heads,
                self.dropout_rate,
                self.attention,
                rate,
                name=f"transformer.layers.{i}",
            )
            x = run(layer, x)
        x = layer_norm(x[:, 0], epsilon=1e-5, name="mlp_head.0")
        return outputs(x, self.num_labels, name="mlp_head.1")


class _Layer(nn.Module):
    """Pre-norm attention and feed-forward layers, [B, L, D] -> the same."""

    num_heads: int
    dropout_rate: float
    attention: str
    stochastic_depth_rate: float

    @nn.compact
    def __call__(self, x, *, train: bool):
        width = x.shape[-1]
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
