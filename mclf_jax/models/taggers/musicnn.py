"""MusiCNN (Pons and Serra 2019, as in Won et al. 2020): filters shaped for timbre and for rhythm.

Input 48,000 samples at 16 kHz -> 188 frames of 96 mels (or 128). Time is pooled away, so any
length works. 784,300 parameters for 50 tags; 7,972,000 in the large size, `LARGE`.
"""

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp

from mclf_jax.audio.features import LogMel
from mclf_jax.models.layers.blocks import (
    Network,
    batch_norm,
    compute_in,
    conv,
    dense,
    dropout,
    max_over,
    outputs,
)
from mclf_jax.models.layers.tall_conv import tall_conv

FEATURES = LogMel(sample_rate_hz=16000, n_fft=512, hop_length=256, n_mels=96)
WINDOW_SAMPLES = 3 * 16000
LARGE = {"backend_channels": 512, "dense_units": 500}
"""Arguments of the large size."""


class MusiCNN(Network):
    """A front end of tall and of long filters, a small residual network, mean and max over time.

    Attributes:
        n_channels: of each long (temporal) filter bank; tall (timbral) ones have 4 times as many.
        backend_channels: of the three convolutions in the middle.
        dense_units: of the layer before the last, the size of the embedding.
        heights: of the two banks of tall filters, in mel bands; 70 % and 40 % of the bands when not
            given. The published class of 2020 has (67, 38) for any number of bands.
        dropout_rate: before the last layer.
    """

    n_channels: int = 51
    backend_channels: int = 64
    dense_units: int = 200
    heights: tuple[int, ...] = ()
    dropout_rate: float = 0.5

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, M] -> {"logits": [B, K], "embedding": [B, dense_units]}.

        Raises:
            ValueError: `heights` that are not two, or do not fit the bands.
        """
        x = batch_norm(x[..., None], name="spec_bn", train=train)
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
            name, size = f"layers.{len(front)}", (7, height)
            timbral = _Conv(4 * self.n_channels, size, (3, 0), tall_conv, name=name)
            front.append(max_over(run(timbral, x), 2))
        for length in (129, 65, 33):
            temporal = _Conv(self.n_channels, (length,), name=f"layers.{len(front)}")
            front.append(run(temporal, mean))

        steps = [jnp.concatenate(front, axis=-1)]
        for i in range(3):
            middle = _Conv(self.backend_channels, (7,), name=f"layer{i + 1}")
            y = run(middle, steps[-1])
            steps.append(y + steps[-1] if i else y)
        x = jnp.concatenate(steps, axis=-1)

        x = jnp.concatenate([max_over(x, 1), x.mean(axis=1)], axis=-1)
        x = dense(x, self.dense_units, name="dense1")
        x = nn.relu(batch_norm(x, name="bn", train=train))
        return outputs(dropout(x, self.dropout_rate, train=train), self.num_labels, name="dense2")


def usual_heights(n_mels: int) -> tuple[int, int]:
    """Of the tall filters for so many bands: 70 % and 40 %."""
    return int(0.7 * n_mels), int(0.4 * n_mels)


class _Conv(nn.Module):
    features: int
    kernel_size: tuple[int, ...]
    padding: tuple[int, ...] | None = None
    convolve: Callable | None = None

    @nn.compact
    def __call__(self, x, *, train: bool):
        shape = {"kernel_size": self.kernel_size, "padding": self.padding}
        x = conv(x, self.features, **shape, convolve=self.convolve, name="conv")
        return nn.relu(batch_norm(x, name="bn", train=train))
