"""Short-chunk ResNet (Won et al., SMC 2020): seven strided residual blocks, global max over time.

Input 59,049 samples at 16 kHz -> 231 frames of 128 mels. Any longer input works too,
because time is pooled away. 12,104,244 parameters for 50 tags.
"""

import flax.linen as nn

from mclf_jax.audio.features import LogMel
from mclf_jax.common import checks
from mclf_jax.models.backs.pooling import Pooling
from mclf_jax.models.fronts.log_mel_res import LogMelRes
from mclf_jax.models.layers.blocks import Network, depth_rates, dropout, outputs
from mclf_jax.models.layers.parts import joined

FEATURES = LogMel(sample_rate_hz=16000, n_fft=512, hop_length=256, n_mels=128)
WINDOW_SAMPLES = 59_049


class ShortChunkResNet(Network):
    """Residual blocks with stride 2, then the maximum over time and two dense layers.

    Attributes:
        n_channels: of the first block; the seven have 1, 1, 2, 2, 2, 2 and 4 times as many, and
            the dense layer 4 times as many.
        num_blocks: 1 to 7; frequencies that fewer blocks leave are kept apart as channels.
        dropout_rate: before the last layer.
        stochastic_depth_rate: of the last residual block, see `blocks.depth_rates`.
    """

    n_channels: int = 128
    num_blocks: int = 7
    dropout_rate: float = 0.5
    stochastic_depth_rate: float = 0.0

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, M] -> {"logits": [B, K], "embedding": [B, 4 * n_channels]}."""
        multipliers = (1, 1, 2, 2, 2, 2, 4)
        checks.within("model.args.num_blocks", self.num_blocks, 1, len(multipliers))
        front = LogMelRes(
            self.n_channels,
            multipliers[: self.num_blocks],
            strides=((2, 2),) * self.num_blocks,
            pools=(),
            depth_rates=depth_rates(self.stochastic_depth_rate, self.num_blocks),
            **self.ways,
        )
        x = joined(self, front)(x, train=train)
        x = joined(self, Pooling("max", 4 * self.n_channels))(x, train=train)
        return outputs(dropout(x, self.dropout_rate, train=train), self.num_labels, name="dense2")
