"""Networks that follow a trained one, by moving averages of its parameters, and how closely."""

from typing import Any

import jax
import jax.numpy as jnp

PyTree = Any
SCHEDULES = ("constant", "cosine")


def moving_average(average: PyTree, new: PyTree, *, momentum: jax.Array | float) -> PyTree:
    """momentum * average + (1 - momentum) * new, of parameters alone; no gradient flows into it."""
    new = jax.lax.stop_gradient(new)
    return jax.tree.map(lambda a, n: a + (1 - momentum) * (n - a), average, new)


def momentum_at(
    step: jax.Array, *, base: float, schedule: str, total_steps: int
) -> jax.Array | float:
    """The momentum of a step: "constant", or "cosine", rising from `base` to 1.

    Grill et al. 2020: 1 - (1 - base) * (cos(pi * step / total_steps) + 1) / 2.
    """
    if schedule == "constant":
        return base
    progress = jnp.minimum(step / total_steps, 1)
    return 1 - (1 - base) * (jnp.cos(jnp.pi * progress) + 1) / 2


def between(ends: tuple[float, float], step: jax.Array, *, num_steps: int) -> jax.Array:
    """From the first to the second of two numbers in `num_steps` even steps; then it stays."""
    progress = jnp.minimum(step / max(num_steps, 1), 1)
    return ends[0] + (ends[1] - ends[0]) * progress
