"""The optimiser that a config asks for: schedule, clipping, weight decay, update rule."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

# name -> (update rule, how weight decay enters). "coupled" adds decay * weight to the gradient
# (PyTorch's weight_decay for Adam and SGD); "decoupled" to the update (Loshchilov & Hutter 2019).
OPTIMIZERS = {
    "adam": (optax.scale_by_adam, "coupled"),
    "adamw": (optax.scale_by_adam, "decoupled"),
    "lion": (optax.scale_by_lion, "decoupled"),
    "sgd": (lambda: optax.trace(decay=0.9, nesterov=True), "coupled"),
}


class Optimizer(NamedTuple):
    """An optax transformation, and its learning rate by step for the logs."""

    transform: optax.GradientTransformation
    schedule: optax.Schedule


def build(config: ConfigDict, *, total_steps: int) -> Optimizer:
    """The optimiser of the `optim` section of a config, for a run of `total_steps`.

    Raises:
        ValueError: an unknown name, or a warm-up longer than the run.
    """
    if config.name not in OPTIMIZERS:
        raise ValueError(f"optim.name is {config.name!r}; allowed: {', '.join(OPTIMIZERS)}")
    rule, decay_kind = OPTIMIZERS[config.name]
    learning_rate = schedule(config, total_steps=total_steps)
    decay = optax.add_decayed_weights(
        config.weight_decay, mask=kernels_only if config.decay_mask == "kernels" else None
    )
    chain = []
    if config.grad_clip_norm > 0:
        chain.append(optax.clip_by_global_norm(config.grad_clip_norm))
    if config.weight_decay and decay_kind == "coupled":
        chain.append(decay)
    chain.append(rule())
    if config.weight_decay and decay_kind == "decoupled":
        chain.append(decay)
    chain.append(optax.scale_by_learning_rate(learning_rate))
    return Optimizer(optax.chain(*chain), learning_rate)


def schedule(config: ConfigDict, *, total_steps: int) -> optax.Schedule:
    """Learning rate by step: linear warm-up, then constant, or down to zero at `total_steps`."""
    warmup, peak = config.warmup_steps, config.learning_rate
    if warmup >= total_steps:
        raise ValueError(
            f"optim.warmup_steps is {warmup}; it must be less than the {total_steps} steps "
            "of the run (train.num_steps, train.num_epochs)"
        )
    main = {
        "constant": lambda: optax.constant_schedule(peak),
        "cosine": lambda: optax.cosine_decay_schedule(peak, total_steps - warmup),
        "linear": lambda: optax.linear_schedule(peak, 0.0, total_steps - warmup),
    }[config.schedule]()
    if not warmup:
        return main
    # From peak / warmup, so that the first step already learns.
    ramp = optax.linear_schedule(peak / warmup, peak, warmup - 1)
    return optax.join_schedules([ramp, main], [warmup])


def kernels_only(params: Any) -> Any:
    """True for matrices and convolution kernels, False for biases and normalisation."""
    return jax.tree.map(lambda p: jnp.ndim(p) > 1, params)


def update_ema(average: Any, new: Any, *, decay: float, step: jax.Array) -> Any:
    """Exponential moving average whose decay grows from 0, so that it forgets the start.

    decay_t = min(decay, (1 + t) / (10 + t)), as in TensorFlow's ExponentialMovingAverage.
    """
    decay = jnp.minimum(decay, (1.0 + step) / (10.0 + step))
    return jax.tree.map(lambda a, n: a + (1.0 - decay) * (n - a), average, new)
