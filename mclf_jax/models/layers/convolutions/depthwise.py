"""Convolution of every channel by itself: the usual one, and on CPUs tap by tap.

On two cores both gradients of XLA's kernels take 2 to 17 times as long as those of a sum of shifted
products, at the sizes of MobileNetV3 and of a Conformer, and the values 1.1 to 2.8 times.
"""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mclf_jax.audio import fourier


def depthwise_conv(lhs, rhs, window_strides, padding, **_):
    """[B, T, C] and [K, 1, C], or [B, F, M, C] and [K, L, 1, C] -> the same with other lengths.

    Takes the arguments of `lax.conv_general_dilated`, as `flax.linen.Conv` gives them.

    Args:
        lhs: the input.
        rhs: one kernel a channel.
        window_strides: one number an axis.
        padding: (before, after) of each axis, at most the kernel's size less 1.

    Raises:
        ValueError: not one kernel for each channel.
    """
    if rhs.shape[-2:] != (1, lhs.shape[-1]):
        raise ValueError(f"got {lhs.shape[-1]} channels and kernels of {rhs.shape}")
    strides, padding = tuple(window_strides), tuple(map(tuple, padding))
    usual = functools.partial(_usual, strides=strides, padding=padding)
    if fourier.are_products():  # for other runtimes, which have kernels of their own
        return usual(lhs, rhs)

    def by_taps(lhs, rhs):
        return _by_taps(lhs, rhs, strides, padding)

    return lax.platform_dependent(lhs, rhs, cpu=by_taps, default=usual)


def _usual(x, kernel, *, strides, padding):
    layout = ("NHC", "HIO", "NHC") if kernel.ndim == 3 else ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        padding,
        dimension_numbers=layout,
        feature_group_count=x.shape[-1],
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _by_taps(x, kernel, strides, padding):
    # Without the barriers XLA looks for ways to put these sums into the loops that read them, and
    # takes half as long again to compile.
    return lax.optimization_barrier(_weighted_sum(_padded(x, padding), kernel, strides))


def _forward(x, kernel, strides, padding):
    return _by_taps(x, kernel, strides, padding), (x, kernel)


def _backward(strides, padding, saved, dy):
    x, kernel = saved
    x, dy = lax.optimization_barrier((x, dy))
    size, lengths = kernel.shape[:-2], dy.shape[1:-1]
    over = tuple(range(dy.ndim - 1))
    taps = _taps(_padded(x, padding), size, strides)
    # In bfloat16 sums over positions would lose what is small.
    wide = jnp.promote_types(dy.dtype, jnp.float32)
    d_kernel = jnp.stack([(tap.astype(wide) * dy).sum(over) for tap in taps])
    # Of the input: what came out, strides filled with zeros, by the kernel turned round.
    edges = [
        (k - 1 - before, total + before - 1 - (count - 1) * stride, stride - 1)
        for k, total, count, stride, (before, _) in zip(
            size, x.shape[1:-1], lengths, strides, padding, strict=True
        )
    ]
    spread = lax.pad(dy, jnp.zeros((), dy.dtype), [(0, 0, 0), *edges, (0, 0, 0)])
    turned = jnp.flip(kernel, axis=tuple(range(len(size))))
    dx = lax.optimization_barrier(_weighted_sum(spread, turned, (1,) * len(size)))
    return dx, d_kernel.reshape(kernel.shape).astype(kernel.dtype)


_by_taps.defvjp(_forward, _backward)


def _padded(x, padding):
    return jnp.pad(x, ((0, 0), *padding, (0, 0)))


def _weighted_sum(x, kernel, strides):
    size = kernel.shape[:-2]
    weights = kernel.reshape(math.prod(size), -1)
    wide = jnp.promote_types(x.dtype, jnp.float32)
    products = (
        tap.astype(wide) * w for tap, w in zip(_taps(x, size, strides), weights, strict=True)
    )
    return functools.reduce(jnp.add, products).astype(x.dtype)


def _taps(x, size: Sequence[int], strides: Sequence[int]):
    """What each place of a kernel sees, without padding, in the order of the kernel's elements."""
    counts = [
        (n - k) // stride + 1 for n, k, stride in zip(x.shape[1:-1], size, strides, strict=True)
    ]
    for start in np.ndindex(*size):
        stop = [a + (n - 1) * s + 1 for a, n, s in zip(start, counts, strides, strict=True)]
        yield lax.slice(x, (0, *start, 0), (x.shape[0], *stop, x.shape[-1]), (1, *strides, 1))
