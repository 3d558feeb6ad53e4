"""Layers that the architectures share, initialised and normalised as in their PyTorch originals.

Layout: [B, F, M, C], time before frequency, or [B, T, C], so a PyTorch kernel is this
kernel with its axes reversed. Submodules carry the names of the published checkpoints
("layer1.conv"), which makes loading weights a matter of transposing. `conv`, `dense`,
`batch_norm` and `layer_norm` are called inside a module's compact `__call__`, where they add
the submodule `name`. They compute in the precision of what they are given and keep
parameters and statistics in float32.
"""

import functools
import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from mclf_jax.common import checks
from mclf_jax.models.layers.convolutions import normed
from mclf_jax.models.layers.convolutions.quick import quick_conv

# PyTorch's default: weights uniform in +-1/sqrt(fan_in), and biases too.
_MOMENTUM, _EPSILON = 0.9, 1e-5

torch_kernel_init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


def torch_bias_init(fan_in: int):
    """Initialiser of PyTorch's biases, uniform in +-1/sqrt(fan_in)."""
    bound = fan_in**-0.5

    def init(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


def conv(
    x,
    features: int,
    *,
    name: str,
    kernel_size: tuple[int, ...] = (3, 3),
    strides: tuple[int, ...] | None = None,
    padding: tuple[int, ...] | None = None,
    use_bias: bool = True,
    groups: int = 1,
    convolve: Callable | None = None,
):
    """Convolution over the middle axes, [B, F, M, C] -> [B, F', M', features] or [B, T, C] alike.

    Args:
        x: the input.
        features: output channels.
        name: of the submodule.
        kernel_size, strides: one number an axis; strides of 1 when not given.
        padding: zeros on both sides of each axis; half the kernel when not given, which keeps
            the size if the kernel is odd and the stride 1.
        use_bias: adds a bias to every channel.
        groups: of channels that do not see each other.
        convolve: in place of `quick_conv`, such as `tall_conv`.
    """
    return nn.Conv(
        features,
        kernel_size,
        strides=strides,
        padding=_both_sides(padding, kernel_size),
        use_bias=use_bias,
        feature_group_count=groups,
        kernel_init=torch_kernel_init,
        bias_init=torch_bias_init(x.shape[-1] // groups * math.prod(kernel_size)),
        dtype=x.dtype,
        conv_general_dilated=convolve or quick_conv,
        name=name,
    )(x)


def _both_sides(padding: tuple[int, ...] | None, kernel_size: tuple[int, ...]):
    if padding is None:
        padding = tuple(size // 2 for size in kernel_size)
    return [(size, size) for size in padding]


def dense(x, features: int, *, name: str, use_bias: bool = True):
    """Affine layer, [..., D] -> [..., features]."""
    return nn.Dense(
        features,
        use_bias=use_bias,
        kernel_init=torch_kernel_init,
        bias_init=torch_bias_init(x.shape[-1]),
        dtype=x.dtype,
        name=name,
    )(x)


def batch_norm(
    x, *, name: str, train: bool, momentum: float = _MOMENTUM, epsilon: float = _EPSILON
):
    """Batch normalisation over all axes but the last, with PyTorch's eps and momentum.

    Flax's fast variance, E[x^2] - E[x]^2, loses too many digits on decibels. The running
    variance is the biased one, as always in Flax; PyTorch keeps N/(N-1) of it.
    """
    return nn.BatchNorm(
        use_running_average=not train,
        momentum=momentum,
        epsilon=epsilon,
        use_fast_variance=False,
        dtype=x.dtype,
        name=name,
    )(x)


def conv_norm(
    x,
    features: int,
    *,
    names: tuple[str, str],
    train: bool,
    kernel_size: tuple[int, ...] = (3, 3),
    strides: tuple[int, ...] | None = None,
    padding: tuple[int, ...] | None = None,
    convolve: Callable | None = None,
):
    """Convolution with a bias, then batch normalisation: `conv` and `batch_norm` by these `names`.

    In training a spectrogram or a waveform takes both at once, see `convolutions.normed`.
    """
    shape = {"kernel_size": kernel_size, "strides": strides, "padding": padding}
    if not train or not normed.has_small_patches(x.shape[-1], kernel_size, features):
        x = conv(x, features, **shape, convolve=convolve, name=names[0])
        return batch_norm(x, name=names[1], train=train)
    return normed.normed_conv(
        x,
        normed.ConvParameters(
            features,
            kernel_size,
            kernel_init=torch_kernel_init,
            bias_init=torch_bias_init(x.shape[-1] * math.prod(kernel_size)),
            name=names[0],
        ),
        normed.NormParameters(_MOMENTUM, name=names[1]),
        convolve=convolve or quick_conv,
        strides=strides or (1,) * len(kernel_size),
        padding=_both_sides(padding, kernel_size),
        epsilon=_EPSILON,
    )


def layer_norm(x, *, name: str, epsilon: float):
    """Layer normalisation over the last axis."""
    return nn.LayerNorm(epsilon=epsilon, use_fast_variance=False, dtype=x.dtype, name=name)(x)


def dropout(x, rate: float, *, train: bool, name: str | None = None):
    """Dropout in training, by the "dropout" key of `apply`."""
    return nn.Dropout(rate, deterministic=not train, name=name)(x)


def depth_rates(last: float, num_blocks: int) -> tuple[float, ...]:
    """How often each residual block loses its branch, for `stochastic_depth`.

    The rate rises linearly from last / num_blocks in the first block to `last` (Huang et al. 2016,
    equation 4, where it is 1 minus the probability to survive). Noisy student for images has 0.2.

    Raises:
        ValueError: `last` is not in [0, 1).
    """
    checks.within("model.args.stochastic_depth_rate", last, 0, 1, ends="[)")
    return tuple(last * (i + 1) / num_blocks for i in range(num_blocks))


def stochastic_depth(y, rate: float, *, train: bool, name: str = "stochastic_depth"):
    """A residual branch [B, ...] that is 0 for a share `rate` of the examples in training.

    Huang et al. 2016, drawn for each example by the "dropout" key of `apply`. What is kept is
    divided by 1 - rate, so that its expectation is the branch and evaluation uses all of it as it
    is. (The paper does not divide, and multiplies by 1 - rate in evaluation.)
    """
    if rate == 0:
        return y
    other_axes = tuple(range(1, y.ndim))
    return nn.Dropout(rate, other_axes, deterministic=not train, name=name)(y)


def compute_in(x, dtype: str):
    """`x` in bfloat16 if that is asked for; else as it is, so that float64 stays float64."""
    return x.astype(jnp.bfloat16) if dtype == "bfloat16" else x


def run_block(block: nn.Module, x, *, train: bool, remat: str):
    """`block(x, train=train)`; with remat "blocks", what happens inside is not kept.

    The backward pass then starts from the input of the block and computes its inside again.
    """
    if remat == "none":
        return block(x, train=train)
    return nn.remat(lambda block, x: block(x, train=train))(block, x)


def flatten_frequency(x):
    """[B, F, M, C] -> [B, F, C * M], channel first as PyTorch flattens."""
    return x.swapaxes(2, 3).reshape(*x.shape[:2], -1)


def flatten(x):
    """[B, F, M, C] or [B, T, C] -> [B, D], in PyTorch's order: channel, frequency, time."""
    return x.transpose(0, *range(x.ndim - 1, 0, -1)).reshape(x.shape[0], -1)


def outputs(embedding, num_labels: int, *, name: str):
    """The last layer and what every network returns; in float32 whatever the blocks compute in."""
    embedding = embedding.astype(jnp.promote_types(embedding.dtype, jnp.float32))
    return {"logits": dense(embedding, num_labels, name=name), "embedding": embedding}


def max_pool(x, window: tuple[int, ...]):
    """Non-overlapping max-pooling over (time, frequency) or (time,); remainders are dropped.

    Strided slices and comparisons take about half the time of `reduce_window` on CPU, forwards
    and backwards. See `max_over` for why they are not `jnp.maximum`.

    Raises:
        ValueError: an axis is shorter than its window.
    """
    for axis, size in enumerate(window, start=1):
        length = x.shape[axis] // size * size
        if length == 0:
            raise ValueError(
                f"the input is too small for this network: {x.shape[axis]} "
                f"{'frequency bands' if axis == 2 else 'steps in time'} are left where a "
                f"max-pooling needs {size}; raise model.window_s or features.n_mels, or pool less"
            )
        parts = [
            jax.lax.slice_in_dim(x, start, length, stride=size, axis=axis) for start in range(size)
        ]
        x = parts[0]
        for part in parts[1:]:
            x = jnp.where(part > x, part, x)
    return x


def max_over(x, axis: int):
    """Maximum over an axis, whose gradient goes to the first largest element, as in PyTorch.

    The gradient of `jnp.max`, and of `jnp.maximum`, asks where x equals its maximum. XLA may
    compute x a second time for that question, rounded otherwise, and then nothing equals: on
    CPU a third of the gradient of `short_chunk_resnet` was lost. Neither this function nor
    `max_pool` asks it.
    """
    index = jax.lax.stop_gradient(x).argmax(axis, keepdims=True)
    largest = jax.lax.broadcasted_iota(index.dtype, x.shape, axis) == index
    return jnp.where(largest, x, 0).sum(axis)


class Network(nn.Module):
    """What all architectures have beside their own settings.

    Attributes:
        num_labels: K.
        dtype: of the blocks, "float32" or "bfloat16".
        remat: "none" or "blocks", see `models.build`.
    """

    num_labels: int
    dtype: str = "float32"
    remat: str = "none"

    @property
    def ways(self) -> dict[str, str]:
        """How parts of this network compute."""
        return {"dtype": self.dtype, "remat": self.remat}

    def runner(self, *, train: bool) -> Callable:
        """`run(block, x)`, which is `run_block` with the settings of this network."""
        return functools.partial(run_block, train=train, remat=self.remat)


class ConvUnit(nn.Module):
    """Convolution, batch norm and ReLU, with kernels of any shape.

    Attributes:
        features: output channels.
        kernel_size, padding, convolve: as in `conv`.
    """

    features: int
    kernel_size: tuple[int, ...]
    padding: tuple[int, ...] | None = None
    convolve: Callable | None = None

    @nn.compact
    def __call__(self, x, *, train: bool):
        x = conv_norm(
            x,
            self.features,
            kernel_size=self.kernel_size,
            padding=self.padding,
            convolve=self.convolve,
            names=("conv", "bn"),
            train=train,
        )
        return nn.relu(x)


class ConvBlock(nn.Module):
    """Convolution, batch norm, ReLU and max-pool, over (time, frequency) or over time alone.

    Attributes:
        features: output channels.
        pool: of the max-pooling, one number an axis.
        kernel_size, strides, padding: as in `conv`.
    """

    features: int
    pool: tuple[int, ...]
    kernel_size: tuple[int, ...] = (3, 3)
    strides: tuple[int, ...] | None = None
    padding: tuple[int, ...] | None = None

    @nn.compact
    def __call__(self, x, *, train: bool):
        x = conv_norm(
            x,
            self.features,
            kernel_size=self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            names=("conv", "bn"),
            train=train,
        )
        return max_pool(nn.relu(x), self.pool)


class ResBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, then ReLU and max-pool (He et al. 2016).

    The shortcut is the identity where shapes allow it, else a strided 3x3 convolution.

    Attributes:
        features: output channels.
        strides, pool: (time, frequency).
        stochastic_depth_rate: how often the convolutions are left out, see `stochastic_depth`.
        joint: what stands before the number of a layer in its name.
    """

    features: int
    strides: tuple[int, int] = (1, 1)
    pool: tuple[int, int] = (1, 1)
    stochastic_depth_rate: float = 0.0
    joint: str = "_"

    @nn.compact
    def __call__(self, x, *, train: bool):
        def layer(x, number, strides=None):
            names = (f"conv{self.joint}{number}", f"bn{self.joint}{number}")
            return conv_norm(x, self.features, strides=strides, names=names, train=train)

        y = layer(nn.relu(layer(x, 1, self.strides)), 2)
        y = stochastic_depth(y, self.stochastic_depth_rate, train=train)
        if self.strides != (1, 1) or x.shape[-1] != self.features:
            x = layer(x, 3, self.strides)
        return max_pool(nn.relu(x + y), self.pool)
