"""MusiCNN (Pons and Serra 2019, as in Won et al. 2020): filters shaped for timbre and for rhythm.

Input 48,000 samples at 16 kHz -> 188 frames of 96 mels (or 128). Time is pooled away, so any
length works. 784,300 parameters for 50 tags; 7,972,000 in the large size, `LARGE`.
"""

import flax.linen as nn

from mclf_jax.audio.features import LogMel
from mclf_jax.models.backs.convolutions import Convolutions
from mclf_jax.models.fronts.musicnn import TallAndLong
from mclf_jax.models.layers.blocks import Network, dropout, outputs
from mclf_jax.models.layers.parts import joined

FEATURES = LogMel(sample_rate_hz=16000, n_fft=512, hop_length=256, n_mels=96)
WINDOW_SAMPLES = 3 * 16000
LARGE = {"backend_channels": 512, "dense_units": 500}
"""Arguments of the large size."""


class MusiCNN(Network):
    """A front end of tall and of long filters, a small residual network, mean and max over time.

    Attributes:
        n_channels: of each long (temporal) filter bank; tall (timbral) ones have 4 times as many.
        backend_channels: of the three convolutions in the middle.
        dense_units: of the layer before the last, the size of the embedding.
        heights: of the two banks of tall filters, in mel bands; 70 % and 40 % of the bands when not
            given. The published class of 2020 has (67, 38) for any number of bands.
        dropout_rate: before the last layer.
    """

    n_channels: int = 51
    backend_channels: int = 64
    dense_units: int = 200
    heights: tuple[int, ...] = ()
    dropout_rate: float = 0.5

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, M] -> {"logits": [B, K], "embedding": [B, dense_units]}.

        Raises:
            ValueError: `heights` that are not two, or do not fit the bands.
        """
        front = TallAndLong(self.n_channels, self.heights, **self.ways)
        back = Convolutions(self.backend_channels, hidden_size=self.dense_units, **self.ways)
        x = joined(self, front)(x, train=train)
        x = joined(self, back)(x, train=train)
        return outputs(dropout(x, self.dropout_rate, train=train), self.num_labels, name="dense2")
