"""The jitted steps of evaluation: scores of rows, or what an objective says of itself."""

from collections.abc import Callable
from typing import Any

import jax

from mclf_jax.common import keys
from mclf_jax.models import Model
from mclf_jax.objectives.base import Objective
from mclf_jax.objectives.supervised import task_loss, task_scores

PyTree = Any


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


def make_eval_step(
    model: Model, *, task: str, distance: str = "squared_error"
) -> Callable[[PyTree, dict[str, jax.Array]], dict[str, jax.Array]]:
    """(variables, batch) -> per-row results, to be jitted.

    Returns a function whose result holds "scores" [B, K], "loss" [B], and the batch's "row"
    and "valid" [B], by which windows find their way back to songs on any number of processes.
    """

    def eval_step(variables, batch):
        outputs = model.module.apply(variables, model.inputs(batch), train=False)
        return {
            "scores": task_scores(task, outputs["logits"]),
            "loss": task_loss(task, outputs["logits"], batch["label"], distance=distance),
            "row": batch["row"],
            "valid": batch["valid"],
        }

    return eval_step
