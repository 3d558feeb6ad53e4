"""Sample-level CNN (Lee et al. 2017, as in Won et al. 2020): no spectrogram, filters of 3 samples.

Input 59,049 = 3^10 samples at 16 kHz; a strided convolution and nine poolings by 3 leave one
step. 1,869,874 parameters for 50 tags.
"""

import flax.linen as nn

from mclf_jax.audio.features import Waveform
from mclf_jax.models.fronts.waveform import MULTIPLIERS, WaveformConv
from mclf_jax.models.layers.blocks import Network, dropout, flatten, outputs
from mclf_jax.models.layers.parts import joined

FEATURES = Waveform(sample_rate_hz=16000)
WINDOW_SAMPLES = 3**10


class SampleCNN(Network):
    """Eleven one-dimensional convolutions on the samples, and one dense layer.

    Attributes:
        n_channels: of the first block; the ten have 1, 1, 1, 2, 2, 2, 2, 2, 2 and 4 times as
            many, and the last convolution 4 times as many.
        dropout_rate: before the last layer.
    """

    n_channels: int = 128
    dropout_rate: float = 0.5

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, T] -> {"logits": [B, K], "embedding": [B, 4 * n_channels]}."""
        front = WaveformConv(self.n_channels, len(MULTIPLIERS), **self.ways)
        x = flatten(joined(self, front)(x, train=train))
        x = dropout(x, self.dropout_rate, train=train)
        return outputs(x, self.num_labels, name="dense")
