"""CNN with self-attention (Won et al. 2019): residual blocks, then BERT layers over time.

Input 240,000 samples at 16 kHz -> 938 frames of 128 mels -> 118 tokens. No positions are
encoded, so any length works. 10,521,652 parameters for 50 tags.
"""

import flax.linen as nn

from mclf_jax.audio.features import LogMel
from mclf_jax.models.backs.attention import FirstToken
from mclf_jax.models.fronts.log_mel_res import LogMelRes
from mclf_jax.models.layers.blocks import Network, depth_rates, dropout, outputs
from mclf_jax.models.layers.parts import joined

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
        multipliers = (1, 1, 2, 2, 2, 2, 2)
        rates = depth_rates(self.stochastic_depth_rate, len(multipliers) + self.num_layers)
        front = LogMelRes(
            self.n_channels,
            multipliers,
            strides=((2, 2),) * 3 + ((1, 2),) * 4,
            pools=(),
            depth_rates=rates[: len(multipliers)],
            **self.ways,
        )
        back = FirstToken(
            self.num_heads,
            self.num_layers,
            self.hidden_dropout_rate,
            self.attention_dropout_rate,
            self.attention,
            rates[len(multipliers) :],
            **self.ways,
        )
        x = joined(self, front)(x, train=train)
        x = joined(self, back)(x, train=train)
        return outputs(dropout(x, self.dropout_rate, train=train), self.num_labels, name="dense")
