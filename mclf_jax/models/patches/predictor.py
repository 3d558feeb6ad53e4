"""A narrow transformer that says of hidden patches what an encoder would make of them."""

import flax.linen as nn
import jax.numpy as jnp

from mclf_jax.models.layers.blocks import dense, layer_norm
from mclf_jax.models.patches import positions
from mclf_jax.models.patches.block import EPSILON, Block
from mclf_jax.models.patches.grid import Grid


class Predictor(nn.Module):
    """The predictor of M2D, which is the decoder of MAE (He et al. 2022), with guesses at its end.

    Attributes:
        grid: of all patches.
        width: of its layers, a multiple of 4 and of `num_heads`.
        num_heads, num_layers: of attention.
        num_hypotheses: H, each a dense layer of its own, as in MATPAC++.
    """

    grid: Grid
    width: int
    num_heads: int
    num_layers: int
    num_hypotheses: int = 1

    @nn.compact
    def __call__(self, tokens, visible, masked, *, train: bool):
        """[B, v, D], int [B, v] and int [B, n] -> [B, n, H, D].

        Args:
            tokens: what an encoder made of the visible patches.
            visible, masked: numbers of the patches, see `patches.grid`.
            train: nothing is dropped here.
        """
        size = tokens.shape[-1]
        table = jnp.asarray(positions.sinusoidal(self.grid, width=self.width), tokens.dtype)
        token = self.param("mask_token", nn.initializers.normal(0.02), (self.width,))
        seen = dense(tokens, self.width, name="embed") + table[visible]
        x = jnp.concatenate([seen, token.astype(tokens.dtype) + table[masked]], axis=1)
        for i in range(self.num_layers):
            x = Block(self.num_heads, name=f"blocks.{i}")((x, None), train=train)
        x = layer_norm(x[:, visible.shape[1] :], epsilon=EPSILON, name="norm")
        x = dense(x, self.num_hypotheses * size, name="pred")
        return x.reshape(*x.shape[:2], self.num_hypotheses, size)
