"""Parts of a network that do not train: no gradients, and evaluation mode while the rest trains."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax

PyTree = Any

# What layers and blocks are told by their callers, and what evaluation is.
_EVALUATION = {"train": False, "deterministic": True, "use_running_average": True}


def without_gradients(params: PyTree, frozen: frozenset[str]) -> PyTree:
    """The same parameters; the backward pass ends where nothing before it trains.

    Args:
        params: of a module.
        frozen: names of variables, "layer1.conv.kernel".
    """
    return _map_named(
        lambda name, leaf: jax.lax.stop_gradient(leaf) if name in frozen else leaf, params
    )


def kept(frozen: frozenset[str], *, old: PyTree, new: PyTree) -> PyTree:
    """The new state of a module, with the old one of what is frozen."""
    return {
        collection: _map_named(
            lambda name, before, after: before if name in frozen else after, old[collection], tree
        )
        for collection, tree in new.items()
    }


@contextlib.contextmanager
def in_evaluation_mode(variables: Mapping[str, PyTree], frozen: frozenset[str]) -> Iterator[None]:
    """Where networks are applied: their frozen modules behave as in evaluation.

    Those are the modules of which every variable is frozen: batch normalisation uses its running
    statistics, dropout inside them is off. Dropout between modules, such as the one before the
    last layer, stays. Batch normalisation of which the statistics are frozen and not the
    parameters uses its running statistics too.

    Args:
        variables: of the network, by collection.
        frozen: names of variables.
    """
    modules = _frozen_modules(variables, frozen)

    def call(function, args, kwargs, context):
        if context.module.path in modules and context.method_name == "__call__":
            kwargs = {name: _EVALUATION.get(name, value) for name, value in kwargs.items()}
            if getattr(context.module, "use_running_average", None) is False:
                # A layer that was told by its constructor; it lives for this call only.
                object.__setattr__(context.module, "use_running_average", True)
        return function(*args, **kwargs)

    with nn.intercept_methods(call):
        yield


def _frozen_modules(
    variables: Mapping[str, PyTree], frozen: frozenset[str]
) -> set[tuple[str, ...]]:
    whole: dict[tuple[str, ...], bool] = {}
    statistics: dict[tuple[str, ...], bool] = {}
    for collection, tree in variables.items():
        for key_path, _ in jax.tree_util.tree_leaves_with_path(tree):
            path = tuple(part.key for part in key_path)
            is_frozen = ".".join(path) in frozen
            for depth in range(1, len(path)):
                whole[path[:depth]] = whole.get(path[:depth], True) and is_frozen
            if collection != "params":
                statistics[path[:-1]] = statistics.get(path[:-1], True) and is_frozen
    return {path for modules in (whole, statistics) for path, yes in modules.items() if yes}


def _map_named(function: Any, *trees: PyTree) -> PyTree:
    def on_leaf(key_path, *leaves):
        return function(".".join(part.key for part in key_path), *leaves)

    return jax.tree_util.tree_map_with_path(on_leaf, *trees)
