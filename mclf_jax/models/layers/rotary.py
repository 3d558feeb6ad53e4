"""Angles of rotary positions (Su et al. 2021) along one axis, for `layers.attention.rotate`.

https://arxiv.org/abs/2104.09864. Nothing is learnt, and no length is too long.
"""

import numpy as np


def angles(length: int, *, head_dim: int, base: float = 10_000.0) -> np.ndarray:
    """l / base^(2i / head_dim) of position l and pair i, float64 [1, length, head_dim / 2].

    Args:
        length: how many positions.
        head_dim: width of an attention head.
        base: how slowly the last pairs turn.

    Raises:
        ValueError: the width is odd.
    """
    if head_dim % 2:
        raise ValueError(
            f"rotary positions need heads of an even width, and it is {head_dim}; change the width "
            "of the attention layers or model.args.num_heads"
        )
    return np.arange(length)[None, :, None] / base ** (np.arange(0, head_dim, 2) / head_dim)
