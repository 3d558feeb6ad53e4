"""CRNN (Choi et al. 2017, as in Won et al. 2020): convolutions, then a recurrent layer over time.

Input 464,000 samples at 16 kHz -> 1813 frames of 96 mels (or 128); four poolings leave 18
steps, which two GRU layers read. 394,100 parameters for 50 tags.
"""

import flax.linen as nn

from mclf_jax.audio.features import LogMel
from mclf_jax.models.fronts.log_mel import LogMelConv
from mclf_jax.models.layers.blocks import Network, dropout, outputs
from mclf_jax.models.layers.gru import GRU
from mclf_jax.models.layers.parts import joined

FEATURES = LogMel(sample_rate_hz=16000, n_fft=512, hop_length=256, n_mels=96)
WINDOW_SAMPLES = 29 * 16000


class CRNN(Network):
    """Four convolutional blocks, a stack of GRUs, and a dense layer on the last state.

    Attributes:
        n_channels: of the first block; the others have twice as many.
        pools: (time, frequency) of each block's max-pooling, one block per entry.
        hidden_size, num_layers: of the GRU.
        dropout_rate: before the last layer.
    """

    n_channels: int = 64
    pools: tuple[tuple[int, int], ...] = ((2, 2), (3, 3), (4, 4), (4, 4))
    hidden_size: int = 32
    num_layers: int = 2
    dropout_rate: float = 0.5

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, M] -> {"logits": [B, K], "embedding": [B, hidden_size]}."""
        multipliers = (1, *(2,) * (len(self.pools) - 1))
        front = LogMelConv(self.n_channels, multipliers, self.pools, **self.ways)
        x = joined(self, front)(x, train=train)
        gru = GRU(self.hidden_size, self.num_layers, name=f"layer{len(self.pools) + 1}")
        x = gru(x)[:, -1]
        return outputs(dropout(x, self.dropout_rate, train=train), self.num_labels, name="dense")
