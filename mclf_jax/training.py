"""What a config trains, put together: objective, optimiser, what is frozen, where it starts."""

import dataclasses
import functools
from typing import Any

import jax

from mclf_jax import config as config_lib
from mclf_jax import experiment, freezing, layer_rates, objectives, optim, step, transfer
from mclf_jax.experiment import Experiment
from mclf_jax.freezing import Freezing
from mclf_jax.models import Model
from mclf_jax.objectives import Objective
from mclf_jax.optim import Optimizer
from mclf_jax.step import TrainState, TrainStep, init_state, random_key

PyTree = Any


@dataclasses.dataclass(frozen=True)
class Training:
    """The parts of a run, of which nothing has been computed yet.

    Attributes:
        parts: data set and network.
        objective: of the network.
        optimizer: its update rules.
        frozen: what of the network trains in which stage.
        evaluation_steps: after which to evaluate; the last one ends the run.
        phase_steps: after which the phases of `optim.phases` start.
    """

    parts: Experiment
    objective: Objective
    optimizer: Optimizer
    frozen: Freezing
    evaluation_steps: list[int]
    phase_steps: list[int]

    @property
    def total_steps(self) -> int:
        return self.evaluation_steps[-1]

    def initial_state(self, variables: PyTree | None = None) -> TrainState:
        """A fresh state, to be jitted; of given variables of the network, if any."""
        config, objective = self.parts.config, self.objective
        if variables is not None:
            objective = _objective(self.parts, transfer.starting_from(self.parts.model, variables))
        key = random_key(config.seed, "init")
        return init_state(
            key, objective=objective, optimizer=self.optimizer, ema_decay=config.optim.ema_decay
        )

    def pretrained(self) -> transfer.Loaded | None:
        """What `init.path` gives to start from; None if it is empty."""
        config, info = self.parts.config, self.parts.source.info
        if not config.init.path:
            return None

        @jax.jit
        def fresh_variables():
            initial = self.objective.init(random_key(config.seed, "init"))
            return {"params": initial["params"]["model"], **initial["state"]["model"]}

        return transfer.initialise(
            fresh_variables(),
            config.init.path,
            model=self.parts.model,
            task=info.task,
            labels=info.labels,
            renames=config.init.rename,
            other_features=config.init.other_features,
        )

    def steps(self) -> list[TrainStep]:
        """A training step for each stage of `frozen`, to be jitted."""
        config = self.parts.config
        made = []
        for stage in range(len(self.frozen.stages)):
            objective = self.objective
            if self.frozen.first_steps:
                model = self.frozen.apply(self.parts.model, stage=stage)
                objective = _objective(self.parts, model)
            made.append(
                step.make_train_step(
                    objective=objective,
                    optimizer=self.optimizer,
                    seed=config.seed,
                    ema_decay=config.optim.ema_decay,
                )
            )
        return made


def build(config: config_lib.ConfigDict) -> Training:
    """Open the data set of a config, build its network, and what trains it.

    Raises:
        ValueError: something in the config does not fit the rest of it.
    """
    parts = experiment.build(config)
    model, num_examples = parts.model, len(parts.train_indices)
    evaluation_steps = config_lib.evaluation_steps(config, num_examples=num_examples)
    phase_steps = config_lib.phase_steps(config, num_examples=num_examples)
    frozen, factors = Freezing({}, {}), {}
    if config.init.freeze or config.init.unfreeze:
        unfreeze = config_lib.unfreeze_steps(config, num_examples=num_examples)
        frozen = freezing.plan(model, freeze=config.init.freeze, unfreeze=unfreeze)
    if config.optim.layer_decay != 1 or config.optim.rates:
        factors = layer_rates.factors(
            model, layer_decay=config.optim.layer_decay, rates=config.optim.rates
        )
    optimizer = optim.build(
        config.optim,
        total_steps=evaluation_steps[-1],
        phase_steps=phase_steps,
        first_steps=frozen.first_steps,
        factors=factors,
    )
    return Training(
        parts=parts,
        objective=_objective(parts, model),
        optimizer=optimizer,
        frozen=frozen,
        evaluation_steps=evaluation_steps,
        phase_steps=phase_steps,
    )


def _objective(parts: Experiment, model: Model) -> Objective:
    steps = config_lib.evaluation_steps(parts.config, num_examples=len(parts.train_indices))
    return objectives.build(
        model,
        parts.config,
        task=parts.source.info.task,
        labels=functools.partial(parts.labels, "train"),
        total_steps=steps[-1],
    )
