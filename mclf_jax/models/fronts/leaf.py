"""A learnt spectrogram, LEAF (Zeghidour et al. 2021), and convolutions on it."""

import flax.linen as nn

from mclf_jax.audio.features import Waveform
from mclf_jax.models.fronts.log_mel import LogMelConv
from mclf_jax.models.layers.leaf import Leaf
from mclf_jax.models.layers.parts import Part, joined

FEATURES = Waveform(sample_rate_hz=16000)
WINDOW_SAMPLES = 5 * 16000


class LeafConv(Part):
    """Bands that are learnt, which begin as mel bands, and 3x3 blocks on them.

    Attributes:
        sample_rate_hz: of the waveform; filled in by `models.build`.
        num_filters, window_ms, hop_ms: of `layers.leaf`.
        n_channels, multipliers, pools: of the blocks, see `fronts.log_mel`.
    """

    sample_rate_hz: int = 16000
    num_filters: int = 40
    window_ms: float = 25.0
    hop_ms: float = 10.0
    n_channels: int = 64
    multipliers: tuple[int, ...] = (1, 2, 2, 2)
    pools: tuple[tuple[int, int], ...] = ((2, 2), (2, 2), (2, 2), (2, 2))

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, T] -> [B, F', C * M']."""
        leaf = Leaf(
            self.sample_rate_hz,
            self.num_filters,
            self.window_ms,
            self.hop_ms,
            name=f"{self.prefix}leaf",
        )
        blocks = LogMelConv(
            self.n_channels,
            self.multipliers,
            self.pools,
            dtype=self.dtype,
            remat=self.remat,
            prefix=self.prefix,
        )
        return joined(self, blocks)(leaf(x), train=train)
