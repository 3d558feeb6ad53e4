"""Filters as long as a frame on the samples, then convolutions over frames.

In the manner of Dieleman and Schrauwen (2014), the first to tag music from its samples: each
filter answers once a frame, as a band of a spectrogram does, and two convolutions read these bands.
"""

import flax.linen as nn

from mclf_jax.audio.features import Waveform
from mclf_jax.models.layers.blocks import ConvUnit, compute_in, conv, max_pool
from mclf_jax.models.layers.parts import Part

FEATURES = Waveform(sample_rate_hz=16000)
WINDOW_SAMPLES = 5 * 16000


class Frames(Part):
    """A strided convolution and ReLU, then convolutions, each pooled, over time.

    Attributes:
        num_filters: of the strided convolution.
        frame_length, hop_length: of its filters, in samples, and from one answer to the next.
        n_channels: of the convolutions over frames.
        kernel_size: of these, in frames.
        pools: of the max-pooling after each, in frames.
    """

    num_filters: int = 128
    frame_length: int = 256
    hop_length: int = 256
    n_channels: int = 32
    kernel_size: int = 8
    pools: tuple[int, ...] = (4, 4)

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, T] -> [B, F, n_channels]."""
        x = conv(
            compute_in(x[..., None], self.dtype),
            self.num_filters,
            kernel_size=(self.frame_length,),
            strides=(self.hop_length,),
            padding=(0,),
            name=f"{self.prefix}frames",
        )
        x, run = nn.relu(x), self.runner(train=train)
        for i, pool in enumerate(self.pools):
            name = f"{self.prefix}layer{i + 1}"
            x = run(ConvUnit(self.n_channels, (self.kernel_size,), (0,), name=name), x)
            x = max_pool(x, (pool,))
        return x
