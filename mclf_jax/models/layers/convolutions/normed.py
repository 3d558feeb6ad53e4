"""A convolution of few channels and its batch norm as one, which never reads what it made.

The statistics of a batch norm behind a convolution follow from those of the patches that it sees:
the mean is w . E[p], the variance w . Cov(p) . w. With nine numbers to a patch and 128 channels
behind it, that spares several readings of an array 14 times as large, forwards and backwards.
"""

import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from mclf_jax.models.layers.convolutions.quick import taps_of

# Of a patch: above that its covariance costs what it spares.
_NUMBERS = 16
_FEATURES = 32


def has_small_patches(channels: int, kernel_size: Sequence[int], features: int) -> bool:
    """Whether patches are so small beside the features that their statistics are the cheaper."""
    return math.prod(kernel_size) * channels <= _NUMBERS and features >= _FEATURES


def patch_statistics(
    x: jax.Array,
    *,
    kernel_size: tuple[int, ...],
    strides: tuple[int, ...],
    padding: Sequence[tuple[int, int]],
) -> dict[str, jax.Array]:
    """Mean [P] and covariance [P, P] of all patches that a convolution sees, padding included.

    Args:
        x: [B, F, M, C] or [B, T, C]; P is the product of `kernel_size` and C, in the order of a
            kernel of Linen.
        kernel_size, strides, padding: of the convolution, an entry for each axis.
    """
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    if x.ndim == 3:
        x = x[:, :, None]
        kernel_size, strides, padding = (*kernel_size, 1), (*strides, 1), (*padding, (0, 0))
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    sizes = [
        (size - kernel) // stride + 1
        for size, kernel, stride in zip(x.shape[1:-1], kernel_size, strides, strict=True)
    ]
    taps = taps_of(x, kernel_size, strides, sizes)
    rows = jnp.concatenate([jnp.moveaxis(tap, -1, 0) for tap in taps])
    axes = (1, 2, 3)
    mean = rows.mean(axes, keepdims=True)
    # Centred first: E[p p] - E[p] E[p] loses what decibels far from zero have in common.
    rows = rows - mean
    covariance = lax.dot_general(rows, rows, ((axes, axes), ((), ()))) / rows[0].size
    return {"mean": mean.reshape(-1), "covariance": covariance}


class ConvParameters(nn.Module):
    """The kernel and the bias of an `nn.Conv` of the same name, which is not computed here.

    Attributes:
        features, kernel_size, kernel_init, bias_init: as in `nn.Conv`.
    """

    features: int
    kernel_size: tuple[int, ...]
    kernel_init: Callable
    bias_init: Callable

    @nn.compact
    def __call__(self, channels: int) -> dict[str, jax.Array]:
        shape = (*self.kernel_size, channels, self.features)
        return {
            "kernel": self.param("kernel", self.kernel_init, shape, jnp.float32),
            "bias": self.param("bias", self.bias_init, (self.features,), jnp.float32),
        }


class NormParameters(nn.Module):
    """Scale and bias of an `nn.BatchNorm` of the same name, whose averages it keeps.

    Attributes:
        momentum: of the running averages.
    """

    momentum: float

    @nn.compact
    def __call__(self, mean: jax.Array, variance: jax.Array) -> dict[str, jax.Array]:
        for name, value, first in (("mean", mean, jnp.zeros), ("var", variance, jnp.ones)):
            average = self.variable("batch_stats", name, first, value.shape, jnp.float32)
            if not self.is_initializing():
                average.value = self.momentum * average.value + (1 - self.momentum) * value
        return {
            "scale": self.param("scale", nn.initializers.ones, mean.shape, jnp.float32),
            "bias": self.param("bias", nn.initializers.zeros, mean.shape, jnp.float32),
        }


def normed_conv(
    x: jax.Array,
    parameters: ConvParameters,
    norm: NormParameters,
    *,
    convolve: Callable,
    strides: tuple[int, ...],
    padding: Sequence[tuple[int, int]],
    epsilon: float,
) -> jax.Array:
    """Convolution and batch norm of training as a convolution with a scaled kernel.

    Equal to one behind the other, statistics and gradients included, but for rounding.

    Args:
        x: [B, F, M, C] or [B, T, C], of few channels, see `has_small_patches`.
        parameters, norm: modules with the names that the two layers would have.
        convolve: such as `quick_conv`.
        strides, padding: an entry for each axis.
        epsilon: of the batch norm.
    """
    kernel, bias = parameters(x.shape[-1]).values()
    statistics = patch_statistics(
        x, kernel_size=parameters.kernel_size, strides=strides, padding=padding
    )
    flat = kernel.reshape(-1, kernel.shape[-1])
    mean = statistics["mean"] @ flat
    variance = jnp.maximum(jnp.einsum("pk,pq,qk->k", flat, statistics["covariance"], flat), 0)
    scale, shift = norm(mean + bias, variance).values()
    # A bias of the convolution is in its mean, too, and so in neither.
    factor = scale * lax.rsqrt(variance + epsilon)
    axes = "HW"[: x.ndim - 2]
    layout = lax.conv_dimension_numbers(
        x.shape, kernel.shape, (f"N{axes}C", f"{axes}IO", f"N{axes}C")
    )
    y = convolve(x, (kernel * factor).astype(x.dtype), strides, padding, dimension_numbers=layout)
    return y + (shift - mean * factor).astype(x.dtype)
