"""Convolutions on the samples, three at a time, as of the sample-level CNN (Lee et al. 2017)."""

import flax.linen as nn

from mclf_jax.audio.features import Waveform
from mclf_jax.common import checks
from mclf_jax.models.layers.blocks import ConvBlock, compute_in
from mclf_jax.models.layers.parts import Part

FEATURES = Waveform(sample_rate_hz=16000)
WINDOW_SAMPLES = 5 * 16000
MULTIPLIERS = (1, 1, 1, 2, 2, 2, 2, 2, 2, 4)


class WaveformConv(Part):
    """A strided convolution, some that are each pooled by 3, and one over single steps.

    Attributes:
        n_channels: of the first block; ten of them have 1, 1, 1, 2, 2, 2, 2, 2, 2 and 4 times as
            many, and the last convolution 4 times as many.
        num_blocks: 1 to 10, each of which leaves a third of the steps.
    """

    n_channels: int = 128
    num_blocks: int = 7

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, T] -> [B, T / 3^num_blocks, 4 * n_channels]."""
        checks.within("model.args.num_blocks", self.num_blocks, 1, len(MULTIPLIERS))
        x = compute_in(x[..., None], self.dtype)
        run = self.runner(train=train)
        for i, multiplier in enumerate(MULTIPLIERS[: self.num_blocks]):
            stride, pool = (3, 1) if i == 0 else (1, 3)
            block = ConvBlock(
                self.n_channels * multiplier,
                pool=(pool,),
                kernel_size=(3,),
                strides=(stride,),
                name=f"{self.prefix}layer{i + 1}",
            )
            x = run(block, x)
        name = f"{self.prefix}layer{self.num_blocks + 1}"
        return run(ConvBlock(4 * self.n_channels, pool=(1,), kernel_size=(1,), name=name), x)
