"""Convolutions on a log-mel spectrogram, in the manner of VGG: 3x3 kernels and max-poolings.

Of FCN (Choi et al. 2016), CRNN (Choi et al. 2017) and the short-chunk CNN (Won et al. 2020).
"""

import flax.linen as nn

from mclf_jax.audio.features import LogMel
from mclf_jax.models.layers.blocks import ConvBlock, batch_norm, compute_in, flatten_frequency
from mclf_jax.models.layers.parts import Part

FEATURES = LogMel(sample_rate_hz=16000, n_fft=512, hop_length=256, n_mels=96)
WINDOW_SAMPLES = 5 * 16000


class LogMelConv(Part):
    """Convolution, batch norm, ReLU and max-pooling, block after block.

    Attributes:
        n_channels: of a block whose multiplier is 1.
        multipliers: how many times as many each block has.
        pools: (time, frequency) of each block's max-pooling. Frequencies that are left are kept
            apart as channels.
    """

    n_channels: int = 64
    multipliers: tuple[int, ...] = (1, 2, 2, 2)
    pools: tuple[tuple[int, int], ...] = ((2, 2), (2, 2), (2, 3), (2, 4))

    def __call__(self, x, *, train: bool):
        """[B, F, M] -> [B, F', C * M']."""
        return flatten_frequency(self.blocks(x, train=train)[-1])

    @nn.compact
    def blocks(self, x, *, train: bool) -> list:
        """What each block makes of [B, F, M]: [B, F', M', C] each, first to last."""
        x = batch_norm(x[..., None], name=f"{self.prefix}spec_bn", train=train)
        x = compute_in(x, self.dtype)
        run, made = self.runner(train=train), []
        for i, (multiplier, pool) in enumerate(zip(self.multipliers, self.pools, strict=True)):
            name = f"{self.prefix}layer{i + 1}"
            x = run(ConvBlock(self.n_channels * multiplier, tuple(pool), name=name), x)
            made.append(x)
        return made
