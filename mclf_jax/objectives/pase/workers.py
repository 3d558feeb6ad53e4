"""PASE's workers: small networks that read latents and predict a target, samples or a yes or no."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mclf_jax.models.encoders.pase import PReLU
from mclf_jax.models.layers.blocks import dense, torch_bias_init, torch_kernel_init


class MLPWorker(nn.Module):
    """One hidden layer with PReLU, at every step: [..., D] -> [..., num_outputs]."""

    num_outputs: int
    hidden_size: int = 256

    @nn.compact
    def __call__(self, x):
        x = PReLU(name="act")(dense(x, self.hidden_size, name="hidden"))
        return dense(x, self.num_outputs, name="W")


class WaveformWorker(nn.Module):
    """Deconvolutions back to samples, then a hidden layer: [B, S, D] -> [B, S * prod(strides)].

    Attributes:
        channels, strides: of the deconvolutions, one number each.
        kernel_size: of all of them.
        hidden_size: of the layer behind them, at every sample.
    """

    channels: tuple[int, ...] = (512, 256, 128)
    strides: tuple[int, ...] = (4, 4, 10)
    kernel_size: int = 30
    hidden_size: int = 64

    @nn.compact
    def __call__(self, x):
        for i, (channels, stride) in enumerate(zip(self.channels, self.strides, strict=True)):
            x = _Deconv(channels, self.kernel_size, stride, name=f"deconv{i}")(x)
            x = PReLU(0.0, name=f"act{i}")(x)
        return MLPWorker(1, self.hidden_size, name="mlp")(x)[..., 0]


class _Deconv(nn.Module):
    """Transposed convolution as in PyTorch with half of the overlap cut off at both ends."""

    features: int
    kernel_size: int
    stride: int

    @nn.compact
    def __call__(self, x):
        """[B, S, C] -> [B, S * stride, features]."""
        shape = (self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", torch_kernel_init, shape)
        bias = self.param("bias", torch_bias_init(self.features * shape[0]), shape[-1:])
        padding = max(0, self.kernel_size - self.stride) // 2
        return deconvolved(x, kernel.astype(x.dtype), stride=self.stride, padding=padding) + bias


def deconvolved(x: jax.Array, kernel: jax.Array, *, stride: int, padding: int) -> jax.Array:
    """y[n] = sum_i x[i] kernel[n + padding - stride i], [B, S, C] -> [B, S * stride, C'].

    As a convolution that makes `stride` neighbouring outputs at once. XLA would rather put zeros
    between the x[i]: thirty times as slow on a CPU.

    Args:
        x: the input.
        kernel: [K, C, C'].
        stride: outputs for each input.
        padding: how much of the first output's end is cut off.
    """
    behind = -(-padding // stride)  # inputs to the right that an output hears
    front = stride * behind - padding
    size = -(-(front + kernel.shape[0]) // stride)
    taps = jnp.pad(kernel, ((front, stride * size - front - kernel.shape[0]), (0, 0), (0, 0)))
    taps = taps.reshape(size, stride, *kernel.shape[1:])[::-1].transpose(0, 2, 1, 3)
    y = jax.lax.conv_general_dilated(
        x,
        taps.reshape(size, x.shape[-1], -1),
        window_strides=(1,),
        padding=[(size - 1 - behind, behind)],
        dimension_numbers=("NWC", "WIO", "NWC"),
    )
    return y.reshape(x.shape[0], -1, kernel.shape[-1])


def frames_error(predicted: jax.Array, target: jax.Array, *, context_frames: int) -> jax.Array:
    """Mean squared error of every frame's prediction of itself and its neighbours, -> [B].

    Args:
        predicted: [B, S, context_frames * M], the neighbours in order.
        target: normalised [B, S, M]; beyond its ends there are zeros, which is its mean.
        context_frames: odd; 1 is the frame alone. Ravanelli et al. 2020 have 7.
    """
    batch, steps, size = target.shape
    predicted = predicted.reshape(batch, steps, context_frames, size)
    half = context_frames // 2
    padded = jnp.pad(target, ((0, 0), (half, half), (0, 0)))
    # One neighbour at a time: all of them together would be the largest array of the step.
    errors = [
        jnp.square(predicted[:, :, k] - padded[:, k : k + steps]).mean(axis=(1, 2))
        for k in range(context_frames)
    ]
    return sum(errors) / context_frames
