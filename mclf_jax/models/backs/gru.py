"""Recurrent layers that read the steps in order, as of the CRNN (Choi et al. 2017)."""

import flax.linen as nn

from mclf_jax.models.layers.gru import GRU
from mclf_jax.models.layers.parts import Part


class LastState(Part):
    """The state of a stack of GRUs after the last step.

    Attributes:
        hidden_size, num_layers: of the stack.
    """

    hidden_size: int = 128
    num_layers: int = 2

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, D] -> [B, hidden_size]."""
        return GRU(self.hidden_size, self.num_layers, name=f"{self.prefix}gru")(x)[:, -1]
