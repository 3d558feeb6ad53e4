"""What augmentations have in common: draws, settings that are checked, runs of samples.

Draws come from a jax key or from a numpy generator, so that augmentations are written once. With a
key everything is a jax array and may be traced; with a `numpy.random.Generator` everything is
numpy, as the pipeline needs it. A key is used once and split for more; a generator moves on.
"""

import abc
import dataclasses
import math
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from mclf_jax.audio.features import array_module
from mclf_jax.common import checks

Key = Any  # a jax key or a numpy.random.Generator
Array = Any  # of the module that the key belongs to
ROW = 128  # samples that lie side by side in the memory of a TPU


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


def plain(value: Any) -> Any:
    """Numbers of numpy as those of Python, also within tuples; a repr is then code."""
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return value.item() if isinstance(value, np.generic) else value


class Checked:
    """A dataclass of settings, checked when it is made.

    Whatever is in Hz is positive, min_X and max_X are finite and in order, and what `limits`
    names, as X or by the whole name, lies between two ends, which are included where finite.
    """

    limits: ClassVar[Mapping[str, tuple[float, float]]] = {}

    def __post_init__(self):
        settings = {f.name: plain(getattr(self, f.name)) for f in dataclasses.fields(self)}
        for name, value in settings.items():
            object.__setattr__(self, name, value)  # of a frozen dataclass
        for name, value in settings.items():
            kind, _, quantity = name.partition("_")
            where = f"{type(self).__name__}.{name}"
            if name.endswith("_hz") and np.ndim(value) == 0:
                checks.positive(where, value)
            if name in self.limits:
                check_number(where, value, *self.limits[name])
            elif kind == "min" and (highest := f"max_{quantity}") in settings:
                limits = self.limits.get(quantity, (-math.inf, math.inf))
                check_range((where, highest), (value, settings[highest]), *limits)


class WaveformAugmentation(Checked, abc.ABC):
    """`f(key, x) -> x` on floating point x [..., T]; all axes but the last are examples.

    `key` is a jax key, and then the call can be jitted and mapped, or a
    `numpy.random.Generator`, and then x is a numpy array and jax is not needed. A subclass
    writes `augment(key, x)` with x in float32 or float64 and need not care for its dtype:
    16 bits are widened before it and narrowed after it. One that cannot be computed by jax says
    `runs_on = "host"` and takes generators alone.
    """

    example_ndim: ClassVar[int] = 1
    runs_on: ClassVar[str] = "any"

    def __call__(self, key: Key, x: Array) -> Array:
        if self.runs_on == "host" and not isinstance(key, np.random.Generator):
            raise ValueError(
                f"{type(self).__name__} runs on the host: give a numpy.random.Generator and numpy "
                "arrays; in a config, set augment.on to 'pipeline'"
            )
        x = as_array(key, x)
        if not array_module(x).issubdtype(x.dtype, np.floating) or x.ndim < 1:
            raise ValueError(
                f"x is {x.dtype} {list(x.shape)}; augmentations of waveforms take floating "
                "point [..., T], full scale at 1"
            )
        wide = x if x.dtype.itemsize >= 4 else x.astype("float32")
        return self.augment(key, wide).astype(x.dtype, copy=False)

    @abc.abstractmethod
    def augment(self, key: Key, x: Array) -> Array:
        """x [..., T] in float32 or float64 -> the same shape; the dtype may widen."""

    def draw(self, quantity: str, key: Key, x: Array) -> Array:
        """One number for each example of x, uniform from min_<quantity> to max_<quantity>."""
        low, high = (getattr(self, f"{end}_{quantity}") for end in ("min", "max"))
        return uniform(key, x.shape[:-1], low, high)


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
    if is_one_of_numpy(x):
        first = int(np.asarray(start).reshape(()))
        return x[..., first : first + length]
    return runs(x, start[..., None], length=length)[..., 0, :]


def is_one_of_numpy(x: Array) -> bool:
    """Whether it is a single example of numpy, of which a run is a slice."""
    return isinstance(x, np.ndarray) and x.size == x.shape[-1]


def rows(x: Array, row: Array, *, count: int) -> Array:
    """Of a jax array [..., T] in rows of 128, `count` from each of `row` [..., S] on, side by side.

    Silence is behind the end. A gather of rows is what a TPU has for this; of samples, or of runs
    that begin anywhere, it makes a loop.
    """
    x = pad(x, 0, -x.shape[-1] % ROW + count * ROW)
    every = x.reshape(-1, x.shape[-1] // ROW, ROW)
    starts = row.reshape(len(every), -1)
    which = starts[..., None] + np.arange(count, dtype=np.int32)
    example = np.arange(len(every), dtype=np.int32)[:, None, None]
    found = every.at[example, which].get(mode="promise_in_bounds")
    return found.reshape(*row.shape, count * ROW)


def per_example(x: Array, value: Array | float, dtype: Any = None) -> Array:
    """A setting, one number or one per example [...], as [..., 1] to go with x [..., T]."""
    xp = array_module(x)
    value = xp.asarray(value, dtype=dtype or x.dtype)
    return xp.broadcast_to(value, x.shape[:-1])[..., None]


def pad(x: Array, before: int, after: int, *, mode: str = "constant", axis: int = -1) -> Array:
    """x with so much more at both ends of one axis: zeros, or with "edge" what stands there."""
    if isinstance(x, np.ndarray) and axis == -1:  # numpy's own takes longer than a short filter
        longer = np.zeros((*x.shape[:-1], before + x.shape[-1] + after), x.dtype)
        longer[..., before : before + x.shape[-1]] = x
        if mode == "edge":
            longer[..., :before] = x[..., :1]
            longer[..., before + x.shape[-1] :] = x[..., -1:]
        return longer
    widths = [(0, 0)] * x.ndim
    widths[axis] = (before, after)
    return array_module(x).pad(x, widths, mode=mode)


def check_number(field: str, value: float, low: float = -math.inf, high: float = math.inf) -> None:
    """Raises ValueError unless the setting is finite and from `low` to `high`."""
    ends = ("[" if math.isfinite(low) else "(") + ("]" if math.isfinite(high) else ")")
    checks.within(field, value, low, high, ends=ends)


def check_range(fields: tuple[str, str], values: tuple[float, float], *limits: float) -> None:
    """Raises ValueError unless both are as `check_number` wants them, and in order."""
    for field, value in zip(fields, values, strict=True):
        check_number(field, value, *limits)
    if values[0] > values[1]:
        raise ValueError(
            f"{fields[0]} is {values[0]} and {fields[1]} is {values[1]}; they must be in order"
        )
