"""A Conformer over the steps (Gulati et al. 2020), and the mean of what it makes of them."""

import dataclasses

import flax.linen as nn

from mclf_jax.models.layers.blocks import dropout, layer_norm
from mclf_jax.models.layers.conformer import ConformerLayer
from mclf_jax.models.layers.parts import Part, joined


class ConformerStack(Part):
    """Attention and convolution in every layer; rotary positions, so any length works.

    Attributes:
        num_heads, num_layers, kernel_size, expansion, rotated: see `layers.conformer`. What comes
            in is as wide as the layers, and a multiple of `num_heads`.
        dropout_rate: of tokens and in the layers.
        attention: "plain" or "dot_product_attention", see `models.layers.attention`.
        depth_rates: of stochastic depth, see `blocks.depth_rates`; none where there are none.
    """

    num_heads: int = 8
    num_layers: int = 4
    kernel_size: int = 31
    expansion: int = 4
    dropout_rate: float = 0.1
    attention: str = "plain"
    rotated: str = "heads"
    depth_rates: tuple[float, ...] = ()

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, D] -> the same."""
        run = self.runner(train=train)
        x = dropout(x, self.dropout_rate, train=train)
        for i, rate in enumerate(self.depth_rates or (0.0,) * self.num_layers):
            layer = ConformerLayer(
                self.num_heads,
                self.kernel_size,
                self.expansion,
                self.dropout_rate,
                self.attention,
                self.rotated,
                rate,
                name=f"{self.prefix}conformer.layers.{i}",
            )
            x = run(layer, x)
        return layer_norm(x, epsilon=1e-5, name=f"{self.prefix}conformer.layer_norm")


class Conformer(ConformerStack):
    """The mean of what a stack of conformer layers makes of the steps.

    Attributes: those of `ConformerStack`.
    """

    @nn.compact
    def __call__(self, x, *, train: bool):
        """[B, F, D] -> [B, D]."""
        settings = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(ConformerStack)
            if field.name not in ("parent", "name")
        }
        return joined(self, ConformerStack(**settings))(x, train=train).mean(axis=1)
