"""Which patches of its input an objective shows to a network that can encode some of them alone."""

import jax

from mclf_jax.models import Model
from mclf_jax.models.patches.grid import Grid, num_kept, shuffled


def grid_of(model: Model, *, needed_by: str) -> Grid:
    """The patches of one input of a network, `model.window_samples` long.

    Args:
        model: whose module has `grid` and takes `visible`, such as "vit".
        needed_by: for messages, such as "objective.name 'm2d'".

    Raises:
        ValueError: the network has no patches.
    """
    if not hasattr(model.module, "grid"):
        raise ValueError(
            f"model.name is {model.name!r}, which has no patches; for {needed_by} take vit"
        )
    return model.module.grid(model.input_shape)


def split(
    key: jax.Array, batch_size: int, grid: Grid, *, fraction: float
) -> tuple[jax.Array, jax.Array]:
    """Numbers of the patches that are shown and of the others, int [B, n] and int [B, N - n].

    Args:
        key: to draw with, for each example by itself.
        batch_size: B.
        grid: of all N.
        fraction: n over N, rounded down, but at least one.
    """
    order = shuffled(key, batch_size, grid.count)
    kept = num_kept(grid.count, fraction)
    return order[:, :kept], order[:, kept:]
