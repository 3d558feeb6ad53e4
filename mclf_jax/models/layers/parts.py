"""A part of a network, front or back end, whose layers stand among those of the network."""

import functools
from collections.abc import Callable
from typing import TypeVar

import flax.linen as nn

from mclf_jax.models.layers.blocks import run_block

T = TypeVar("T", bound=nn.Module)


class Part(nn.Module, kw_only=True):
    """What our front ends and back ends have beside their own settings.

    Attributes:
        dtype: of the layers, "float32" or "bfloat16".
        remat: "none" or "blocks", see `models.build`.
        prefix: of the names of the layers.
    """

    dtype: str = "float32"
    remat: str = "none"
    prefix: str = ""

    def runner(self, *, train: bool) -> Callable:
        """As `blocks.Network.runner`."""
        return functools.partial(run_block, train=train, remat=self.remat)


def joined(network: nn.Module, part: T) -> T:
    """The part, whose layers are layers of the network from then on, by the names it gives them.

    To be called in the network's `__call__`. So a published network is made of parts, and its
    weights keep their names.
    """
    nn.share_scope(network, part)
    return part
