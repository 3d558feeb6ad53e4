"""The block of MobileNetV3 (Howard et al. 2019): wide inside, narrow at both ends."""

import flax.linen as nn

from mclf_jax.models.layers.blocks import batch_norm, conv, dense, stochastic_depth
from mclf_jax.models.layers.convolutions.depthwise import depthwise_conv

# Of batch normalisation, PyTorch's momentum of .01.
NORM = {"momentum": 0.99, "epsilon": 1e-3}
ACTIVATIONS = {"relu": nn.relu, "hard_swish": nn.hard_swish, "none": lambda x: x}


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm and an activation.

    Attributes:
        features: output channels.
        kernel_size, stride: of both axes.
        activation: one of `ACTIVATIONS`.
        depthwise: every channel by itself; there are `features` of them.
    """

    features: int
    kernel_size: int = 1
    stride: int = 1
    activation: str = "none"
    depthwise: bool = False

    @nn.compact
    def __call__(self, x, *, train: bool):
        groups = {"groups": self.features, "convolve": depthwise_conv} if self.depthwise else {}
        x = conv(
            x,
            self.features,
            kernel_size=(self.kernel_size,) * 2,
            strides=(self.stride,) * 2,
            use_bias=False,
            name="0",
            **groups,
        )
        return ACTIVATIONS[self.activation](batch_norm(x, name="1", train=train, **NORM))


class Inverted(nn.Module):
    """Widen, filter every channel by itself, weigh channels by their means, narrow.

    Attributes:
        expanded, features: channels inside and at the end.
        kernel_size, stride: of the filters, of both axes.
        squeeze: whether channels are weighed.
        activation: "relu" or "hard_swish".
        stochastic_depth_rate: of a block with a shortcut, see `blocks.stochastic_depth`.
    """

    expanded: int
    features: int
    kernel_size: int
    stride: int
    squeeze: bool
    activation: str
    stochastic_depth_rate: float = 0.0

    @nn.compact
    def __call__(self, x, *, train: bool):
        y, layers = x, iter(range(4))
        if self.expanded != x.shape[-1]:
            widen = ConvNorm(
                self.expanded, activation=self.activation, name=f"block.{next(layers)}"
            )
            y = widen(y, train=train)
        filters = ConvNorm(
            self.expanded,
            self.kernel_size,
            self.stride,
            self.activation,
            depthwise=True,
            name=f"block.{next(layers)}",
        )
        y = filters(y, train=train)
        if self.squeeze:
            y = _Squeeze(name=f"block.{next(layers)}.conc_se_layers.0")(y)
        y = ConvNorm(self.features, name=f"block.{next(layers)}")(y, train=train)
        if self.stride != 1 or x.shape[-1] != self.features:
            return y
        return x + stochastic_depth(y, self.stochastic_depth_rate, train=train)


class _Squeeze(nn.Module):
    """Squeeze and excitation (Hu et al. 2018) in a quarter of the channels, [B, F, M, C]."""

    @nn.compact
    def __call__(self, x):
        channels = x.shape[-1]
        weights = nn.relu(dense(x.mean(axis=(1, 2)), divisible(channels // 4), name="fc1"))
        return x * nn.sigmoid(dense(weights, channels, name="fc2"))[:, None, None]


def divisible(channels: float) -> int:
    """The nearest multiple of 8, which is not less than nine tenths of it.

    >>> divisible(9.6), divisible(12), divisible(11)
    (16, 16, 16)
    """
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest
