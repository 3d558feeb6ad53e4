"""What an objective says of itself on songs that it was not trained on: it needs no labels."""

import contextlib
from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh

from mclf_jax.common import keys, parallel
from mclf_jax.data import pipeline
from mclf_jax.objectives.base import Objective
from mclf_jax.run.experiment import Experiment
from mclf_jax.run.state import TrainState

PyTree = Any


def make_judge(
    parts: Experiment, *, objective: Objective, mesh: Mesh
) -> Callable[[str, TrainState], dict[str, float]]:
    """A function (split, state) -> {"loss": ..., ...} that compiles once.

    Every song of the split counts once, at windows that depend on the seed alone.
    """
    config = parts.config
    parallel.check_batch_size(config.eval.batch_size, mesh, field="eval.batch_size")
    step = jax.jit(
        make_objective_step(objective, seed=config.seed), out_shardings=parallel.replicated(mesh)
    )

    def judge(split: str, state: TrainState) -> dict[str, float]:
        if state.ema:  # the encoder that is kept
            state = state.replace(ema={}).with_variables(state.variables())
        batches = pipeline.validation_batches(
            parts.source,
            parts.indices(split),
            inputs=parts.inputs_of(objective),
            batch_size=config.eval.batch_size,
            seed=config.seed,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )
        totals: dict[str, float] = {}
        with contextlib.closing(parts.iterate(batches)) as stream:
            for number, batch in enumerate(stream):
                batch.pop("failed")
                placed = parallel.put_batch(batch, mesh)
                sums = jax.device_get(step(state.params, state.model_state, placed, number))
                totals = {name: totals.get(name, 0.0) + float(sums[name]) for name in sums}
        count = totals.pop("count")
        if not count:
            raise ValueError(f"not one song of the split {split!r} could be read")
        return {name: total / count for name, total in totals.items()}

    return judge


def make_objective_step(
    objective: Objective, *, seed: int
) -> Callable[[PyTree, PyTree, dict[str, jax.Array], jax.Array], dict[str, jax.Array]]:
    """(params, model_state, batch, number of the batch) -> sums over valid rows, to be jitted.

    For objectives that judge themselves: "loss" and their metrics, and "count" of rows.
    """

    def objective_step(params, model_state, batch, number):
        key = jax.random.fold_in(keys.stream(seed, "valid"), number)
        loss, valid = objective.evaluate(params, model_state, batch, key), batch["valid"]
        values = {"loss": loss.per_example, **loss.metrics}
        sums = {name: (per_row * valid).sum() for name, per_row in values.items()}
        return sums | {"count": valid.sum()}

    return objective_step
