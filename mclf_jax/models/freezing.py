"""Which parts of a network train, from the start, later or never."""

import bisect
import dataclasses
import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence

from mclf_jax.models import Model
from mclf_jax.models.names import name_of, select, variables_in_call_order

NEVER = sys.maxsize
"""The first step of what never trains."""


@dataclasses.dataclass(frozen=True)
class Freezing:
    """From which step on the variables of a network train.

    A stage is a stretch of steps in which the same variables train. What is frozen in it is a
    constant of the compiled step, so every stage has one of its own: what lies before the first
    layer that trains needs no backward pass.

    Attributes:
        first_steps: name -> steps taken before the variable starts to train, or `NEVER`; without
            those that train from the start.
        num_parameters: by first step.
    """

    first_steps: Mapping[str, int]
    num_parameters: Mapping[int, int]

    @property
    def stages(self) -> tuple[int, ...]:
        """Steps taken before each stage, rising from 0."""
        return tuple(sorted({0, *self.first_steps.values()} - {NEVER}))

    def stage(self, step: int) -> int:
        """The number of the stage to which the next step belongs, after `step` steps."""
        return bisect.bisect_right(self.stages, step) - 1

    def apply(self, model: Model, *, stage: int) -> Model:
        """The network whose `apply_train` leaves alone what is frozen in a stage."""
        start = self.stages[stage]
        frozen = frozenset(name for name, first in self.first_steps.items() if first > start)
        return dataclasses.replace(model, frozen=frozen)

    def text(self) -> str:
        """One line for people: how many parameters train from when on."""
        total = sum(self.num_parameters.values())
        parts = [f"{self.num_parameters[0]:,} of {total:,} parameters train from the start"]
        for first, count in sorted(self.num_parameters.items())[1:]:
            parts.append(f"{count:,} " + ("never" if first == NEVER else f"after step {first}"))
        return ", ".join(parts)


def plan(
    model: Model, *, freeze: Sequence[str] = (), unfreeze: Sequence[tuple[int, str]] = ()
) -> Freezing:
    """What freezing by pattern means for a network.

    Statistics are variables as parameters are: "layer1" freezes both, and those of a module whose
    parameters are all frozen are frozen in any case. What an objective trains beside the model is
    never frozen.

    Args:
        model: the network.
        freeze: patterns, see `models.names`; ("*", "!{head}") leaves the last layer to train.
        unfreeze: (steps taken, pattern): what is frozen and is meant by the pattern trains from
            there on; from the earliest, where several mean it.

    Raises:
        ValueError: a pattern means nothing, nothing would train at the start, or something is to
            be unfrozen that is not frozen.
    """
    variables = variables_in_call_order(model)
    names = {path: name_of(path[1:]) for path in variables}
    first_steps = dict.fromkeys(
        select(names.values(), freeze, model=model, field="init.freeze"), NEVER
    )
    for number, (step, pattern) in enumerate(unfreeze):
        field = f"init.unfreeze[{number}]"
        if step < 1:
            raise ValueError(f"{field} starts after {step} steps; it must be at least 1")
        found = select(names.values(), [pattern], model=model, field=field)
        if not found & first_steps.keys():
            raise ValueError(f"{field} has {pattern!r}, of which init.freeze freezes nothing")
        for name in found & first_steps.keys():
            first_steps[name] = min(first_steps[name], step)

    # Statistics go with the parameters that they stand beside, as long as all of those are frozen.
    beside: dict[tuple[str, ...], int] = {}
    for path in variables:
        if path[0] == "params":
            first = first_steps.get(names[path], 0)
            beside[path[1:-1]] = min(beside.get(path[1:-1], NEVER), first)
    for path in variables:
        if path[0] != "params" and beside.get(path[1:-1], 0):
            first_steps[names[path]] = max(first_steps.get(names[path], 0), beside[path[1:-1]])

    num_parameters = Counter({0: 0})
    for path, leaf in variables.items():
        if path[0] == "params":
            num_parameters[first_steps.get(names[path], 0)] += math.prod(leaf.shape)
    if not num_parameters[0]:
        raise ValueError(
            f"init.freeze is {tuple(freeze)}: nothing of {model.name} would train at the start; "
            "leave something out, as in ('*', '!{head}')"
        )
    return Freezing(first_steps, num_parameters)
