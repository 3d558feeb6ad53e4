"""How large a network is, and how much it has to compute for a minute of music."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import jax

from mclf_jax.models import Model


def measure(model: Model) -> dict[str, float]:
    """What a network costs, without compiling it.

    Args:
        model: whose `window_samples` are one input.

    Returns:
        "parameters", a count; and "gflop_per_minute", 1e9 floating-point operations for a minute
        of audio cut into windows without overlap: two for each multiplication of matrix products
        and convolutions in evaluation mode. Features are left out, as in published figures.
    """
    variables = jax.eval_shape(model.init, jax.random.key(0))
    x = jax.ShapeDtypeStruct((1, *model.input_shape), "float32")
    traced = jax.make_jaxpr(lambda v, x: model.module.apply(v, x, train=False))(variables, x)
    return {
        "parameters": sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"])),
        "gflop_per_minute": count_flops(traced.jaxpr) * 60 / model.window_s / 1e9,
    }


def count_flops(jaxpr: Any) -> float:
    """Of the matrix products and convolutions of a jaxpr, those within loops every time.

    A `while_loop` counts once, since nobody knows how often it runs, and of a `cond` the longest
    branch.
    """
    return sum(_flops(equation) for equation in jaxpr.eqns)


def _flops(equation: Any) -> float:
    name, params = equation.primitive.name, equation.params
    if name in ("dot_general", "conv_general_dilated"):
        result = math.prod(equation.outvars[0].aval.shape)
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        shape = equation.invars[0].aval.shape
        return 2.0 * result * math.prod(shape[axis] for axis in contracted)
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        outputs = kernel[params["dimension_numbers"].rhs_spec[0]]
        return 2.0 * result * math.prod(kernel) / outputs
    inner = [count_flops(jaxpr) for jaxpr in _within(params)]
    if name == "cond":
        return max(inner)
    return sum(inner) * (params["length"] if name == "scan" else 1)


def _within(params: Mapping[str, Any]) -> Iterator[Any]:
    """The jaxprs that an equation calls."""
    for value in params.values():
        for one in value if isinstance(value, tuple | list) else (value,):
            one = getattr(one, "jaxpr", one)
            if hasattr(one, "eqns"):
                yield one
