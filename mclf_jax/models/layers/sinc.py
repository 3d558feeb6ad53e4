"""SincNet's first layer (Ravanelli and Bengio 2018): band-passes that learn their cut-offs."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mclf_jax.audio.features import hz_to_mel, mel_to_hz

_FIRST_HZ = 30.0  # of the lowest filter, before the minimum is added


class SincConv(nn.Module):
    """Band-pass filters with two parameters each, [B, T] -> [B, T, num_filters].

    A filter passes from min_low_hz + |low| to min_band_hz + |band| above that, and not beyond half
    the rate. Cut-offs start equally spaced in mels (HTK). They are parameters in hertz, as
    published: an optimiser whose steps are of the size of the learning rate, such as Adam,
    hardly moves them.

    Attributes:
        num_filters: how many.
        kernel_size: of all of them, odd.
        sample_rate_hz: rate of the waveform.
        min_low_hz, min_band_hz: the least cut-off and the least width.
    """

    num_filters: int = 64
    kernel_size: int = 251
    sample_rate_hz: int = 16000
    min_low_hz: float = 50.0
    min_band_hz: float = 50.0

    @nn.compact
    def __call__(self, x):
        """[B, T] -> [B, T, num_filters]; the ends are reflected.

        Raises:
            ValueError: an even kernel, which has no middle.
        """
        if self.kernel_size % 2 == 0:
            raise ValueError(f"the kernel of a sinc layer has {self.kernel_size}; it must be odd")
        edges_hz = self._first_edges_hz()
        low = self.param("low_hz_", lambda _: jnp.asarray(edges_hz[:-1, None], jnp.float32))
        band = self.param("band_hz_", lambda _: jnp.asarray(np.diff(edges_hz)[:, None], "float32"))
        nyquist_hz = self.sample_rate_hz / 2
        # A filter cannot leave the spectrum, where it would have no width to divide by.
        low_hz = jnp.minimum(self.min_low_hz + jnp.abs(low), nyquist_hz - self.min_band_hz)
        high_hz = jnp.minimum(low_hz + self.min_band_hz + jnp.abs(band), nyquist_hz)
        filters = sinc_filters(
            low_hz[:, 0],
            high_hz[:, 0],
            kernel_size=self.kernel_size,
            sample_rate_hz=self.sample_rate_hz,
        )
        half = self.kernel_size // 2
        padded = jnp.pad(x, ((0, 0), (half, half)), mode="reflect")
        return jax.lax.conv_general_dilated(
            padded[..., None],
            filters.T[:, None].astype(x.dtype),
            window_strides=(1,),
            padding="VALID",
            dimension_numbers=("NWC", "WIO", "NWC"),
        )

    def _first_edges_hz(self) -> np.ndarray:
        last_hz = self.sample_rate_hz / 2 - self.min_low_hz - self.min_band_hz
        first, last = hz_to_mel(np.array([_FIRST_HZ, last_hz]), "htk")
        return mel_to_hz(np.linspace(first, last, self.num_filters + 1), "htk")


def sinc_filters(
    low_hz: jax.Array, high_hz: jax.Array, *, kernel_size: int, sample_rate_hz: float
) -> jax.Array:
    """Windowed ideal band-passes with 1 in the middle, [C] and [C] -> [C, kernel_size].

    (sin(2 pi high t) - sin(2 pi low t)) / (2 pi (high - low) t), the difference of two sincs
    (equation 4), times a Hamming window, both halves of which are as in the published code.
    """
    half = kernel_size // 2
    time_s = np.arange(-half, 0) / sample_rate_hz
    position = np.linspace(0, kernel_size / 2 - 1, half)
    window = 0.54 - 0.46 * np.cos(2 * np.pi * position / kernel_size)
    phase = jnp.asarray(2 * np.pi * time_s, low_hz.dtype)
    low_hz, high_hz = low_hz[:, None], high_hz[:, None]
    left = (jnp.sin(high_hz * phase) - jnp.sin(low_hz * phase)) / (phase * (high_hz - low_hz))
    left = left * jnp.asarray(window, low_hz.dtype)
    return jnp.concatenate([left, jnp.ones_like(low_hz), left[:, ::-1]], axis=1)
