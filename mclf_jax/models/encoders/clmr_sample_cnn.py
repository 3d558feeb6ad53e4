"""SampleCNN of CLMR (Spijkervet and Burgoyne 2021; tutorial, chapter 15): the contrastive encoder.

Input 59,049 samples at 22,050 Hz. 2,368,512 parameters without the last layer. Unlike
`sample_cnn` it does not pad the first convolution and its last one has a kernel of 3, so their
weights are not interchangeable.

Published strides: (3,) * 9 for 59,049 samples at 22,050 Hz; (3, 3, 3, 3, 3, 3, 5, 2, 2) for
43,740 at 16 kHz; (3, 3, 3, 2, 2, 4, 4, 2, 2) for 20,736 at 8 kHz.
"""

import flax.linen as nn

from mclf_jax.audio.features import Waveform
from mclf_jax.models.layers.blocks import (
    Network,
    compute_in,
    conv_norm,
    dropout,
    flatten,
    max_pool,
    outputs,
)

FEATURES = Waveform(sample_rate_hz=22050)
WINDOW_SAMPLES = 3**10


class CLMRSampleCNN(Network):
    """A strided convolution, nine convolutions each pooled by its kernel size, and a last one.

    Attributes:
        n_channels: of the first layers; the eleven have 1, 1, 1, 2, 2, 2, 2, 2, 2, 4 and 4 times
            as many.
        strides: kernel size and pooling of each of the nine.
        dropout_rate: before the last layer.
    """

    n_channels: int = 128
    strides: tuple[int, ...] = (3,) * 9
    dropout_rate: float = 0.5

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, T] -> {"logits": [B, K], "embedding": [B, 4 * n_channels]}."""
        multipliers = (1, 1, 2, 2, 2, 2, 2, 2, 4)
        if len(self.strides) != len(multipliers):
            raise ValueError(
                f"model.args.strides has {len(self.strides)} numbers; it must have "
                f"{len(multipliers)}, one for each layer between the first and the last"
            )
        run = self.runner(train=train)
        x = compute_in(x[..., None], self.dtype)
        x = run(_Layer(self.n_channels, stride=3, padding=0, name="sequential.0"), x)
        for i, (size, multiplier) in enumerate(zip(self.strides, multipliers, strict=True)):
            features = self.n_channels * multiplier
            # Padding is 1 for even kernels too, which then lengthen the input by one.
            layer = _Layer(features, kernel_size=size, pool=size, name=f"sequential.{i + 1}")
            x = run(layer, x)
        x = run(_Layer(4 * self.n_channels, name="sequential.10"), x)
        x = dropout(flatten(x), self.dropout_rate, train=train)
        return outputs(x, self.num_labels, name="fc")


class _Layer(nn.Module):
    features: int
    kernel_size: int = 3
    stride: int = 1
    padding: int = 1
    pool: int = 1

    @nn.compact
    def __call__(self, x, *, train: bool):
        x = conv_norm(
            x,
            self.features,
            kernel_size=(self.kernel_size,),
            strides=(self.stride,),
            padding=(self.padding,),
            names=("0", "1"),
            train=train,
        )
        return max_pool(nn.relu(x), (self.pool,))
