"""Checks of settings: what was got, what is allowed, and which field to change, in one wording."""

import inspect
import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any


def choice(field: str, value: Any, allowed: Collection[Any]) -> None:
    """Raise a ValueError unless `value` is one of `allowed`.

    >>> choice("eval.metric", "acuracy", ("loss", "accuracy"))
    Traceback (most recent call last):
    ValueError: eval.metric is 'acuracy'; allowed: loss, accuracy
    """
    # True is equal to 1 and False to 0, and neither is meant by them.
    if not any(
        value == one and isinstance(value, bool) == isinstance(one, bool) for one in allowed
    ):
        listed = ", ".join(str(one) or "''" for one in allowed)
        raise ValueError(f"{field} is {value!r}; allowed: {listed}")


def positive(field: str, value: float | None, *, unit: str = "") -> None:
    """Raise a ValueError unless `value` is finite and above 0; None, not given, passes."""
    if value is not None and not (value > 0 and math.isfinite(value)):
        what = f"a positive number of {unit}" if unit else "positive"
        raise ValueError(f"{field} is {value}; it must be {what}")


def at_least(field: str, value: float, lowest: float) -> None:
    """Raise a ValueError if `value` is below `lowest`, or no number."""
    if not value >= lowest:
        raise ValueError(f"{field} is {value}; it must be at least {lowest}")


def window_s(field: str, value: float | None) -> None:
    """Raise a ValueError unless `value` is a length of a window in seconds; None passes."""
    positive(field, value, unit="seconds")
    if value is not None and value > 3600:
        raise ValueError(f"{field} is {value:g}; it must be at most 3600, an hour of audio")


def whole(field: str, value: Any, *, lowest: int, highest: int | None = None) -> None:
    """Raise a ValueError unless `value` is an int, at least `lowest` and at most `highest`."""
    if not isinstance(value, int) or value < lowest or (highest is not None and value > highest):
        most = "" if highest is None else f" and at most {highest}"
        raise ValueError(
            f"{field} is {value!r}; it must be a whole number, at least {lowest}{most}"
        )


def within(field: str, value: float, low: float, high: float, *, ends: str = "[]") -> None:
    """Raise a ValueError unless `value` lies between `low` and `high`.

    Args:
        field: its name.
        value: of it.
        low, high: the ends of the interval.
        ends: which of them are in it: "[]" both, "[)" the lower one, "(]" the upper one, "()" none.

    >>> within("optim.ema_decay", 1.0, 0, 1, ends="[)")
    Traceback (most recent call last):
    ValueError: optim.ema_decay is 1.0; it must be in [0, 1)
    """
    inside = value is not None
    if inside:
        above = value >= low if ends[0] == "[" else value > low
        below = value <= high if ends[1] == "]" else value < high
        inside = above and below
    if not inside:
        raise ValueError(f"{field} is {value}; it must be in {ends[0]}{low}, {high}{ends[1]}")


def finite(what: str, arrays: Mapping[str, Any]) -> None:
    """Raise a ValueError that names the arrays with numbers that are not finite.

    >>> import numpy as np
    >>> finite("w.npz", {"a": np.ones(2), "b": np.array([1, np.nan, np.inf])})
    Traceback (most recent call last):
    ValueError: not finite in w.npz: b (2 of 3 numbers)
    """
    import numpy as np  # the command line must not wait for it

    bad = []
    for name, array in arrays.items():
        flat = np.asarray(array)
        if count := flat.size - np.count_nonzero(np.isfinite(flat)):
            bad.append(f"{name} ({count} of {flat.size} numbers)")
    if bad:
        raise ValueError(f"not finite in {what}: {few(bad)}")


def few(names: Collection[str], *, shown: int = 5) -> str:
    """The first few of some names, and how many more there are, for messages.

    >>> few(["a", "b", "c"], shown=2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(list(names)[:shown]) + more


def only_known(field: str, given: Iterable[str], known: Iterable[str], *, of: str) -> None:
    """Raise a ValueError if `field` has names that `of` does not take.

    >>> only_known("model.args", ["depth"], ["width"], of="fcn")
    Traceback (most recent call last):
    ValueError: model.args has depth; fcn takes width
    """
    if unknown := sorted(set(given) - set(known)):
        takes = ", ".join(sorted(known)) or "none"
        raise ValueError(f"{field} has {', '.join(unknown)}; {of} takes {takes}")


def arguments(
    field: str, given: Collection[str], takes: Mapping[str, inspect.Parameter], *, of: str
) -> None:
    """Raise a ValueError if `field` has what a function does not take, or lacks what it needs."""
    named = {
        name: parameter
        for name, parameter in takes.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    if all(parameter.kind != parameter.VAR_KEYWORD for parameter in takes.values()):
        only_known(field, given, named, of=of)
    needed = [name for name, parameter in named.items() if parameter.default is parameter.empty]
    if lacking := [name for name in needed if name not in given]:
        raise ValueError(f"{field} lacks {', '.join(lacking)}, which {of} needs")


def as_tuples(value: Any) -> Any:
    """The same with tuples for lists: settings are static to jit, so they must have a hash."""
    if isinstance(value, Mapping):
        return {key: as_tuples(one) for key, one in value.items()}
    return tuple(map(as_tuples, value)) if isinstance(value, list | tuple) else value
