"""One training step and one evaluation step: pure functions, jitted once, over any mesh."""

import zlib
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from mclf_jax.models import Model
from mclf_jax.objectives.objective import Objective
from mclf_jax.objectives.supervised import task_loss, task_scores
from mclf_jax.optim import Optimizer, update_ema

PyTree = Any
TrainStep = Callable[
    ["TrainState", dict[str, jax.Array]], tuple["TrainState", dict[str, jax.Array]]
]


@flax.struct.dataclass
class TrainState:
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
        source = self.ema or {"params": self.params, "model_state": self.model_state}
        return {"params": source["params"]["model"], **source["model_state"]["model"]}

    def with_variables(self, variables: PyTree) -> "TrainState":
        """The same with other `variables()` of the model; for states without an average."""
        model_state = {name: tree for name, tree in variables.items() if name != "params"}
        return self.replace(
            params={**self.params, "model": variables["params"]},
            model_state={**self.model_state, "model": model_state},
        )


def init_state(key: jax.Array, *, objective: Objective, optimizer: Optimizer, ema_decay: float):
    """A fresh `TrainState`; jit it with `out_shardings` to create it where it belongs."""
    initial = objective.init(key)
    params, state = initial["params"], initial["state"]
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        model_state=state,
        opt_state=optimizer.transform.init(params),
        # Copies, because the step donates its state and a buffer can be donated only once.
        ema=jax.tree.map(jnp.copy, _of_model(params, state)) if ema_decay else {},
    )


def make_train_step(
    *, objective: Objective, optimizer: Optimizer, seed: int, ema_decay: float = 0.0
) -> TrainStep:
    """(state, batch) -> (state, metrics), to be jitted.

    In the global view: sums run over the whole batch however it is split over devices, so
    batch statistics, contrastive terms and gradients need no explicit communication. The loss is
    the mean over the valid rows; one of which no label is observed counts with its loss of 0, so
    that every other song has the same weight in whatever batch it comes.
    """

    def train_step(state, batch):
        key = jax.random.fold_in(random_key(seed, "step"), state.step)
        weight = batch["valid"] / jnp.maximum(batch["valid"].sum(), 1.0)

        def mean_loss(params):
            loss = objective.loss(params, state.model_state, batch, key)
            return (loss.per_example * weight).sum(), loss

        (value, loss), grads = jax.value_and_grad(mean_loss, has_aux=True)(state.params)
        updates, opt_state = optimizer.transform.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        ema = state.ema
        if ema_decay:
            new = _of_model(params, loss.state)
            ema = update_ema(ema, new, decay=ema_decay, step=state.step)
        metrics = {
            "loss": value,
            "grad_norm": optax.tree.norm(grads),
            "learning_rate": jnp.asarray(optimizer.schedule(state.step), jnp.float32),
            **{name: (values * weight).sum() for name, values in loss.metrics.items()},
        }
        return TrainState(state.step + 1, params, loss.state, opt_state, ema), metrics

    return train_step


def _of_model(params: PyTree, state: PyTree) -> PyTree:
    """What an average is of: heads and queues beside the model are for training alone."""
    return {"params": {"model": params["model"]}, "model_state": {"model": state["model"]}}


def make_objective_step(
    objective: Objective, *, seed: int
) -> Callable[[PyTree, PyTree, dict[str, jax.Array], jax.Array], dict[str, jax.Array]]:
    """(params, model_state, batch, number of the batch) -> sums over valid rows, to be jitted.

    For objectives that judge themselves: "loss" and their metrics, and "count" of rows.
    """

    def objective_step(params, model_state, batch, number):
        key = jax.random.fold_in(random_key(seed, "valid"), number)
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


def random_key(seed: int, purpose: str) -> jax.Array:
    """The root of all randomness of one kind; nothing random is stored or passed along."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(purpose.encode()))
