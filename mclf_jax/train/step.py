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
    accumulate: int = 1,
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
        accumulate: parts of a batch that are gone through one after another, whose gradients are
            added up. They are those of the whole batch if the loss of a song is of that song alone
            (`Traits.by_song`) and nothing is drawn; batch norm has the statistics of a part.
    """
    leaves = jax.tree.leaves(shardings)
    is_split = not all(sharding.is_fully_replicated for sharding in leaves)

    def mean_loss(params, model_state, batch, weight, key):
        if is_split:
            params = parallel.gather(params, shardings.params)
            model_state = parallel.gather(model_state, shardings.model_state)
        # Scopes are what `mclf inspect --topology` knows the parts of a program by.
        with jax.named_scope("objective"):
            loss = objective.loss(params, model_state, batch, key)
            return (loss.per_example * weight).sum(), loss

    if is_split:
        mean_loss = jax.checkpoint(mean_loss, policy=parallel.WITHOUT_GATHERED)

    def differentiate(params, model_state, batch, weight, key):
        gradient = jax.value_and_grad(mean_loss, has_aux=True)
        (value, loss), grads = gradient(params, model_state, batch, weight, key)
        metrics = {name: (values * weight).sum() for name, values in loss.metrics.items()}
        return {"grads": grads, "loss": value, "metrics": metrics}, loss.state

    def differentiate_by_parts(params, model_state, batch, weight, key):
        def add(carry, part):
            sums, model_state = carry
            found, model_state = differentiate(params, model_state, *part)
            return (jax.tree.map(jnp.add, sums, found), model_state), None

        # Part n has every so many rows, the n-th first: so each device goes on with its own.
        rows = jax.tree.map(
            lambda x: x.reshape(-1, accumulate, *x.shape[1:]).swapaxes(0, 1), (batch, weight)
        )
        parts = (*rows, jax.random.split(key, accumulate))
        first = jax.tree.map(lambda x: x[0], parts)
        found, _ = jax.eval_shape(differentiate, params, model_state, *first)
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), found)
        return jax.lax.scan(add, (zeros, model_state), parts)[0]

    def train_step(state, batch):
        key = jax.random.fold_in(keys.stream(seed, "step"), state.step)
        weight = batch["valid"] / jnp.maximum(batch["valid"].sum(), 1.0)
        of_batch = differentiate if accumulate == 1 else differentiate_by_parts
        found, model_state = of_batch(state.params, state.model_state, batch, weight, key)
        grads = found["grads"]
        ema = state.ema
        with jax.named_scope("optimizer"):
            updates, opt_state = optimizer.transform.update(grads, state.opt_state, state.params)
            params = optax.apply_updates(state.params, updates)
            if ema_decay:
                new = _of_model(params, model_state)
                ema = update_ema(ema, new, decay=ema_decay, step=state.step)
        metrics = {
            "loss": found["loss"],
            "grad_norm": optax.tree.norm(grads),
            "learning_rate": jnp.asarray(optimizer.schedule(state.step), jnp.float32),
            **found["metrics"],
        }
        return TrainState(state.step + 1, params, model_state, opt_state, ema), metrics

    return train_step


def _of_model(params: PyTree, state: PyTree) -> PyTree:
    """What an average is of: heads and queues beside the model are for training alone."""
    return {"params": {"model": params["model"]}, "model_state": {"model": state["model"]}}
