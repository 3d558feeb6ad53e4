"""One training step: a pure function, jitted once, over any mesh."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from mclf_jax.common import keys, parallel
from mclf_jax.objectives.base import Objective
from mclf_jax.run.state import TrainState
from mclf_jax.train.optim import Optimizer, update_ema

PyTree = Any
TrainStep = Callable[[TrainState, dict[str, jax.Array]], tuple[TrainState, dict[str, jax.Array]]]


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
    *,
    objective: Objective,
    optimizer: Optimizer,
    seed: int,
    ema_decay: float = 0.0,
    shardings: TrainState | None = None,
) -> TrainStep:
    """(state, batch) -> (state, metrics), to be jitted.

    In the global view: sums run over the whole batch however it is split over devices, so
    batch statistics, contrastive terms and gradients need no explicit communication. The loss is
    the mean over the valid rows; one of which no label is observed counts with its loss of 0, so
    that every other song has the same weight in whatever batch it comes.

    Args:
        objective, optimizer, seed, ema_decay: of the run.
        shardings: of the state. What it splits over the devices is gathered for the loss, and
            split again in the gradients, so that the batch is what the work is split by.
    """
    leaves = jax.tree.leaves(shardings)
    is_split = not all(sharding.is_fully_replicated for sharding in leaves)

    def train_step(state, batch):
        key = jax.random.fold_in(keys.stream(seed, "step"), state.step)
        weight = batch["valid"] / jnp.maximum(batch["valid"].sum(), 1.0)

        def mean_loss(params, model_state):
            if is_split:
                params = parallel.gather(params, shardings.params)
                model_state = parallel.gather(model_state, shardings.model_state)
            # Scopes are what `mclf inspect --topology` knows the parts of a program by.
            with jax.named_scope("objective"):
                loss = objective.loss(params, model_state, batch, key)
                return (loss.per_example * weight).sum(), loss

        if is_split:
            mean_loss = jax.checkpoint(mean_loss, policy=parallel.WITHOUT_GATHERED)
        gradient = jax.value_and_grad(mean_loss, has_aux=True)
        (value, loss), grads = gradient(state.params, state.model_state)
        ema = state.ema
        with jax.named_scope("optimizer"):
            updates, opt_state = optimizer.transform.update(grads, state.opt_state, state.params)
            params = optax.apply_updates(state.params, updates)
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
