"""Sample-level CNN (Lee et al. 2017, as in Won et al. 2020): no spectrogram, filters of 3 samples.

Input 59,049 = 3^10 samples at 16 kHz; a strided convolution and nine poolings by 3 leave one
step. 1,869,874 parameters for 50 tags.
"""

import flax.linen as nn

from mclf_jax.audio.features import Waveform
from mclf_jax.models.layers.blocks import (
    ConvBlock,
    Network,
    compute_in,
    dropout,
    flatten,
    outputs,
)

FEATURES = Waveform(sample_rate_hz=16000)
WINDOW_SAMPLES = 3**10
MULTIPLIERS = (1, 1, 1, 2, 2, 2, 2, 2, 2, 4)


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
        x = compute_in(x[..., None], self.dtype)
        run = self.runner(train=train)
        for i, multiplier in enumerate(MULTIPLIERS):
            stride, pool = (3, 1) if i == 0 else (1, 3)
            block = ConvBlock(
                self.n_channels * multiplier,
                pool=(pool,),
                kernel_size=(3,),
                strides=(stride,),
                name=f"layer{i + 1}",
            )
            x = run(block, x)
        block = ConvBlock(4 * self.n_channels, pool=(1,), kernel_size=(1,), name="layer11")
        x = dropout(flatten(run(block, x)), self.dropout_rate, train=train)
        return outputs(x, self.num_labels, name="dense")
