"""Mean and variance of each dimension of what passes by, to normalise it with."""

import jax
import jax.numpy as jnp

Moments = dict[str, jax.Array]

# The least deviation: what never changes becomes 0 and not infinite.
_MIN_STD = 1e-5


def init(size: int) -> Moments:
    """Of nothing seen yet: {"mean": [size], "var": [size], "count": []}, mean 0 and variance 1."""
    return {"mean": jnp.zeros(size), "var": jnp.ones(size), "count": jnp.zeros(())}


def update(moments: Moments, values: jax.Array, *, decay: float) -> Moments:
    """Moments with some more values, [..., size].

    The plain mean over all batches so far, until a batch would weigh less than 1 - decay, and an
    exponential average from there on. The variance is that around the mean of all.

    Args:
        moments: of `init` or of this.
        values: of a batch; every row counts alike.
        decay: in [0, 1].
    """
    axes = tuple(range(values.ndim - 1))
    mean, var = values.mean(axis=axes), values.var(axis=axes)
    weight = jnp.maximum(1 / (moments["count"] + 1), 1 - decay)
    difference = mean - moments["mean"]
    return {
        "mean": moments["mean"] + weight * difference,
        "var": (1 - weight) * (moments["var"] + weight * difference**2) + weight * var,
        "count": moments["count"] + 1,
    }


def normalized(values: jax.Array, moments: Moments) -> jax.Array:
    """Values [..., size] with mean 0 and deviation 1 in each dimension."""
    return (values - moments["mean"]) / jnp.maximum(jnp.sqrt(moments["var"]), _MIN_STD)
