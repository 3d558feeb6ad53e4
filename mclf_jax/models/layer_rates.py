"""Learning rates by layer: smaller the nearer to the input, or by pattern."""

from collections.abc import Sequence
from typing import Any

import jax

from mclf_jax.common import checks
from mclf_jax.models import Model
from mclf_jax.models.names import matches, name_of, path_of, select, variables_in_call_order

PyTree = Any


def factors(
    model: Model, *, layer_decay: float = 1.0, rates: Sequence[tuple[str, float]] = ()
) -> dict[str, float]:
    """name of a parameter -> factor of its learning rate; without those that have 1.

    Args:
        model: the network.
        layer_decay: the last layer has factor 1, the one before it `layer_decay`, the one before
            that its square, and so on (Howard and Ruder 2018; as in BEiT, Bao et al. 2022). See
            `layers`.
        rates: (pattern, factor), see `models.names`; of several that mean a parameter, the last
            one counts. It is multiplied with that of the layer.

    Raises:
        ValueError: a pattern means nothing, or a number is out of range.
    """
    checks.within("optim.layer_decay", layer_decay, 0, 1, ends="(]")
    stack = layers(model)
    found = {
        name: layer_decay ** (len(stack) - 1 - depth)
        for depth, layer in enumerate(stack)
        for name in layer
    }
    by_pattern: dict[str, float] = {}
    for number, (pattern, factor) in enumerate(rates):
        field = f"optim.rates[{number}]"
        if factor <= 0:
            raise ValueError(f"{field} is {factor}; it must be positive; init.freeze stops a part")
        names = select(found, [pattern], model=model, field=field)
        by_pattern |= dict.fromkeys(names, factor)
    found = {name: factor * by_pattern.get(name, 1.0) for name, factor in found.items()}
    return {name: factor for name, factor in found.items() if factor != 1}


def head_factors(params: PyTree, rates: Sequence[tuple[str, float]]) -> dict[str, float]:
    """name of a parameter beside the network -> factor of its learning rate.

    Args:
        params: of an objective, the network's below "model": arrays or their shapes. Names of the
            others begin with their part: "predictor.dense0.kernel", "workers.lim.bias".
        rates: (pattern, factor), see `models.names`, as ("predictor", 10.0); of several that
            mean a parameter, the last one counts.

    Raises:
        ValueError: a pattern means nothing, or a number is out of range.
    """
    paths = [path_of(key_path) for key_path, _ in jax.tree_util.tree_leaves_with_path(params)]
    names = [name_of(path) for path in paths if path[0] != "model"]
    found: dict[str, float] = {}
    for number, (pattern, factor) in enumerate(rates):
        field = f"optim.head_rates[{number}]"
        checks.positive(field, factor)
        meant = [name for name in names if matches(name, pattern)]
        if not meant:
            parts = ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))
            raise ValueError(
                f"{field} has {pattern!r}, which is no part of this objective; beside the network "
                f"it trains: {parts or 'nothing'}"
            )
        found |= dict.fromkeys(meant, factor)
    return found


def layers(model: Model) -> list[tuple[str, ...]]:
    """Names of the parameters of each layer, in the order in which the network calls them.

    A layer is a module of the network's top level, such as "layer3" or "dense1", that has a matrix
    or a convolution. What has none, such as batch normalisation, belongs to the layer before it,
    or at the input to the first, and so does what is in no module, such as a class token.
    """
    modules: dict[str, dict[str, bool]] = {}
    for path, leaf in variables_in_call_order(model).items():
        if path[0] == "params":
            is_matrix = len(path) > 2 and len(leaf.shape) > 1
            modules.setdefault(path[1], {})[name_of(path[1:])] = is_matrix
    stack: list[tuple[str, ...]] = []
    waiting: tuple[str, ...] = ()
    for parts in modules.values():
        if any(parts.values()):
            stack.append((*waiting, *parts))
            waiting = ()
        elif stack:
            stack[-1] = (*stack[-1], *parts)
        else:
            waiting = (*waiting, *parts)
    return stack
