"""Residual convolutions on the samples, with squeeze and excitation (Kim et al. 2018)."""

import flax.linen as nn

from mclf_jax.audio.features import Waveform
from mclf_jax.common import checks
from mclf_jax.models.fronts.waveform import MULTIPLIERS
from mclf_jax.models.layers.blocks import (
    compute_in,
    conv_norm,
    dense,
    max_pool,
    stochastic_depth,
)
from mclf_jax.models.layers.parts import Part

FEATURES = Waveform(sample_rate_hz=16000)
WINDOW_SAMPLES = 5 * 16000


class WaveformSE(Part):
    """Blocks whose channels are weighed by their own means.

    Attributes:
        n_channels: of the first block; ten of them have 1, 1, 1, 2, 2, 2, 2, 2, 2 and 4 times as
            many, and the last block 4 times as many.
        num_blocks: 1 to 10, each of which leaves a third of the steps.
        depth_rates: of stochastic depth, of those and the last one, see `blocks.depth_rates`; none
            where there are none.
    """

    n_channels: int = 128
    num_blocks: int = 7
    depth_rates: tuple[float, ...] = ()

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, T] -> [B, T / 3^num_blocks, 4 * n_channels]."""
        checks.within("model.args.num_blocks", self.num_blocks, 1, len(MULTIPLIERS))
        x = compute_in(x[..., None], self.dtype)
        run = self.runner(train=train)
        *rates, last_rate = self.depth_rates or (0.0,) * (self.num_blocks + 1)
        blocks = zip(MULTIPLIERS[: self.num_blocks], rates, strict=True)
        for i, (multiplier, rate) in enumerate(blocks):
            stride, pool = (3, 1) if i == 0 else (1, 3)
            features, name = self.n_channels * multiplier, f"{self.prefix}layer{i + 1}"
            x = run(ResSE(features, rate, stride=stride, pool=pool, name=name), x)
        name = f"{self.prefix}layer{self.num_blocks + 1}"
        return run(ResSE(4 * self.n_channels, last_rate, kernel_size=1, name=name), x)


class ResSE(nn.Module):
    """Residual block with squeeze and excitation (Hu et al. 2018), [B, T, C] -> [B, T', C']."""

    features: int
    stochastic_depth_rate: float
    kernel_size: int = 3
    stride: int = 1
    pool: int = 1

    @nn.compact
    def __call__(self, x, *, train: bool):
        size, strides = (self.kernel_size,), (self.stride,)

        def layer(x, number, size, strides=None):
            names = (f"conv_{number}", f"bn_{number}")
            way = {"kernel_size": size, "strides": strides}
            return conv_norm(x, self.features, **way, names=names, train=train)

        y = layer(nn.relu(layer(x, 1, size, strides)), 2, size)

        weights = nn.relu(dense(y.mean(axis=1), self.features, name="dense1"))
        weights = nn.sigmoid(dense(weights, self.features, name="dense2"))
        y = stochastic_depth(y * weights[:, None], self.stochastic_depth_rate, train=train)

        if self.stride != 1 or x.shape[-1] != self.features:
            x = layer(x, 3, (3,), strides)
        return max_pool(nn.relu(x + y), (self.pool,))
