"""Where the patches of a spectrogram lie, and how some of them are chosen.

Legend: T columns in time, M rows in frequency, N = M * T patches. Patch number `row * T + column`:
rows come one after the other, from the lowest bands up, as PyTorch flattens them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Grid(NamedTuple):
    """How many patches there are.

    Attributes:
        columns: T, in time.
        rows: M, in frequency.
    """

    columns: int
    rows: int

    @property
    def count(self) -> int:
        """N."""
        return self.columns * self.rows


def grid_of(
    input_shape: tuple[int, ...], *, patch: tuple[int, int], stride: tuple[int, int]
) -> Grid:
    """The patches that lie within an input; frames and bands left over at the end have none.

    Args:
        input_shape: (F, M) of a spectrogram.
        patch: (frames, bands) of one.
        stride: (frames, bands) from one to the next.

    Raises:
        ValueError: there is no room for one.
    """
    fits = [
        (size - length) // step + 1 if size >= length else 0
        for size, length, step in zip(input_shape, patch, stride, strict=True)
    ]
    if 0 in fits:
        raise ValueError(
            f"the input has {input_shape[0]} frames of {input_shape[1]} bands, and "
            f"model.args.patch is {patch}, which does not fit in: raise model.window_s or "
            "features.n_mels, or make patches smaller"
        )
    return Grid(*fits)


def cut(x: jax.Array, *, patch: tuple[int, int], stride: tuple[int, int]) -> jax.Array:
    """The patches of spectrograms, [B, F, M] -> [B, N, frames * bands].

    Args:
        x: the spectrograms.
        patch, stride: as of `grid_of`.
    """
    grid = grid_of(x.shape[1:], patch=patch, stride=stride)
    (frames, bands), batch_size = patch, x.shape[0]
    if stride == patch:
        # What `x[..., indices]` would do too; but the gradient of indices is a loop on CPUs.
        x = x[:, : grid.columns * frames, : grid.rows * bands]
        x = x.reshape(batch_size, grid.columns, frames, grid.rows, bands)
    else:
        x = x[:, _starts(grid.columns, stride[0]) + np.arange(frames)]
        x = x[..., _starts(grid.rows, stride[1]) + np.arange(bands)]
    return x.transpose(0, 3, 1, 2, 4).reshape(batch_size, grid.count, frames * bands)


def _starts(count: int, step: int) -> np.ndarray:
    return step * np.arange(count)[:, None]


def take(tokens: jax.Array, chosen: jax.Array) -> jax.Array:
    """Tokens by their numbers, [B, N, D] and int [B, n] -> [B, n, D]."""
    return jax.vmap(lambda rows, numbers: rows[numbers])(tokens, chosen)


def shuffled(key: jax.Array, batch_size: int, count: int) -> jax.Array:
    """The numbers 0 ... count - 1 in an order of its own for each example, int [B, count]."""
    return jnp.argsort(jax.random.uniform(key, (batch_size, count)), axis=1)


def num_kept(count: int, fraction: float) -> int:
    """How many of `count` patches a fraction is: rounded down, and at least one."""
    return max(1, int(count * fraction + 1e-6))


def patchout(
    key: jax.Array, batch_size: int, grid: Grid, *, columns: int, rows: int, rate: float
) -> jax.Array:
    """The patches that are left by patchout (Koutini et al. 2022), int [B, n].

    Whole columns and rows are left out, and of what is left a share. Drawn for each example; the
    original draws once a batch.

    Args:
        key: to draw with.
        batch_size: B.
        grid: of all patches.
        columns, rows: how many are left out.
        rate: share of the others that is left out, too.

    Raises:
        ValueError: nothing would be left.
    """
    if not (0 <= columns < grid.columns and 0 <= rows < grid.rows):
        raise ValueError(
            f"model.args.patchout is {(columns, rows)}, of {grid.columns} columns and {grid.rows} "
            "rows of patches; one of each must be left"
        )
    keys = jax.random.split(key, 3)
    left = Grid(grid.columns - columns, grid.rows - rows)
    column = shuffled(keys[0], batch_size, grid.columns)[:, : left.columns]
    row = shuffled(keys[1], batch_size, grid.rows)[:, : left.rows]
    chosen = (row[:, :, None] * grid.columns + column[:, None, :]).reshape(batch_size, left.count)
    kept = num_kept(left.count, 1 - rate)
    if kept == left.count:
        return chosen
    order = shuffled(keys[2], batch_size, left.count)[:, :kept]
    return jnp.take_along_axis(chosen, order, axis=1)
