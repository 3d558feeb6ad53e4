"""Layers that the architectures share, initialised and normalised as in their PyTorch originals.

Layout: [B, F, M, C], time before frequency, so a PyTorch kernel is this kernel with its
axes reversed. Submodules carry the names of the published checkpoints ("layer1.conv"),
which makes loading weights a matter of transposing. `conv`, `dense` and `batch_norm` are
called inside a module's compact `__call__`, where they add the submodule `name`.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

# PyTorch's default: weights uniform in +-1/sqrt(fan_in), and biases too.
torch_kernel_init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


def torch_bias_init(fan_in: int):
    """Initialiser of PyTorch's biases, uniform in +-1/sqrt(fan_in)."""
    bound = fan_in**-0.5

    def init(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


def conv(x, features: int, *, name: str, kernel_size: tuple[int, ...] = (3, 3)):
    """Convolution that keeps the size (odd kernels), [B, F, M, C] -> [B, F, M, features]."""
    return nn.Conv(
        features,
        kernel_size,
        padding=[(size // 2, size // 2) for size in kernel_size],
        kernel_init=torch_kernel_init,
        bias_init=torch_bias_init(x.shape[-1] * math.prod(kernel_size)),
        name=name,
    )(x)


def dense(x, features: int, *, name: str):
    """Affine layer, [..., D] -> [..., features]."""
    return nn.Dense(
        features,
        kernel_init=torch_kernel_init,
        bias_init=torch_bias_init(x.shape[-1]),
        name=name,
    )(x)


def batch_norm(x, *, name: str, train: bool):
    """Batch normalisation over all axes but the last, with PyTorch's eps and momentum.

    Flax's fast variance, E[x^2] - E[x]^2, loses too many digits on decibels. The running
    variance is the biased one, as always in Flax; PyTorch keeps N/(N-1) of it.
    """
    return nn.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        use_fast_variance=False,
        name=name,
    )(x)


def max_pool(x, window: tuple[int, int]):
    """Non-overlapping max-pooling over (time, frequency); remainders are dropped.

    Strided slices and `maximum` take about half the time of `reduce_window` on CPU, forwards
    and backwards.

    Raises:
        ValueError: an axis is shorter than its window.
    """
    for axis, size in zip((1, 2), window, strict=True):
        length = x.shape[axis] // size * size
        if length == 0:
            raise ValueError(
                f"the input is too small for this network: {x.shape[axis]} "
                f"{'frames' if axis == 1 else 'frequency bands'} are left where a max-pooling "
                f"needs {size}; raise model.window_s or features.n_mels, or pool less"
            )
        parts = [
            jax.lax.slice_in_dim(x, start, length, stride=size, axis=axis) for start in range(size)
        ]
        x = parts[0]
        for part in parts[1:]:
            x = jnp.maximum(x, part)
    return x


class ConvBlock(nn.Module):
    """Conv 3x3, batch norm, ReLU, max-pool: [B, F, M, C] -> [B, F/p, M/q, features]."""

    features: int
    pool: tuple[int, int]  # (time, frequency)

    @nn.compact
    def __call__(self, x, *, train: bool):
        x = conv(x, self.features, name="conv")
        x = batch_norm(x, name="bn", train=train)
        return max_pool(nn.relu(x), self.pool)
