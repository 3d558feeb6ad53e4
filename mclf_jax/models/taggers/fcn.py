"""Fully convolutional network (Choi et al. 2016, as in Won et al. 2020): a whole 29 s clip at once.

Input 464,000 samples at 16 kHz -> 1813 frames of 96 mels (or 128); five poolings reduce them
to 1x1. 447,732 parameters for 50 tags.
"""

import flax.linen as nn

from mclf_jax.audio.features import LogMel
from mclf_jax.models.fronts.log_mel import LogMelConv
from mclf_jax.models.layers.blocks import Network, dropout, flatten, outputs
from mclf_jax.models.layers.parts import joined

FEATURES = LogMel(sample_rate_hz=16000, n_fft=512, hop_length=256, n_mels=96)
WINDOW_SAMPLES = 29 * 16000


class FCN(Network):
    """Convolutions with large poolings until one point is left, and one dense layer on it.

    Attributes:
        n_channels: of the first and the last block; those between have twice as many.
        pools: (time, frequency) of each block's max-pooling, one block per entry. What they
            leave is flattened, so the length of the input is fixed once it is trained.
        dropout_rate: before the last layer.
    """

    n_channels: int = 64
    pools: tuple[tuple[int, int], ...] = ((4, 2), (4, 2), (4, 2), (5, 3), (4, 4))
    dropout_rate: float = 0.5

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, M] -> {"logits": [B, K], "embedding": [B, n_channels]}."""
        multipliers = (1, *(2,) * (len(self.pools) - 2), 1)
        front = LogMelConv(self.n_channels, multipliers, self.pools, **self.ways)
        x = flatten(joined(self, front)(x, train=train))
        x = dropout(x, self.dropout_rate, train=train)
        return outputs(x, self.num_labels, name="dense")
