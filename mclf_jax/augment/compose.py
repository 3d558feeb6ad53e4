"""Chains of augmentations: one after the other, N views, by chance, or one of several.

All of them are augmentations themselves: called as `f(key, x)` with a jax key, or with a
`numpy.random.Generator` for numpy arrays. Their repr is the code that makes them.

What "each example decides" means depends on how many axes one example has: the last one of
waveforms [..., T], the last two of spectrograms [..., F, M]. An augmentation says so by its
attribute `example_ndim`; without one it is taken to be of waveforms.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mclf_jax.audio.features import array_module
from mclf_jax.augment import base
from mclf_jax.augment.base import Array, Key
from mclf_jax.common import checks

Augmentation = Callable[[Key, Array], Array]
"""`f(key, x) -> x`; every example of x has its own draw."""

_WIDTH = 88  # of a printed chain


def compose(augmentations: Sequence[Augmentation]) -> "Compose":
    """One after the other, each with its own key.

    The draws of an augmentation depend on its place from the start of the chain alone: what is
    added behind it changes nothing before.

    >>> compose([lambda key, x: x + 1, lambda key, x: 2 * x])(np.random.default_rng(0), np.ones(2))
    array([4., 4.])
    """
    return Compose(_as_tuple(augmentations))


def compose_many(augmentations: Sequence[Augmentation], *, num_views: int) -> "ComposeMany":
    """N independent views of every example through the same chain: x [..., T] -> [N, ..., T].

    >>> compose_many([lambda key, x: -x], num_views=2)(np.random.default_rng(0), np.ones(2))
    array([[-1., -1.],
           [-1., -1.]])
    """
    return ComposeMany(_as_tuple(augmentations), num_views)


def random_apply(
    augmentations: Augmentation | Sequence[Augmentation], *, p: float
) -> "RandomApply":
    """The augmentations with probability p, else the example as it is.

    Each example decides for itself, once for the whole list. On a device everything is computed
    for all examples and then chosen, so that it compiles; numpy computes what was chosen only.

    >>> random_apply(lambda key, x: -x, p=0.5)(np.random.default_rng(0), np.ones((3, 1))).ravel()
    array([ 1., -1., -1.])
    """
    return RandomApply(_as_tuple(augmentations), p)


def one_of(
    augmentations: Sequence[Augmentation], *, weights: Sequence[float] | None = None
) -> "OneOf":
    """One of the augmentations, drawn by each example.

    Args:
        augmentations: to choose from. On a device all of them are computed for all examples.
        weights: how often each is drawn, relative to the others; equally often when not given.

    >>> choice = one_of([lambda key, x: -x, lambda key, x: 2 * x])
    >>> choice(np.random.default_rng(0), np.ones((3, 1))).ravel()
    array([ 2., -1., -1.])
    """
    weights = None if weights is None else base.plain(tuple(weights))
    return OneOf(_as_tuple(augmentations), weights)


class _Chain:
    """What the dataclasses below share: members, their kind of example, and how they print."""

    augmentations: tuple[Augmentation, ...]

    def __post_init__(self):
        for member in self.augmentations:
            if not callable(member):
                raise ValueError(f"augmentations has {member!r}; each must be a f(key, x) -> x")
        if len(kinds := {_example_ndim(member) for member in self.augmentations}) > 1:
            names = {1: "waveforms", 2: "spectrograms"}
            found = ", ".join(f"{_name(m)} ({names[_example_ndim(m)]})" for m in self.augmentations)
            raise ValueError(f"augmentations of {len(kinds)} kinds of input in one chain: {found}")

    @property
    def example_ndim(self) -> int:
        """How many axes one example has: 1 for waveforms, 2 for spectrograms."""
        return _example_ndim(self.augmentations[0]) if self.augmentations else 1

    def _batch_shape(self, x: Array) -> tuple[int, ...]:
        return x.shape[: x.ndim - self.example_ndim]


@dataclasses.dataclass(frozen=True, repr=False)
class Compose(_Chain):
    """See `compose`."""

    augmentations: tuple[Augmentation, ...]

    def __call__(self, key: Key, x: Array) -> Array:
        return _in_turn(self.augmentations, key, base.as_array(key, x))

    def __repr__(self) -> str:
        return _call("compose", [_list(self.augmentations)])


@dataclasses.dataclass(frozen=True, repr=False)
class ComposeMany(_Chain):
    """See `compose_many`."""

    augmentations: tuple[Augmentation, ...]
    num_views: int

    def __post_init__(self):
        super().__post_init__()
        checks.at_least("num_views", self.num_views, 1)

    def __call__(self, key: Key, x: Array) -> Array:
        x = base.as_array(key, x)
        # To an augmentation the views are just more examples.
        views = array_module(x).stack([x] * self.num_views)
        return _in_turn(self.augmentations, key, views)

    def __repr__(self) -> str:
        return _call("compose_many", [_list(self.augmentations), f"num_views={self.num_views}"])


@dataclasses.dataclass(frozen=True, repr=False)
class RandomApply(_Chain):
    """See `random_apply`."""

    augmentations: tuple[Augmentation, ...]
    p: float

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "p", base.plain(self.p))
        checks.within("p", self.p, 0, 1)

    def __call__(self, key: Key, x: Array) -> Array:
        x = base.as_array(key, x)
        choice_key, apply_key = base.split(key, 2)
        chosen = base.bernoulli(choice_key, self._batch_shape(x), self.p)
        return _where_chosen(chosen, self.augmentations, apply_key, x)

    def __repr__(self) -> str:
        members = self.augmentations
        first = repr(members[0]) if len(members) == 1 else _list(members)
        return _call("random_apply", [first, f"p={self.p}"])


@dataclasses.dataclass(frozen=True, repr=False)
class OneOf(_Chain):
    """See `one_of`."""

    augmentations: tuple[Augmentation, ...]
    weights: tuple[float, ...] | None = None

    def __post_init__(self):
        super().__post_init__()
        if not self.augmentations:
            raise ValueError("augmentations is empty; one_of needs some to choose from")
        if self.weights is None:
            return
        if len(self.weights) != len(self.augmentations):
            raise ValueError(
                f"weights has {len(self.weights)} numbers for {len(self.augmentations)} "
                "augmentations; it must have one for each"
            )
        if not (all(w >= 0 for w in self.weights) and 0 < sum(self.weights) < math.inf):
            raise ValueError(f"weights is {self.weights}; they must be positive or 0, not all 0")

    def __call__(self, key: Key, x: Array) -> Array:
        x = base.as_array(key, x)
        choice_key, *keys = base.split(key, 1 + len(self.augmentations))
        weights = np.array(self.weights or [1.0] * len(self.augmentations))
        upper = np.cumsum(weights / weights.sum())
        draw = base.uniform(choice_key, self._batch_shape(x), 0.0, 1.0)
        xp, changed = array_module(draw), x
        # What weighs nothing at the end is never drawn, whatever the rounding of the sum.
        last = int(np.flatnonzero(weights)[-1])
        number = xp.minimum((draw[..., None] >= xp.asarray(upper, "float32")).sum(-1), last)
        for i, (member, member_key) in enumerate(zip(self.augmentations, keys, strict=True)):
            changed = _where_chosen(number == i, (member,), member_key, x, otherwise=changed)
        return changed

    def __repr__(self) -> str:
        weights = [] if self.weights is None else [f"weights={self.weights}"]
        return _call("one_of", [_list(self.augmentations), *weights])


def _in_turn(augmentations: Sequence[Augmentation], key: Key, x: Array) -> Array:
    if augmentations:
        keys = base.split(key, len(augmentations))
        for member, member_key in zip(augmentations, keys, strict=True):
            x = member(member_key, x)
    return x


def _where_chosen(
    chosen: Array,
    augmentations: Sequence[Augmentation],
    key: Key,
    x: Array,
    *,
    otherwise: Array | None = None,
) -> Array:
    """The augmented x where `chosen` (the shape of the batch), else `otherwise`, else x."""
    otherwise = x if otherwise is None else otherwise
    if isinstance(key, np.random.Generator):
        if not chosen.any():
            return otherwise
        if not chosen.ndim:  # one example, which takes no copies to choose
            changed = _in_turn(augmentations, key, x[None])
            _check_shape(augmentations, x.shape, changed.shape[1:])
            return changed[0].astype(otherwise.dtype, copy=False)
        changed = _in_turn(augmentations, key, x[chosen])
        _check_shape(augmentations, x.shape[chosen.ndim :], changed.shape[1:])
        result = otherwise.copy()
        result[chosen] = changed
        return result
    changed = _in_turn(augmentations, key, x)
    _check_shape(augmentations, x.shape, changed.shape)
    xp = array_module(x)
    mask = chosen.reshape(chosen.shape + (1,) * (x.ndim - chosen.ndim))
    return xp.where(mask, changed, otherwise)


def _check_shape(augmentations, before: tuple[int, ...], after: tuple[int, ...]) -> None:
    if before != after:
        names = ", ".join(map(_name, augmentations))
        raise ValueError(
            f"{names} makes {list(after)} of {list(before)}, which cannot be applied to some "
            "examples only; put it directly into compose(...)"
        )


def _as_tuple(augmentations: Any) -> tuple[Augmentation, ...]:
    return (augmentations,) if callable(augmentations) else tuple(augmentations)


def _example_ndim(augmentation: Augmentation) -> int:
    return getattr(augmentation, "example_ndim", 1)


def _name(augmentation: Augmentation) -> str:
    return getattr(augmentation, "__name__", type(augmentation).__name__)


def _list(augmentations: Sequence[Augmentation]) -> str:
    return _brackets("[", [repr(member) for member in augmentations], "]")


def _call(name: str, arguments: Sequence[str]) -> str:
    if "\n" not in arguments[0]:
        return _brackets(f"{name}(", arguments, ")")
    return f"{name}({', '.join(arguments)})"  # the list has been broken into lines already


def _brackets(opening: str, parts: Sequence[str], closing: str) -> str:
    """On one line where that is short, else a line for each part."""
    line = f"{opening}{', '.join(parts)}{closing}"
    if len(line) <= _WIDTH and "\n" not in line:
        return line
    body = "".join("    " + part.replace("\n", "\n    ") + ",\n" for part in parts)
    return f"{opening}\n{body}{closing}"
