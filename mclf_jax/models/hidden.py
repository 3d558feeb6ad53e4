"""Hidden layers of a network by name, each of them one vector for a window.

A layer is a part of the network that is more than one layer of Flax: a block of convolutions, a
layer of a transformer, a GRU. The last one is "embedding", what the last dense layer reads. A
vector is the mean of a layer's output over time, and over frequency where there is one, as in
Choi et al. 2017 (https://arxiv.org/abs/1703.09179): [B, T, C] or [B, F, M, C] -> [B, C].
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mclf_jax.models import Model, architecture

EMBEDDING = "embedding"
ALL = "all"
"""Every layer, one after the other."""


def outputs_with_hidden(
    model: Model, variables: Mapping[str, Any], x: jax.Array, *, hidden: Sequence[str] = ()
) -> dict[str, jax.Array]:
    """What a network says of inputs in evaluation mode, with the vectors of other layers.

    Args:
        model: the network.
        variables: of its module.
        x: of `Model.inputs`.
        hidden: names of layers, of `layer_widths`; none for the network's own embedding.

    Returns:
        {"logits": [B, K], "embedding": [B, D]}, the embedding being those layers, one after the
        other.
    """
    if not hidden:
        return model.module.apply(variables, x, train=False)
    outputs, found = _run(model, variables, x)
    vectors = [found[name].astype("float32") for name in hidden]
    return {"logits": outputs["logits"], EMBEDDING: jnp.concatenate(vectors, axis=-1)}


@functools.lru_cache(maxsize=16)
def layer_widths(model: Model) -> dict[str, int]:
    """{name: D} of the layers of a network, in the order in which they are called."""
    variables = jax.eval_shape(model.init, jax.random.key(0))
    x = jax.ShapeDtypeStruct((2, *model.input_shape), jnp.float32)
    names: list[str] = []

    def run(variables, x):
        _, found = _run(model, variables, x)
        names.extend(found)  # jax sorts what it returns
        return found

    shapes = jax.eval_shape(run, variables, x)
    return {name: shapes[name].shape[1] for name in names}


def find_layers(model: Model, layer: str | int, *, field: str) -> tuple[str, ...]:
    """The names that `layer` means: a name, a number counted from 1, or `ALL`.

    Args:
        model: the network.
        layer: what is asked for.
        field: for messages, such as "--layer".

    Raises:
        ValueError: there is no such layer; lists all.
    """
    names = tuple(layer_widths(model))
    if layer == ALL:
        return names
    if layer in names:
        return (str(layer),)
    if str(layer).isdecimal() and 1 <= int(layer) <= len(names):
        return (names[int(layer) - 1],)
    listed = ", ".join(f"{number} {name}" for number, name in enumerate(names, start=1))
    raise ValueError(
        f"{field} is {layer!r}; {model.name} has {listed}: give a name or a number, or {ALL!r}"
    )


def _run(
    model: Model, variables: Mapping[str, Any], x: jax.Array
) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    """Outputs of a network, and the vectors of its layers."""
    calls: dict[str, tuple[type, Any]] = {}

    def call(function, args, kwargs, context):
        output = function(*args, **kwargs)
        path = context.module.path
        if len(path) == 1 and context.method_name == "__call__":
            calls.pop(path[0], None)  # of several calls the last one counts, at its place
            whole = isinstance(output, Mapping)  # a network within another one
            calls[path[0]] = (type(context.module), output[EMBEDDING] if whole else output)
        return output

    module = model.module
    if hasattr(module, "remat"):  # inside of which nothing can be seen
        module = module.clone(remat="none")
    with nn.intercept_methods(call):
        outputs = module.apply(variables, x, train=False)
    head = architecture(model.name).head
    parts = {
        name: (kind, output)
        for name, (kind, output) in calls.items()
        if name != head and name in variables["params"] and len(getattr(output, "shape", ())) > 1
    }
    blocks = {
        name: output
        for name, (kind, output) in parts.items()
        if not kind.__module__.startswith("flax.")
    }
    # A network from outside may have written all its layers out.
    blocks = blocks or {name: output for name, (_, output) in parts.items()}
    found = {
        name: output.mean(axis=tuple(range(1, output.ndim - 1))) for name, output in blocks.items()
    }
    return outputs, found | {EMBEDDING: outputs["embedding"]}
