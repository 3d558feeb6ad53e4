"""What augmentations of waveforms have in common: an input checked once, runs of its samples."""

import abc
import math
import sys
from typing import Any, ClassVar

import numpy as np

from mclf_jax.audio.features import array_module
from mclf_jax.augment.random import Array, Key


class WaveformAugmentation(abc.ABC):
    """`f(key, x) -> x` on floating point x [..., T]; all axes but the last are examples.

    `key` is a jax key, and then the call can be jitted and mapped, or a
    `numpy.random.Generator`, and then x is a numpy array and jax is not needed. A subclass
    writes `augment(key, x)` with x in float32 or float64 and need not care for its dtype:
    16 bits are widened before it and narrowed after it.
    """

    example_ndim: ClassVar[int] = 1

    def __call__(self, key: Key, x: Array) -> Array:
        x = as_array(key, x)
        if not array_module(x).issubdtype(x.dtype, np.floating) or x.ndim < 1:
            raise ValueError(
                f"x is {x.dtype} {list(x.shape)}; augmentations of waveforms take floating "
                "point [..., T], full scale at 1"
            )
        wide = x if x.dtype.itemsize >= 4 else x.astype("float32")
        return self.augment(key, wide).astype(x.dtype)

    @abc.abstractmethod
    def augment(self, key: Key, x: Array) -> Array:
        """x [..., T] in float32 or float64 -> the same shape; the dtype may widen."""


def as_array(key: Key, x: Array) -> Array:
    """x in the array module of the key: with a jax key numpy arrays are taken too.

    Raises:
        ValueError: key is neither of the two, or a numpy generator for what is not numpy's.
    """
    if isinstance(key, np.random.Generator):
        if not isinstance(x, np.ndarray):
            raise ValueError(
                f"x is a {type(x).__name__} and key a numpy generator; give a numpy array, or a "
                "jax key as of jax.random.key(0)"
            )
        return x
    jax = sys.modules.get("jax")
    if jax is None or not isinstance(key, jax.Array):
        raise ValueError(
            f"key is {key!r}; it must be a jax key, as of jax.random.key(0), or a "
            "numpy.random.Generator, as of numpy.random.default_rng(0)"
        )
    return jax.numpy.asarray(x)


def runs(x: Array, start: Array, *, length: int) -> Array:
    """Runs of `length` samples: x [..., T], start [..., S] -> [..., S, length].

    Starts are in [0, T - length]. Copies of whole runs are several times faster than a gather
    of their indices.
    """
    batch, rows = x.shape[:-1], x.reshape(-1, x.shape[-1])
    starts = start.reshape(len(rows), -1)
    if array_module(x) is np:
        every = np.lib.stride_tricks.sliding_window_view(rows, length, axis=-1)
        cut = every[np.arange(len(rows))[:, None], starts]
    else:
        jax = sys.modules["jax"]
        one = lambda row, first: jax.lax.dynamic_slice(row, (first,), (length,))  # noqa: E731
        cut = jax.vmap(jax.vmap(one, (None, 0)))(rows, starts)
    return cut.reshape(*batch, -1, length)


def run(x: Array, start: Array, *, length: int) -> Array:
    """One run for each example: x [..., T], start [...] -> [..., length]."""
    return runs(x, start[..., None], length=length)[..., 0, :]


def per_example(x: Array, value: Array | float, dtype: Any = None) -> Array:
    """A setting, one number or one per example [...], as [..., 1] to go with x [..., T]."""
    xp = array_module(x)
    value = xp.asarray(value, dtype=dtype or x.dtype)
    return xp.broadcast_to(value, x.shape[:-1])[..., None]


def check_number(
    name: str, value: float, *, at_least: float = -math.inf, at_most: float = math.inf
) -> None:
    """Raises ValueError unless the setting is finite and within the limits."""
    if math.isfinite(value) and at_least <= value <= at_most:
        return
    limits = {"at least": at_least, "at most": at_most}
    allowed = [f"{words} {limit:g}" for words, limit in limits.items() if math.isfinite(limit)]
    raise ValueError(f"{name} is {value}; it must be {' and '.join(allowed) or 'finite'}")


def check_range(names: tuple[str, str], values: tuple[float, float], **limits: float) -> None:
    """Raises ValueError unless both are as `check_number` wants them, and in order."""
    for name, value in zip(names, values, strict=True):
        check_number(name, value, **limits)
    if values[0] > values[1]:
        raise ValueError(
            f"{names[0]} is {values[0]} and {names[1]} is {values[1]}; they must be in order"
        )


def check_span(settings: Any, name: str, **limits: float) -> None:
    """`check_range` of the fields min_<name> and max_<name>."""
    names = (f"min_{name}", f"max_{name}")
    check_range(names, (getattr(settings, names[0]), getattr(settings, names[1])), **limits)


def check_positive(name: str, value: float) -> None:
    """Raises ValueError unless the setting is finite and greater than 0."""
    if not 0 < value < math.inf:
        raise ValueError(f"{name} is {value}; it must be positive")
