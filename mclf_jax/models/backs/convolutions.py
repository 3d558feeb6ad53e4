"""Residual convolutions over time, pooled together: of MusiCNN (Pons and Serra 2019)."""

import flax.linen as nn
import jax.numpy as jnp

from mclf_jax.models.backs.pooling import Pooling
from mclf_jax.models.layers.blocks import ConvUnit
from mclf_jax.models.layers.parts import Part, joined


class Convolutions(Part):
    """Convolutions of 7 steps, pooled beside what they were given; perhaps a dense layer, too.

    Attributes:
        n_channels: of each convolution.
        num_layers: how many there are; all but the first have a shortcut.
        hidden_size: of a dense layer with batch norm and ReLU; 0 for none.
    """

    n_channels: int = 64
    num_layers: int = 3
    hidden_size: int = 0

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, D] -> [B, hidden_size]."""
        run, steps = self.runner(train=train), [x]
        for i in range(self.num_layers):
            layer = ConvUnit(self.n_channels, (7,), name=f"{self.prefix}layer{i + 1}")
            y = run(layer, steps[-1])
            steps.append(y + steps[-1] if i else y)
        x = jnp.concatenate(steps, axis=-1)
        back = Pooling("max_mean", self.hidden_size, prefix=self.prefix)
        return joined(self, back)(x, train=train)
