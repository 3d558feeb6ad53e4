"""How tokens know where their patch lies: fixed sines, a learnt table, or rotated queries and keys.

Legend as in `grid`.
"""

import jax
import jax.numpy as jnp
import numpy as np

from mclf_jax.common import checks
from mclf_jax.models.layers.rotary import angles
from mclf_jax.models.patches.grid import Grid

POSITIONS = ("sinusoidal", "learned", "rotary", "none")


def check(kind: str, *, width: int, head_dim: int) -> None:
    """Raise a ValueError unless there is such a kind, and it can be had in these sizes."""
    checks.choice("model.args.positions", kind, POSITIONS)
    size, name = {"sinusoidal": (width, "attention_dim"), "rotary": (head_dim, "head_dim")}.get(
        kind, (4, "")
    )
    if size % 4:
        raise ValueError(
            f"model.args.{name} is {size}; for model.args.positions {kind!r} it must be a "
            "multiple of 4"
        )


def sinusoidal(grid: Grid, *, width: int) -> np.ndarray:
    """Sines and cosines of the column, then of the row, float32 [N, width].

    As in MAE (He et al. 2022) and M2D: each has half of the numbers, sines before cosines.
    """
    turns = _turns(grid, size=width // 2)
    parts = [wave(turn) for turn in turns for wave in (np.sin, np.cos)]
    return np.concatenate(parts, axis=1).astype(np.float32)


def rotary(grid: Grid, *, head_dim: int) -> np.ndarray:
    """Angles for `layers.attention.rotate`, by column and by row, float32 [N, head_dim / 2].

    Rotary positions (Su et al. 2021) along two axes: the first half of the pairs of numbers turns
    with the column, the other with the row.
    """
    return np.concatenate(_turns(grid, size=head_dim // 2), axis=1).astype(np.float32)


def fitted(table: jax.Array, grid: Grid) -> jax.Array:
    """A learnt table [1, M * T', D] for a grid of another length, [1, N, D].

    Shorter inputs take its beginning, as in PaSST and M2D; for longer ones it is stretched in time,
    as in AST (Gong et al. 2021).

    Raises:
        ValueError: it is of other rows.
    """
    _, count, width = table.shape
    if count % grid.rows:
        raise ValueError(
            f"this network has learnt positions of {count} patches, which are no {grid.rows} rows; "
            "features.n_mels, model.args.patch and stride must be those it was trained with"
        )
    columns = count // grid.rows
    if columns == grid.columns:
        return table
    table = table.reshape(1, grid.rows, columns, width)
    if columns > grid.columns:
        table = table[:, :, : grid.columns]
    else:
        table = jax.image.resize(table, (1, *grid[::-1], width), method="linear")
    return table.reshape(1, grid.count, width)


def with_first(turns: jax.Array) -> jax.Array:
    """Angles [..., N, A] with one of 0 before them, for a class token, which has no place."""
    return jnp.pad(turns, [(0, 0)] * (turns.ndim - 2) + [(1, 0), (0, 0)])


def _turns(grid: Grid, *, size: int) -> list[np.ndarray]:
    """Angles by column and by row, [N, size / 2] each."""
    row, column = np.divmod(np.arange(grid.count), grid.columns)
    along = ((grid.columns, column), (grid.rows, row))
    return [angles(count, head_dim=size)[0][place] for count, place in along]
