"""What a training step changes, and all that a checkpoint must hold."""

from collections.abc import Mapping
from typing import Any

import flax.struct
import jax

PyTree = Any


class TrainState(flax.struct.PyTreeNode):
    """Everything that a step changes, and all that a checkpoint must hold.

    Attributes:
        step: int32 [], how many steps were taken; also the position in the data and what
            every random key is derived from.
        params: trained arrays, the model's under "model".
        model_state: arrays that change without being trained, laid out like `params`.
        opt_state: of optax.
        ema: moving average of the model's part of {"params", "model_state"}, or {} when it is off.
    """

    step: jax.Array
    params: PyTree
    model_state: PyTree
    opt_state: PyTree
    ema: PyTree

    def variables(self) -> PyTree:
        """What evaluation uses, as variables of the model's module."""
        return variables_of(vars(self))

    def with_variables(self, variables: PyTree) -> "TrainState":
        """The same with other `variables()` of the model; for states without an average."""
        model_state = {name: tree for name, tree in variables.items() if name != "params"}
        return self.replace(
            params={**self.params, "model": variables["params"]},
            model_state={**self.model_state, "model": model_state},
        )


def variables_of(state: Mapping[str, PyTree]) -> PyTree:
    """`TrainState.variables` of the fields of a state, or of those that `part_with` names."""
    source = state.get("ema") or state
    return {"params": source["params"]["model"], **source["model_state"]["model"]}


def part_with(variables: PyTree, *, averaged: bool) -> dict[str, PyTree]:
    """The part of a state that `variables_of` takes, with such variables in it.

    Args:
        variables: of the model.
        averaged: whether the state has a moving average.
    """
    model_state = {name: tree for name, tree in variables.items() if name != "params"}
    part = {"params": {"model": variables["params"]}, "model_state": {"model": model_state}}
    return {"ema": part} if averaged else part
