"""Filters shaped for timbre and for rhythm on a log-mel spectrogram (Pons and Serra 2019)."""

import flax.linen as nn
import jax.numpy as jnp

from mclf_jax.audio.features import LogMel
from mclf_jax.models.layers.blocks import ConvUnit, batch_norm, compute_in, max_over
from mclf_jax.models.layers.convolutions.tall import tall_conv
from mclf_jax.models.layers.parts import Part

FEATURES = LogMel(sample_rate_hz=16000, n_fft=512, hop_length=256, n_mels=96)
WINDOW_SAMPLES = 5 * 16000


class TallAndLong(Part):
    """Two banks of tall filters, the largest over frequency of each; three of long ones.

    Attributes:
        n_channels: of each long (temporal) filter bank; tall (timbral) ones have 4 times as many.
        heights: of the two banks of tall filters, in mel bands; 70 % and 40 % of the bands when not
            given. The published class of 2020 has (67, 38) for any number of bands.
    """

    n_channels: int = 51
    heights: tuple[int, ...] = ()

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, M] -> [B, F, 11 * n_channels].

        Raises:
            ValueError: `heights` that are not two, or do not fit the bands.
        """
        x = batch_norm(x[..., None], name=f"{self.prefix}spec_bn", train=train)
        x = compute_in(x, self.dtype)
        run = self.runner(train=train)
        n_mels, mean = x.shape[2], x.mean(axis=2)
        front = []
        # Tall filters see a part of the mel bands, and move over the rest.
        heights = self.heights or usual_heights(n_mels)
        if len(heights) != 2 or not all(1 <= height <= n_mels for height in heights):
            raise ValueError(
                f"model.args.heights is {heights}; it must be two numbers from 1 to "
                f"features.n_mels ({n_mels})"
            )
        for height in heights:
            name, size = f"{self.prefix}layers.{len(front)}", (7, height)
            timbral = ConvUnit(4 * self.n_channels, size, (3, 0), tall_conv, name=name)
            front.append(max_over(run(timbral, x), 2))
        for length in (129, 65, 33):
            name = f"{self.prefix}layers.{len(front)}"
            front.append(run(ConvUnit(self.n_channels, (length,), name=name), mean))
        return jnp.concatenate(front, axis=-1)


def usual_heights(n_mels: int) -> tuple[int, int]:
    """Of the tall filters for so many bands: 70 % and 40 %."""
    return int(0.7 * n_mels), int(0.4 * n_mels)
