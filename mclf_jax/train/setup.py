"""What a config trains, put together: objective, optimiser, what is frozen, where it starts."""

import dataclasses
import functools
from typing import Any

import grain
import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mclf_jax import config as config_lib
from mclf_jax import objectives
from mclf_jax.common import keys, parallel
from mclf_jax.data import pipeline
from mclf_jax.data.base.source import Source
from mclf_jax.evaluation.teacher import open_encoder, open_teacher
from mclf_jax.models import Model, freezing, layer_rates
from mclf_jax.models.freezing import Freezing
from mclf_jax.objectives import Objective
from mclf_jax.objectives.context import Context, context_of
from mclf_jax.run import experiment
from mclf_jax.run.experiment import Experiment
from mclf_jax.run.state import TrainState
from mclf_jax.shallow.opinion import check_frozen, has_opinion
from mclf_jax.train import optim, step, transfer, unlabelled
from mclf_jax.train.optim import Optimizer
from mclf_jax.train.step import TrainStep, init_state
from mclf_jax.train.unlabelled import Unlabelled

PyTree = Any


@dataclasses.dataclass(frozen=True)
class Training:
    """The parts of a run, of which nothing has been computed yet.

    Attributes:
        parts: data set and network.
        unlabelled: songs of semi-supervised learning, None elsewhere.
        context: what the objective is made of.
        objective: of the network.
        optimizer: its update rules.
        frozen: what of the network trains in which stage.
        evaluation_steps: after which to evaluate; the last one ends the run.
        phase_steps: after which the phases of `optim.phases` start.
    """

    parts: Experiment
    unlabelled: Unlabelled | None
    context: Context
    objective: Objective
    optimizer: Optimizer
    frozen: Freezing
    evaluation_steps: list[int]
    phase_steps: list[int]

    @property
    def total_steps(self) -> int:
        return self.evaluation_steps[-1]

    @property
    def sources(self) -> list[Source]:
        """Where the songs come from."""
        return [self.parts.source, *([self.unlabelled.source] if self.unlabelled else [])]

    def batches(self, *, process_index: int = 0, process_count: int = 1) -> grain.MapDataset:
        """The endless dataset of training, of which element `step` is the batch of that step."""
        config, parts = self.parts.config, self.parts
        shared = {"inputs": parts.inputs_of(self.objective), "augment": parts.pipeline_augmentation}
        shared |= {"process_index": process_index, "process_count": process_count}
        batches = pipeline.training_batches(
            parts.source,
            parts.train_indices,
            batch_size=config.train.batch_size,
            seed=config.seed,
            weights=parts.train_weights,
            **shared,
        )
        if self.unlabelled is None:
            return batches
        return pipeline.with_unlabelled(
            batches,
            pipeline.training_batches(
                self.unlabelled.source,
                self.unlabelled.indices,
                batch_size=config.train.batch_size * config.unlabelled.ratio,
                # Of its own, or songs of the same number would come in the same order.
                seed=keys.number(config.seed, "unlabelled"),
                **shared,
            ),
        )

    def take_failed(self, batch: dict[str, Any]) -> list[str]:
        """Names of the songs whose place others took in a batch, of which "failed" is popped."""
        failed = [(self.parts.source, batch.pop("failed"))]
        if self.unlabelled is not None:
            failed += [(self.unlabelled.source, batch["unlabelled"].pop("failed"))]
        return [source.item_id(int(i)) for source, rows in failed for i in rows if i >= 0]

    def initial_state(self, variables: PyTree | None = None) -> TrainState:
        """A fresh state, to be jitted; of given variables of the network, if any."""
        config, objective = self.parts.config, self.objective
        if variables is not None:
            objective = self._objective_of(transfer.starting_from(self.parts.model, variables))
        key = keys.stream(config.seed, "init")
        return init_state(
            key, objective=objective, optimizer=self.optimizer, ema_decay=config.optim.ema_decay
        )

    def steps(self, *, shardings: TrainState | None = None) -> list[TrainStep]:
        """A training step for each stage of `frozen`, to be jitted.

        Args:
            shardings: of the state, where something of it is split over devices.
        """
        config = self.parts.config
        made = []
        for stage in range(len(self.frozen.stages)):
            objective = self.objective
            if self.frozen.first_steps:
                model = self.frozen.apply(self.parts.model, stage=stage)
                objective = self._objective_of(model)
            made.append(
                step.make_train_step(
                    objective=objective,
                    optimizer=self.optimizer,
                    seed=config.seed,
                    ema_decay=config.optim.ema_decay,
                    shardings=shardings,
                    accumulate=config.train.accumulate,
                )
            )
        return made

    def without_remat(self) -> "Training":
        """The same without `model.remat`, to see what has to be computed once."""
        module = self.parts.model.module
        if getattr(module, "remat", "none") == "none":
            return self
        model = dataclasses.replace(self.parts.model, module=module.clone(remat="none"))
        return dataclasses.replace(
            self,
            parts=dataclasses.replace(self.parts, model=model),
            context=dataclasses.replace(self.context, model=model),
            objective=self._objective_of(model),
        )

    def _objective_of(self, model: Model) -> Objective:
        """The same of a network that starts otherwise, or of which something is frozen."""
        return objectives.build(dataclasses.replace(self.context, model=model), self.parts.config)


def check_batch_size(config: ConfigDict, mesh: Mesh, **words: str) -> None:
    """Raise a ValueError if a part of a batch does not divide over the mesh."""
    field, size, parts = "train.batch_size", config.train.batch_size, config.train.accumulate
    if parts > 1:
        field, size = f"{field} / train.accumulate", size // parts
    parallel.check_batch_size(size, mesh, field=field, **words)


def build(config: ConfigDict) -> Training:
    """Open the data set of a config, build its network, and what trains it.

    Raises:
        ValueError: something in the config does not fit the rest of it.
    """
    parts = experiment.build(config)
    model, num_examples = parts.model, len(parts.train_indices)
    evaluation_steps = config_lib.evaluation_steps(config, num_examples=num_examples)
    phase_steps = config_lib.phase_steps(config, num_examples=num_examples)
    info, teacher, encoder = parts.source.info, None, None
    traits, run = objectives.traits(config.objective.name), config.objective.args.get("teacher", "")
    if traits.may_take_teacher and run:
        encoder = open_encoder(run)
    if traits.needs_teacher:
        teacher = open_teacher(
            run,
            task=info.task,
            label_names=info.labels,
            unit=info.unit,
        )
    context = context_of(
        model,
        config,
        chains=parts.chains,
        task=info.task,
        label_names=info.labels,
        parents=info.parents,
        targets=functools.partial(parts.targets, "train"),
        total_steps=evaluation_steps[-1],
        teacher=teacher or encoder,
    )
    objective = objectives.build(context, config)
    frozen, factors, head_factors = Freezing({}, {}), {}, {}
    if config.init.freeze or config.init.unfreeze:
        unfreeze = config_lib.unfreeze_steps(config, num_examples=num_examples)
        frozen = freezing.plan(model, freeze=config.init.freeze, unfreeze=unfreeze)
    if has_opinion(parts, objective):
        check_frozen(model, frozen)
    if config.optim.layer_decay != 1 or config.optim.rates:
        factors = layer_rates.factors(
            model, layer_decay=config.optim.layer_decay, rates=config.optim.rates
        )
    if config.optim.head_rates:
        params = jax.eval_shape(objective.init, jax.random.key(0))["params"]
        head_factors = layer_rates.head_factors(params, config.optim.head_rates)
    optimizer = optim.build(
        optim.scaled_for_batch(config.optim, batch_size=config.train.batch_size),
        total_steps=evaluation_steps[-1],
        phase_steps=phase_steps,
        first_steps=frozen.first_steps,
        factors=factors,
        head_factors=head_factors,
    )
    return Training(
        parts=parts,
        unlabelled=unlabelled.build(parts, teacher=teacher),
        context=context,
        objective=objective,
        optimizer=optimizer,
        frozen=frozen,
        evaluation_steps=evaluation_steps,
        phase_steps=phase_steps,
    )
