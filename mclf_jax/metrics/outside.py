"""Metrics beside those of the task: of `functions` by name, and functions from outside.

Such a function takes (scores, targets, labels=) as `compute` does, after its checks, and returns a
number. Its attribute `direction` is "max", which need not be said, or "min". In results it goes by
its own name, without the place that it comes from.
"""

from collections.abc import Callable, Sequence

import numpy as np

from mclf_jax.common import checks, plugins
from mclf_jax.metrics.functions import named


def short_name(name: str) -> str:
    """Under which values of "package.module:metric" or "file.py:metric" are found.

    >>> short_name("mine.py:top3")
    'top3'
    """
    return name.rpartition(":")[2]


def values(
    names: Sequence[str], scores: np.ndarray, targets: np.ndarray, *, labels: Sequence[str]
) -> dict[str, float]:
    """{short name: value} of songs [N, K]; see `metrics.compute`.

    Raises:
        ValueError: there is no such function, or what it returns is no number.
    """
    found = {}
    for name in names:
        value = _function(name)(scores, targets, labels=tuple(labels))
        if np.ndim(value) or not np.issubdtype(np.asarray(value).dtype, np.number):
            raise ValueError(
                f"eval.metrics has {name!r}, which returns {value!r}; wanted: a number"
            )
        found[short_name(name)] = float(value)
    return found


def directions(names: Sequence[str]) -> dict[str, str]:
    """{short name: "max" or "min"}.

    Raises:
        ValueError: there is no such function, or it has another direction.
    """
    found = {}
    for name in names:
        found[short_name(name)] = way = getattr(_function(name), "direction", "max")
        checks.choice(f"the direction of {name}", way, ("max", "min"))
    return found


def _function(name: str) -> Callable[..., float]:
    if known := named.find(name):
        return known
    found = plugins.find("metrics", name, field="eval.metrics", known=named.NAMES)
    if not callable(found):
        raise ValueError(
            f"eval.metrics has {name!r}, which is {found!r}; it must be a function "
            "(scores, targets, *, labels) -> float"
        )
    return found
