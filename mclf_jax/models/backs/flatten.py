"""All steps side by side, which fixes their number: as FCN and the sample-level CNN end."""

import flax.linen as nn

from mclf_jax.models.layers.blocks import batch_norm, dense, flatten
from mclf_jax.models.layers.parts import Part

LENGTH = "fixed"


class Flatten(Part):
    """Every number of every step; perhaps a dense layer, too.

    Attributes:
        hidden_size: of a dense layer with batch norm and ReLU; 0 for none.
    """

    hidden_size: int = 0

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, D] -> [B, hidden_size], or [B, D * F] without a dense layer."""
        x = flatten(x)
        if not self.hidden_size:
            return x
        x = dense(x, self.hidden_size, name=f"{self.prefix}dense1")
        return nn.relu(batch_norm(x, name=f"{self.prefix}bn", train=train))
