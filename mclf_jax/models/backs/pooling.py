"""Time pooled away, then a dense layer: what most networks end in."""

import flax.linen as nn
import jax.numpy as jnp

from mclf_jax.common import checks
from mclf_jax.models.layers.blocks import batch_norm, dense, max_over
from mclf_jax.models.layers.parts import Part

POOLINGS = ("max", "mean", "mean_max", "max_mean")


class Pooling(Part):
    """The maximum or the mean over time, or both side by side; perhaps a dense layer, too.

    Attributes:
        pooling: "max", "mean", or both in that order, "mean_max" or "max_mean".
        hidden_size: of a dense layer with batch norm and ReLU; 0 for none.
    """

    pooling: str = "mean_max"
    hidden_size: int = 0

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, D] -> [B, hidden_size], or all that was pooled without a dense layer."""
        checks.choice("model.args.pooling", self.pooling, POOLINGS)
        over = {"max": max_over, "mean": jnp.mean}
        pooled = [over[name](x, 1) for name in self.pooling.split("_")]
        x = pooled[0] if len(pooled) == 1 else jnp.concatenate(pooled, axis=-1)
        if not self.hidden_size:
            return x
        x = dense(x, self.hidden_size, name=f"{self.prefix}dense1")
        return nn.relu(batch_norm(x, name=f"{self.prefix}bn", train=train))
