"""Losses: arrays in, one value per example out; reductions happen in one place, the step."""

import jax
import jax.numpy as jnp
import optax


def softmax_cross_entropy(
    logits: jax.Array, labels: jax.Array, *, label_smoothing: float = 0.0
) -> jax.Array:
    """Cross-entropy of one label among many.

    Args:
        logits: [B, K].
        labels: int [B], or float [B, K] distributions.
        label_smoothing: weight of the uniform distribution in the targets (Szegedy et al. 2016).

    Returns:
        [B], in nats.
    """
    if jnp.issubdtype(labels.dtype, jnp.integer):
        labels = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    return optax.softmax_cross_entropy(logits, optax.smooth_labels(labels, label_smoothing))


def sigmoid_cross_entropy(
    logits: jax.Array, labels: jax.Array, *, pos_weight: jax.Array | float = 1.0
) -> jax.Array:
    """Binary cross-entropy of independent tags, the mean over labels.

    Args:
        logits: [B, K].
        labels: float [B, K] in [0, 1].
        pos_weight: [K] or a number; what a positive counts against a negative
            (`pos_weight` of PyTorch's BCEWithLogitsLoss).

    Returns:
        [B], in nats.
    """
    positive = labels * jax.nn.log_sigmoid(logits)
    negative = (1 - labels) * jax.nn.log_sigmoid(-logits)
    return -(pos_weight * positive + negative).mean(axis=-1)


def squared_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean squared error over the outputs, [B, K] and [B, K] -> [B]."""
    return jnp.square(predictions - targets).mean(axis=-1)
