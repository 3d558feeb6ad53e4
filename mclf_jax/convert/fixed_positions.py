"""Fixed sines that PyTorch saves among the weights of a patch transformer, and we compute."""

from collections.abc import Mapping

import numpy as np

from mclf_jax.models import Model
from mclf_jax.models.patches.grid import Grid
from mclf_jax.models.patches.positions import sinusoidal

_KEY = "pos_embed"
# Theirs are computed in float32.
_TOLERANCE = 1e-3


def without_fixed_positions(
    model: Model, arrays: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The same weights without the table of positions, if it is the one that the network has.

    Args:
        model: whatever its network; of "vit" with `positions="sinusoidal"` the table is looked at.
        arrays: under the network's own keys. The table is [1, N, D], or with a place of zeros
            before, for a class token, [1, 1 + N, D].

    Raises:
        ValueError: it is another table.
    """
    kept = dict(arrays)
    if getattr(model.module, "positions", "") != "sinusoidal" or _KEY not in kept:
        return kept
    table = kept.pop(_KEY)
    rows = model.module.grid(model.input_shape).rows
    count = table.shape[1] if table.ndim == 3 else 0
    first = count % rows  # a class token, which has no place
    grid = Grid(columns=count // rows, rows=rows)
    expected = np.zeros((first + grid.count, model.module.attention_dim))
    expected[first:] = sinusoidal(grid, width=model.module.attention_dim)
    fits = first <= 1 and table.shape == (1, *expected.shape)
    if not fits or np.abs(table[0] - expected).max() > _TOLERANCE:
        raise ValueError(
            f"these weights have positions {_KEY} {table.shape} that are not the fixed sines of "
            f"{rows} rows of patches; if they were learnt, set model.args.positions='learned', or, "
            "of AST, take the preset 'ast'"
        )
    return kept
