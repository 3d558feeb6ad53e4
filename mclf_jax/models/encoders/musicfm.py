"""MusicFM (Won et al. 2024): residual convolutions to 25 steps a second, then a Conformer.

Input 30 s at 24 kHz -> 3000 frames of 128 mels -> 750 tokens; any length works. It learnt to tell
codes of what was masked; MuQ (Zhu et al. 2025) is the same network with other codes. 316,394,546
parameters for 50 tags.
"""

import flax.linen as nn
import jax.numpy as jnp

from mclf_jax.audio.features import LogMel
from mclf_jax.models.backs.conformer import ConformerStack
from mclf_jax.models.layers.blocks import (
    Network,
    ResBlock,
    compute_in,
    dense,
    depth_rates,
    flatten_frequency,
    outputs,
)
from mclf_jax.models.layers.parts import joined

# Of the Million Song Dataset; weights that were trained on other songs come with their own.
FEATURES = LogMel(
    sample_rate_hz=24000,
    n_fft=2048,
    hop_length=240,
    n_mels=128,
    normalization="fixed",
    mean=6.768444971712967,
    std=18.417922652295623,
)
WINDOW_SAMPLES = 30 * 24000


class MusicFM(Network):
    """Two residual blocks, a dense layer, conformer layers, and the mean over time.

    Attributes:
        conv_channels: of the blocks.
        attention_dim: width of the layers and size of the embedding; a multiple of `num_heads`.
        num_heads, num_layers, kernel_size, expansion, dropout_rate, attention: see
            `backs.conformer`.
        rotated: "input" as published, or "heads", see `layers.conformer`.
        stochastic_depth_rate: of the last layer, see `blocks.depth_rates`.
    """

    conv_channels: int = 512
    attention_dim: int = 1024
    num_heads: int = 16
    num_layers: int = 12
    kernel_size: int = 31
    expansion: int = 4
    dropout_rate: float = 0.1
    attention: str = "plain"
    rotated: str = "input"
    stochastic_depth_rate: float = 0.0

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, M] -> {"logits": [B, K], "embedding": [B, D], "tokens": [B, (F - 1) / 4, D]}."""
        x = compute_in(x[:, :-1, :, None], self.dtype)  # the last frame is half beyond the end
        run = self.runner(train=train)
        for i in range(2):
            x = run(ResBlock(self.conv_channels, (2, 2), joint="", name=f"conv.conv.{i}"), x)
        x = dense(flatten_frequency(x), self.attention_dim, name="conv.linear")
        layers = ConformerStack(
            self.num_heads,
            self.num_layers,
            self.kernel_size,
            self.expansion,
            self.dropout_rate,
            self.attention,
            self.rotated,
            depth_rates(self.stochastic_depth_rate, self.num_layers),
            **self.ways,
        )
        x = joined(self, layers)(x, train=train)
        tokens = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        return {**outputs(tokens.mean(axis=1), self.num_labels, name="head"), "tokens": tokens}
