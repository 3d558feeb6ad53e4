"""A spectrogram whose filters, smoothing and compression are learnt: LEAF (Zeghidour et al. 2021).

https://arxiv.org/abs/2101.08596. It begins as a mel spectrogram: Gabor filters as wide as those,
their squared modulus averaged by a Gaussian in every hop, then per-channel energy normalisation.
"""

import math
from types import SimpleNamespace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mclf_jax.audio.features import mel_filter_bank

_LOWEST_HZ, _HIGHEST_HZ = 60.0, 7800.0  # of 16 kHz; in proportion for other rates
_FLOOR, _LEAST = 1e-12, 1e-5  # of what is divided by, and of energies


class Leaf(nn.Module):
    """Samples [B, T] -> [B, F, num_filters], one frame a hop.

    Attributes:
        sample_rate_hz: of the samples.
        num_filters: how many bands there are.
        window_ms, hop_ms: length of filters and of what they are averaged over, and between frames.
    """

    sample_rate_hz: int = 16000
    num_filters: int = 40
    window_ms: float = 25.0
    hop_ms: float = 10.0

    @nn.compact
    def __call__(self, x):
        size = int(self.sample_rate_hz * self.window_ms / 1000) // 2 * 2 + 1
        hop = max(1, int(self.sample_rate_hz * self.hop_ms / 1000))
        if x.shape[1] < hop:
            raise ValueError(
                f"the input is too small for this network: it has {x.shape[1]} samples and a frame "
                f"of LEAF is {hop}; raise model.window_s"
            )
        start = mel_gabor(self.num_filters, sample_rate_hz=self.sample_rate_hz)
        centre = self.param("centre", lambda key: jnp.asarray(start["centre"], jnp.float32))
        width = self.param("width", lambda key: jnp.asarray(start["width"], jnp.float32))
        pooling = self.param("pooling", nn.initializers.constant(0.4), (self.num_filters,))
        centre, width, pooling = (p.astype(x.dtype) for p in (centre, width, pooling))

        kernels = _gabor(centre, width, size=size)
        layout = ("NHC", "HIO", "NHC")
        waves = lax.conv_general_dilated(
            x[..., None], kernels, (1,), [(size // 2,) * 2], dimension_numbers=layout
        )
        squares = jnp.square(waves).reshape(*waves.shape[:2], 2, -1).sum(axis=2)
        energies = _averaged(squares, _gauss(pooling, size=size), hop=hop)
        energies = jnp.maximum(energies, _LEAST)
        return self._normalised(energies)

    def _normalised(self, energies):
        """Per-channel energy normalisation (Wang et al. 2017) with constants of each band's own."""

        def constants(name, value):
            init = nn.initializers.constant(value)
            return self.param(name, init, (self.num_filters,)).astype(energies.dtype)

        gain = jnp.minimum(constants("pcen_alpha", 0.96), 1.0)
        root = jnp.maximum(constants("pcen_root", 2.0), 1.0)
        offset = constants("pcen_delta", 2.0)
        smooth = jnp.clip(constants("pcen_smooth", 0.04), 0.0, 1.0)
        mean = _moving_average(energies, smooth)
        scaled = energies / (_FLOOR + mean) ** gain + offset
        return scaled ** (1 / root) - offset ** (1 / root)


def mel_gabor(num_filters: int, *, sample_rate_hz: int, n_fft: int = 512) -> dict[str, np.ndarray]:
    """Gabor filters whose responses are at the places of mel filters, and about as wide.

    Returns:
        {"centre": radians a sample, "width": standard deviation in samples}, float64 [num_filters].
    """
    settings = SimpleNamespace(
        sample_rate_hz=sample_rate_hz,
        n_fft=n_fft,
        n_mels=num_filters,
        f_min_hz=_LOWEST_HZ * sample_rate_hz / 16000,
        top_hz=_HIGHEST_HZ * sample_rate_hz / 16000,
        mel_scale="htk",
        mel_norm="none",
    )
    magnitudes = np.sqrt(mel_filter_bank(settings)).T
    peaks = magnitudes.argmax(axis=1)
    widths = (magnitudes >= magnitudes.max(axis=1, keepdims=True) / 2).sum(axis=1)
    coefficient = math.sqrt(2 * math.log(2)) * n_fft
    return {"centre": peaks * 2 * np.pi / n_fft, "width": coefficient / (np.pi * widths)}


def _gabor(centre, width, *, size: int):
    """[size, 1, 2 * filters]: real parts, then imaginary ones."""
    narrow = math.sqrt(2 * math.log(2))
    centre = jnp.clip(centre, 0, math.pi)
    width = jnp.clip(width, 4 * narrow / math.pi, size * narrow / math.pi)
    t = jnp.arange(size, dtype=centre.dtype)[:, None] - size // 2
    envelope = jnp.exp(-0.5 * jnp.square(t / width)) / (math.sqrt(2 * math.pi) * width)
    waves = [envelope * wave(centre * t) for wave in (jnp.cos, jnp.sin)]
    return jnp.concatenate(waves, axis=1)[:, None]


def _gauss(width, *, size: int):
    """[size, filters]."""
    width = jnp.clip(width, 2 / size, 0.5)
    t = jnp.arange(size, dtype=width.dtype)[:, None] / ((size - 1) / 2) - 1
    return jnp.exp(-0.5 * jnp.square(t / width))


def _averaged(x, kernel, *, hop: int):
    """[B, T, C] weighed by [size, C] around the first sample of each hop, [B, F, C].

    A convolution whose stride is the hop, in a product for each hop that a window reaches over.
    """
    (batch, total, channels), size = x.shape, len(kernel)
    count, reach = -(-total // hop), -(-size // hop)
    length = (count + reach - 1) * hop
    x = jnp.pad(x, ((0, 0), (size // 2, length), (0, 0)))[:, :length]
    blocks = x.reshape(batch, -1, hop, channels)
    kernel = jnp.pad(kernel, ((0, reach * hop - size), (0, 0))).reshape(reach, hop, channels)
    products = (
        jnp.einsum("bfhc,hc->bfc", blocks[:, i : i + count], kernel[i]) for i in range(reach)
    )
    return sum(products)


def _moving_average(x, smooth):
    """m_t = (1 - s) m_(t-1) + s x_t over axis 1, beginning with x_0."""

    def follow(before, after):
        decay, value = before
        more, added = after
        return decay * more, value * more + added

    decay = jnp.broadcast_to(1 - smooth, x.shape)
    first = jnp.concatenate([x[:, :1], smooth * x[:, 1:]], axis=1)
    return jax.lax.associative_scan(follow, (decay, first), axis=1)[1]
