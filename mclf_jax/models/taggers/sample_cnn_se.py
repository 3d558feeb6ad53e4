"""Sample-level CNN with residual squeeze-and-excitation blocks (Kim et al. 2018, Won et al. 2020).

Input 59,049 = 3^10 samples at 16 kHz; a strided block and nine poolings by 3 leave one step.
6,951,858 parameters for 50 tags.
"""

import flax.linen as nn

from mclf_jax.audio.features import Waveform
from mclf_jax.models.fronts.waveform import MULTIPLIERS
from mclf_jax.models.fronts.waveform_se import WaveformSE
from mclf_jax.models.layers.blocks import (
    Network,
    batch_norm,
    dense,
    depth_rates,
    dropout,
    flatten,
    outputs,
)
from mclf_jax.models.layers.parts import joined

FEATURES = Waveform(sample_rate_hz=16000)
WINDOW_SAMPLES = 3**10


class SampleCNNSE(Network):
    """Eleven residual blocks on the samples, whose channels are weighed by their own means.

    Attributes:
        n_channels: of the first block; the ten have 1, 1, 1, 2, 2, 2, 2, 2, 2 and 4 times as
            many, and the last block and the dense layer 4 times as many.
        dropout_rate: before the last layer.
        stochastic_depth_rate: of the last residual block, see `blocks.depth_rates`.
    """

    n_channels: int = 128
    dropout_rate: float = 0.5
    stochastic_depth_rate: float = 0.0

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, T] -> {"logits": [B, K], "embedding": [B, 4 * n_channels]}."""
        rates = depth_rates(self.stochastic_depth_rate, len(MULTIPLIERS) + 1)
        front = WaveformSE(self.n_channels, len(MULTIPLIERS), rates, **self.ways)
        x = joined(self, front)(x, train=train)
        x = dense(flatten(x), 4 * self.n_channels, name="dense1")
        x = nn.relu(batch_norm(x, name="bn", train=train))
        return outputs(dropout(x, self.dropout_rate, train=train), self.num_labels, name="dense2")
