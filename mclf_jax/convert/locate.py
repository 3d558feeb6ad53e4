"""Where in a checkpoint the network is: dictionaries and names of any depth may be around it."""

import collections
import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

from mclf_jax.common import checks

# What training scripts mostly call the state_dict when they save it beside other things.
_USUAL = ("state_dict.", "model_state_dict.", "model.")
# Another network of the same kind, which follows the one that is trained.
_FOLLOWER = re.compile(
    r"(.*[._])?(teacher|target|ema|momentum|averaged|k)[._].*", re.DOTALL | re.IGNORECASE
)
_DEEPEST, _MOST = 16, 100_000


class Located(NamedTuple):
    """The dictionary that holds a network.

    Attributes:
        arrays: of it, under their names in it; those of dictionaries in it joined by dots.
        prefix: of the network's own names.
        again: other prefixes under which most of them are there again.
        beside: names of what was saved beside it: "epoch", "optimizer_states".
    """

    arrays: dict[str, Any]
    prefix: str
    again: tuple[str, ...]
    beside: tuple[str, ...]


def locate(weights: Mapping[Any, Any], keys: Collection[str], *, origin: str) -> Located:
    """Find the dictionary and the prefix under which most of a network's keys are.

    Args:
        weights: a state_dict, or a checkpoint that holds one, whatever it is called.
        keys: of the network; without any, the dictionary has a usual name, or is all there is.
        origin: where the weights are from, for messages.

    Raises:
        ValueError: there is no array, not one of the keys, or more than one such network.
    """
    arrays: dict[str, Any] = {}
    folders: dict[str, Mapping] = {}
    _walk(weights, "", arrays, folders, seen=set(), origin=origin)
    if not arrays:
        got = [f"{key} ({type(value).__name__})" for key, value in weights.items()]
        raise ValueError(
            f"{origin}: expected a state_dict, name -> array, or a checkpoint that holds one; got "
            f"{checks.few(got) or 'none (a module?)'}"
        )
    counts = _counts(arrays, keys)

    def rank(prefix: str) -> tuple:
        usual = next((i for i, n in enumerate(_USUAL) if prefix.startswith(n)), len(_USUAL))
        return -counts[prefix], follows(prefix), usual

    prefixes = sorted(counts, key=lambda prefix: (*rank(prefix), len(prefix), prefix))
    if keys and not prefixes:
        raise ValueError(
            f"{origin}: none of the {len(keys)} keys of this network, such as "
            f"{checks.few(sorted(keys), shown=3)}, is among the {len(arrays)} that were found, "
            f"such as {checks.few(list(arrays), shown=3)}"
        )
    prefix = prefixes[0] if keys else next((name for name in _USUAL if name in folders), "")
    inside = max((name for name in folders if prefix.startswith(name)), key=len)
    rivals = [name for name in prefixes[1:] if rank(name) == rank(prefix)]
    if rivals := [name for name in rivals if not name.startswith(inside)]:
        names = checks.few([prefix, *rivals])
        raise ValueError(f"{origin}: such networks are there as {names}: save one of them alone")
    beside, dropped = [], []
    for folder in sorted((name for name in folders if inside.startswith(name)), key=len):
        for key, value in folders[folder].items():
            name = f"{folder}{key}"
            if inside.startswith(f"{name}.") or (folder == inside and name in arrays):
                continue
            if folder == inside and any(f"{prefix}{k}".startswith(f"{name}.") for k in keys):
                continue  # a module that is a dictionary
            if keys or folder != inside or not isinstance(value, Mapping):
                beside.append(name)
                dropped.append(f"{name}.")
    return Located(
        arrays={
            name.removeprefix(inside): array
            for name, array in arrays.items()
            if name.startswith(inside) and not name.startswith(tuple(dropped))
        },
        prefix=prefix.removeprefix(inside),
        again=tuple(
            name.removeprefix(inside)
            for name in prefixes[1:]
            if counts[name] > counts[prefix] / 2
            if name.startswith(inside) and not name.startswith(tuple(dropped))
        ),
        beside=tuple(beside),
    )


def follows(prefix: str) -> bool:
    """Whether a prefix is that of a network that follows another one: "teacher_network."."""
    return bool(_FOLLOWER.fullmatch(prefix))


def is_array(value: Any) -> bool:
    """Whether it is a numpy or jax array or a tensor."""
    return hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, np.generic)


def _walk(
    weights: Mapping[Any, Any],
    prefix: str,
    arrays: dict[str, Any],
    folders: dict[str, Mapping],
    *,
    seen: set[int],
    origin: str,
) -> None:
    """Collect what is in a dictionary, and in those in it, each once."""
    seen.add(id(weights))
    folders[prefix] = weights
    for key, value in weights.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            if id(value) not in seen and name.count(".") < _DEEPEST:
                _walk(value, f"{name}.", arrays, folders, seen=seen, origin=origin)
        elif is_array(value):
            if name in arrays:
                raise ValueError(f"{origin}: {name} is there twice")
            arrays[name] = value
    if len(arrays) + len(folders) > _MOST:
        raise ValueError(f"{origin}: more than {_MOST} names are not those of a network")


def _counts(arrays: Collection[str], keys: Collection[str]) -> collections.Counter[str]:
    """How many of the keys are there under a prefix."""
    counts: collections.Counter[str] = collections.Counter()
    longest = max((key.count(".") for key in keys), default=0) + 1
    for name in arrays:
        parts = name.split(".")
        for n in range(1, min(longest, len(parts)) + 1):
            key = ".".join(parts[-n:])
            if key in keys:
                counts[name.removesuffix(key)] += 1
    return counts
