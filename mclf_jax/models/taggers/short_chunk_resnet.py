"""Short-chunk ResNet (Won et al., SMC 2020): seven strided residual blocks, global max over time.

Input 59,049 samples at 16 kHz -> 231 frames of 128 mels. Any longer input works too,
because time is pooled away. 12,104,244 parameters for 50 tags.
"""

import flax.linen as nn

from mclf_jax.audio.features import LogMel
from mclf_jax.common import checks
from mclf_jax.models.layers.blocks import (
    Network,
    ResBlock,
    batch_norm,
    compute_in,
    dense,
    depth_rates,
    dropout,
    flatten_frequency,
    max_over,
    outputs,
)

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
        x = batch_norm(x[..., None], name="spec_bn", train=train)
        x = compute_in(x, self.dtype)
        run = self.runner(train=train)
        for i, rate in enumerate(depth_rates(self.stochastic_depth_rate, self.num_blocks)):
            block = ResBlock(
                self.n_channels * multipliers[i],
                strides=(2, 2),
                stochastic_depth_rate=rate,
                name=f"layer{i + 1}",
            )
            x = run(block, x)
        x = dense(max_over(flatten_frequency(x), 1), 4 * self.n_channels, name="dense1")
        x = nn.relu(batch_norm(x, name="bn", train=train))
        return outputs(dropout(x, self.dropout_rate, train=train), self.num_labels, name="dense2")
