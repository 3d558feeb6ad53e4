"""Residual convolutions on a log-mel spectrogram.

Of the short-chunk ResNet (Won et al. 2020) with strides, of CNNSA (Won et al. 2019) with strides
that leave time, and of the Music Tagging Transformer (Won et al. 2021) with poolings.
"""

from collections.abc import Sequence

import flax.linen as nn

from mclf_jax.audio.features import LogMel
from mclf_jax.models.layers.blocks import ResBlock, batch_norm, compute_in, flatten_frequency
from mclf_jax.models.layers.parts import Part

FEATURES = LogMel(sample_rate_hz=16000, n_fft=512, hop_length=256, n_mels=128)
WINDOW_SAMPLES = 5 * 16000


class LogMelRes(Part):
    """Blocks of two 3x3 convolutions beside a shortcut.

    Attributes:
        n_channels: of a block whose multiplier is 1.
        multipliers: how many times as many each block has.
        strides, pools: (time, frequency) of each block; of 1 where there are none. Frequencies that
            are left are kept apart as channels.
        depth_rates: of stochastic depth, see `blocks.depth_rates`; none where there are none.
        input_norm: name of the normalisation of the input.
    """

    n_channels: int = 128
    multipliers: tuple[int, ...] = (1, 1, 1)
    strides: tuple[tuple[int, int], ...] = ()
    pools: tuple[tuple[int, int], ...] = ((2, 2), (2, 2), (1, 2))
    depth_rates: tuple[float, ...] = ()
    input_norm: str = "spec_bn"

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, M] -> [B, F', C * M']."""
        x = batch_norm(x[..., None], name=f"{self.prefix}{self.input_norm}", train=train)
        x = compute_in(x, self.dtype)
        run, count = self.runner(train=train), len(self.multipliers)
        settings = zip(
            self.multipliers,
            _pairs(self.strides, count),
            _pairs(self.pools, count),
            self.depth_rates or (0.0,) * count,
            strict=True,
        )
        for i, (multiplier, strides, pool, rate) in enumerate(settings):
            name = f"{self.prefix}layer{i + 1}"
            x = run(ResBlock(self.n_channels * multiplier, strides, pool, rate, name=name), x)
        return flatten_frequency(x)


def _pairs(given: Sequence[Sequence[int]], count: int) -> list[tuple[int, int]]:
    return [(time, frequency) for time, frequency in given or ((1, 1),) * count]
