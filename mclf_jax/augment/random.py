"""Random draws from a jax key or from a numpy generator, so that augmentations are written once.

With a key everything is a jax array and may be traced; with a `numpy.random.Generator` everything
is numpy, as the pipeline needs it. A key is used once and split for more; a generator moves on.
"""

import sys
from typing import Any

import numpy as np

Key = Any  # a jax key or a numpy.random.Generator
Array = Any  # of the module that the key belongs to


def split(key: Key, num: int) -> list[Key]:
    """`num` sources of independent draws."""
    if isinstance(key, np.random.Generator):
        return [key] * num
    return list(_jax().random.split(key, num))


def uniform(key: Key, shape: tuple[int, ...], low: float, high: float) -> Array:
    """Float32 in [low, high)."""
    if isinstance(key, np.random.Generator):
        return key.uniform(low, high, shape).astype(np.float32)
    return _jax().random.uniform(key, shape, minval=low, maxval=high)


def normal(key: Key, shape: tuple[int, ...]) -> Array:
    """Float32, standard normal."""
    if isinstance(key, np.random.Generator):
        return key.standard_normal(shape, np.float32)
    return _jax().random.normal(key, shape)


def integers(key: Key, shape: tuple[int, ...], low: int, high: int) -> Array:
    """Int32 in [low, high]."""
    if isinstance(key, np.random.Generator):
        return key.integers(low, high, shape, np.int32, endpoint=True)
    return _jax().random.randint(key, shape, low, high + 1)


def bernoulli(key: Key, shape: tuple[int, ...], p: float) -> Array:
    """Bool, true with probability p."""
    return uniform(key, shape, 0.0, 1.0) < p


def beta(key: Key, shape: tuple[int, ...], a: float, b: float) -> Array:
    """Float32 in [0, 1], of the beta distribution."""
    if isinstance(key, np.random.Generator):
        return key.beta(a, b, shape).astype(np.float32)
    return _jax().random.beta(key, a, b, shape)


def permutation(key: Key, num: int) -> Array:
    """The integers below `num` in random order, [num]."""
    if isinstance(key, np.random.Generator):
        return key.permutation(num)
    return _jax().random.permutation(key, num)


def _jax() -> Any:
    # jax is there already if the caller holds a key; workers never import it.
    return sys.modules["jax"]
