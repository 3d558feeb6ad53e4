"""Music Tagging Transformer (Won et al. 2021): a shallow CNN, then a Transformer over time.

Input 220,500 samples at 22,050 Hz -> 431 frames of 128 mels -> 107 tokens; up to 512 tokens,
47.6 s. 4,567,732 parameters for 50 tags as published; the compact student
(`attention_dim=64`) has 1,108,852.
"""

import flax.linen as nn

from mclf_jax.audio.features import LogMel
from mclf_jax.models.backs.transformer import Transformer
from mclf_jax.models.fronts.log_mel_res import LogMelRes
from mclf_jax.models.layers.blocks import Network, dense, depth_rates, outputs
from mclf_jax.models.layers.parts import joined

FEATURES = LogMel(sample_rate_hz=22050, n_fft=1024, hop_length=512, n_mels=128)
WINDOW_SAMPLES = 10 * 22050


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
        pools = ((2, 2), (2, 2), (1, 2))
        rates = depth_rates(self.stochastic_depth_rate, len(pools) + self.num_layers)
        front = LogMelRes(
            self.conv_channels,
            (1,) * len(pools),
            pools=pools,
            depth_rates=rates[: len(pools)],
            input_norm="input_bn",
            prefix="frontend.",
            **self.ways,
        )
        back = Transformer(
            self.num_heads,
            self.num_layers,
            self.dropout_rate,
            self.attention,
            rates[len(pools) :],
            **self.ways,
        )
        x = joined(self, front)(x, train=train)
        x = dense(x, self.attention_dim, name="frontend.fc")
        return outputs(joined(self, back)(x, train=train), self.num_labels, name="mlp_head.1")
