"""Variables of a network by name, "layer1.conv.kernel", and names by pattern.

A pattern is a name, or the name of a module, which stands for everything in it; "*", "?" and
"[1-3]" stand for other characters, dots too. "{head}" stands for the network's last layer.
"""

import difflib
import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax

from mclf_jax.models import Model, architecture

PyTree = Any


def path_of(key_path: Sequence[Any]) -> tuple[str, ...]:
    """("params", "layer1.0", "kernel") of a path of `jax.tree_util`."""
    return tuple(part.key for part in key_path)


def name_of(path: Sequence[str]) -> str:
    """The name of a variable, without its collection, from its path below that."""
    return ".".join(path)


def variables_in_call_order(model: Model) -> dict[tuple[str, ...], jax.ShapeDtypeStruct]:
    """(collection, module, ..., leaf) -> shape and type, parameters first.

    Modules of the top level come in the order in which the network calls them, which a pytree
    does not keep.
    """
    order: list[str] = []

    def init(key):
        variables = model.init_in_call_order(key)
        # Batch normalisation makes its statistics first, and other modules have none.
        for collection in sorted(variables, key=lambda name: name != "params"):
            order.extend(name for name in variables[collection] if name not in order)
        return variables

    leaves = jax.tree_util.tree_leaves_with_path(jax.eval_shape(init, jax.random.key(0)))
    found = {path_of(key_path): leaf for key_path, leaf in leaves}
    return dict(
        sorted(found.items(), key=lambda item: (item[0][0] != "params", order.index(item[0][1])))
    )


def matches(name: str, pattern: str) -> bool:
    """Whether a pattern means a variable, or a module that it is in."""
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name, f"{pattern}.*")


def select(
    names: Iterable[str], patterns: Sequence[str], *, model: Model, field: str
) -> frozenset[str]:
    """The names that patterns mean, in order: "!layer1" takes out what those before it took in.

    Args:
        names: of the variables there are.
        patterns: see above.
        model: whose last layer "{head}" is.
        field: of the config that holds the patterns, for messages.

    Raises:
        ValueError: a pattern means nothing, or they are not in a sequence.
    """
    if isinstance(patterns, str):
        raise ValueError(f"{field} is {patterns!r}; it must be a tuple, such as ({patterns!r},)")
    names, chosen = tuple(names), set()
    for pattern in patterns:
        plain = pattern.removeprefix("!").replace("{head}", architecture(model.name).head)
        found = {name for name in names if matches(name, plain)}
        if not found:
            raise ValueError(_nothing(names, pattern, model=model, field=field))
        chosen = chosen - found if pattern.startswith("!") else chosen | found
    return frozenset(chosen)


def rename(name: str, renames: Mapping[str, str]) -> str | None:
    """The new name of a variable, by the first of the patterns that means it, or None: drop it.

    Args:
        name: "encoder.2.conv.kernel", say.
        renames: {"encoder.*": "layer*"}: only "*" stands for something here, and those of the
            new name are what those of the old one stood for. A new name "" drops the variable.

    Raises:
        ValueError: a new name has more "*" than the old one.
    """
    for old, new in renames.items():
        if new.count("*") > old.count("*"):
            raise ValueError(
                f"config.init.rename has {old!r} -> {new!r}; the new name may not have more '*'"
            )
        # A name of a module stands for everything in it, so what follows it stays.
        pattern = "(.*?)".join(map(re.escape, old.split("*"))) + r"((?:\..+)?)"
        if not (found := re.fullmatch(pattern, name)):
            continue
        *stars, rest = found.groups()
        if not new:
            return None
        parts = new.split("*")
        return parts[0] + "".join(s + p for s, p in zip(stars, parts[1:], strict=False)) + rest
    return name


def _nothing(names: Sequence[str], pattern: str, *, model: Model, field: str) -> str:
    modules = list(dict.fromkeys(path[1] for path in variables_in_call_order(model)))
    close = difflib.get_close_matches(pattern.removeprefix("!"), [*names, *modules])
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return (
        f"{field} has {pattern!r}, which is no part of {model.name}; {hint}"
        f"its parts are {', '.join(modules)}"
    )
