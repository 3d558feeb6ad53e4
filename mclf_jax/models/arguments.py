"""What a network, or a part of one, takes beside its input: names, defaults, and checks of them."""

import dataclasses
from collections.abc import Collection, Mapping
from inspect import Parameter
from typing import Any

import flax.linen as nn

from mclf_jax.common import checks


def taken(module: type[nn.Module], *, without: Collection[str]) -> dict[str, Any]:
    """Attributes of a Linen module, with their defaults.

    One from outside may have none for some: `inspect.Parameter.empty`, as objectives say it.

    Args:
        module: its class.
        without: attributes that are no arguments.
    """
    fields = dataclasses.fields(module)
    return {field.name: _default(field) for field in fields if field.name not in without}


def check(field: str, given: Mapping[str, Any], takes: Mapping[str, Any], *, of: str) -> None:
    """Raise a ValueError unless arguments are known, all that are needed, and of a size that is.

    Sizes and counts are whole, and as small as 0 only where a network has 0 by itself.

    Args:
        field: that holds them, for messages.
        given: the arguments.
        takes: see `taken`.
        of: whose they are, for messages.
    """
    known = {
        name: Parameter(name, Parameter.KEYWORD_ONLY, default=default)
        for name, default in takes.items()
    }
    checks.arguments(field, given, known, of=of)
    for name, value in given.items():
        default = takes[name]
        if isinstance(default, int) and not isinstance(default, bool) and default >= 0:
            checks.whole(f"{field}.{name}", value, lowest=min(default, 1))
        if name.endswith("dropout_rate"):
            checks.within(f"{field}.{name}", value, 0, 1, ends="[)")


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return Parameter.empty if field.default is dataclasses.MISSING else field.default
