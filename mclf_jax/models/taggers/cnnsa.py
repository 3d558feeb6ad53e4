"""CNN with self-attention (Won et al. 2019): residual blocks, then BERT layers over time.

Input 240,000 samples at 16 kHz -> 938 frames of 128 mels -> 118 tokens. No positions are
encoded, so any length works. 10,521,652 parameters for 50 tags.
"""

import functools

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

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

FEATURES = LogMel(sample_rate_hz=16000, n_fft=512, hop_length=256, n_mels=128)
WINDOW_SAMPLES = 15 * 16000


class CNNSA(Network):
    """Seven residual blocks reduce frequency to one band; attention reads the rest.

    Attributes:
        n_channels: of the first two blocks; the others have twice as many, which is also the
            width of the attention layers.
        num_heads, num_layers: of the attention.
        hidden_dropout_rate, attention_dropout_rate: in the attention layers, on their outputs
            and on their weights.
        dropout_rate: before the last layer.
        attention: "plain" or "dot_product_attention", see `models.layers.attention`.
        stochastic_depth_rate: of the last residual block, see `blocks.depth_rates`.
    """

    n_channels: int = 128
    num_heads: int = 8
    num_layers: int = 2
    hidden_dropout_rate: float = 0.4
    attention_dropout_rate: float = 0.5
    dropout_rate: float = 0.5
    attention: str = "plain"
    stochastic_depth_rate: float = 0.0

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, M] -> {"logits": [B, K], "embedding": [B, 2 * n_channels]}."""
        x = batch_norm(x[..., None], name="spec_bn", train=train)
        x = compute_in(x, self.dtype)
        run = self.runner(train=train)
        multipliers = (1, 1, 2, 2, 2, 2, 2)
        rates = depth_rates(self.stochastic_depth_rate, len(multipliers) + self.num_layers)
        for i, multiplier in enumerate(multipliers):
            block = ResBlock(
                self.n_channels * multiplier,
                strides=(2, 2) if i < 3 else (1, 2),
                stochastic_depth_rate=rates[i],
                name=f"layer{i + 1}",
            )
            x = run(block, x)
        x = flatten_frequency(x)
        first = jnp.asarray(class_vector(x.shape[-1]), x.dtype)
        x = jnp.concatenate([jnp.broadcast_to(first, (x.shape[0], 1, x.shape[-1])), x], axis=1)
        for i, rate in enumerate(rates[len(multipliers) :]):
            layer = _BertLayer(
                self.num_heads,
                self.hidden_dropout_rate,
                self.attention_dropout_rate,
                self.attention,
                rate,
                name=f"encoder.layer.{i}",
            )
            x = run(layer, x)
        x = jnp.tanh(dense(x[:, 0], x.shape[-1], name="pooler.dense"))
        return outputs(dropout(x, self.dropout_rate, train=train), self.num_labels, name="dense")


class _BertLayer(nn.Module):
    """Post-norm attention and feed-forward layers (Devlin et al. 2019), [B, L, D] -> the same."""

    num_heads: int
    hidden_dropout_rate: float
    attention_dropout_rate: float
    attention: str
    stochastic_depth_rate: float

    @nn.compact
    def __call__(self, x, *, train: bool):
        width = x.shape[-1]
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
