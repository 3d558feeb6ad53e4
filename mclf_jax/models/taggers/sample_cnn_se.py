"""Sample-level CNN with residual squeeze-and-excitation blocks (Kim et al. 2018, Won et al. 2020).

Input 59,049 = 3^10 samples at 16 kHz; a strided block and nine poolings by 3 leave one step.
6,951,858 parameters for 50 tags.
"""

import flax.linen as nn

from mclf_jax.audio.features import Waveform
from mclf_jax.models.layers.blocks import (
    Network,
    batch_norm,
    compute_in,
    conv,
    dense,
    depth_rates,
    dropout,
    flatten,
    max_pool,
    outputs,
    stochastic_depth,
)
from mclf_jax.models.taggers.sample_cnn import MULTIPLIERS

FEATURES = Waveform(sample_rate_hz=16000)
WINDOW_SAMPLES = 3**10


class SampleCNNSE(Network):
    """Eleven residual blocks on the samples, whose channels are weighed by their own means.

    Attributes:
        n_channels: of the first block; the ten have 1, 1, 1, 2, 2, 2, 2, 2, 2 and 4 times as
            many, and the last block and the dense layer 4 times as many.
        dropout_rate: before the last layer.
        stochastic_depth_rate: of the last residual block, see `blocks.depth_rates`.
    """

    n_channels: int = 128
    dropout_rate: float = 0.5
    stochastic_depth_rate: float = 0.0

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, T] -> {"logits": [B, K], "embedding": [B, 4 * n_channels]}."""
        x = compute_in(x[..., None], self.dtype)
        run = self.runner(train=train)
        *rates, last_rate = depth_rates(self.stochastic_depth_rate, len(MULTIPLIERS) + 1)
        for i, (multiplier, rate) in enumerate(zip(MULTIPLIERS, rates, strict=True)):
            stride, pool = (3, 1) if i == 0 else (1, 3)
            features = self.n_channels * multiplier
            block = _ResSE(features, rate, stride=stride, pool=pool, name=f"layer{i + 1}")
            x = run(block, x)
        x = run(_ResSE(4 * self.n_channels, last_rate, kernel_size=1, name="layer11"), x)
        x = dense(flatten(x), 4 * self.n_channels, name="dense1")
        x = nn.relu(batch_norm(x, name="bn", train=train))
        return outputs(dropout(x, self.dropout_rate, train=train), self.num_labels, name="dense2")


class _ResSE(nn.Module):
    """Residual block with squeeze and excitation (Hu et al. 2018), [B, T, C] -> [B, T', C']."""

    features: int
    stochastic_depth_rate: float
    kernel_size: int = 3
    stride: int = 1
    pool: int = 1

    @nn.compact
    def __call__(self, x, *, train: bool):
        size, strides = (self.kernel_size,), (self.stride,)
        y = conv(x, self.features, kernel_size=size, strides=strides, name="conv_1")
        y = nn.relu(batch_norm(y, name="bn_1", train=train))
        y = conv(y, self.features, kernel_size=size, name="conv_2")
        y = batch_norm(y, name="bn_2", train=train)

        weights = nn.relu(dense(y.mean(axis=1), self.features, name="dense1"))
        weights = nn.sigmoid(dense(weights, self.features, name="dense2"))
        y = stochastic_depth(y * weights[:, None], self.stochastic_depth_rate, train=train)

        if self.stride != 1 or x.shape[-1] != self.features:
            x = conv(x, self.features, kernel_size=(3,), strides=strides, name="conv_3")
            x = batch_norm(x, name="bn_3", train=train)
        return max_pool(nn.relu(x + y), (self.pool,))
