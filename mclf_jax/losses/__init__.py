"""Losses: arrays in, one value per example out; reductions happen in one place, the step.

A label that nobody looked for is NaN in the labels of tags and numbers. It is neither right nor
wrong to predict it: a loss is the mean over the observed labels of each example, and nothing
flows back from the others. An example without any has loss 0.
"""

import jax
import jax.numpy as jnp
import optax

from mclf_jax.losses.consistency import (
    distillation,
    prediction_distance,
    prediction_entropy,
    pseudo_label_cross_entropy,
)
from mclf_jax.losses.contrastive import byol_regression, info_nce, nt_xent
from mclf_jax.losses.sampled import cosine_distance, sampled_softmax_cross_entropy

__all__ = [
    "byol_regression",
    "cosine_distance",
    "distillation",
    "info_nce",
    "nt_xent",
    "prediction_distance",
    "prediction_entropy",
    "pseudo_label_cross_entropy",
    "sampled_softmax_cross_entropy",
    "sigmoid_cross_entropy",
    "skeptical_cross_entropy",
    "softmax_cross_entropy",
    "squared_error",
]


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
    """Binary cross-entropy of independent tags, the mean over the observed labels.

    Args:
        logits: [B, K].
        labels: float [B, K] in [0, 1], NaN where not observed.
        pos_weight: [K] or a number; what a positive counts against a negative
            (`pos_weight` of PyTorch's BCEWithLogitsLoss).

    Returns:
        [B], in nats.
    """
    observed = ~jnp.isnan(labels)
    logits, labels = jnp.where(observed, logits, 0), jnp.where(observed, labels, 0)
    positive = labels * jax.nn.log_sigmoid(logits)
    negative = (1 - labels) * jax.nn.log_sigmoid(-logits)
    return -_mean(pos_weight * positive + negative, observed)


def skeptical_cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    teacher_probabilities: jax.Array,
    *,
    threshold: float,
    pos_weight: jax.Array | float = 1.0,
) -> jax.Array:
    """`sigmoid_cross_entropy` that does not believe that a tag is absent if a teacher hears it.

    People tag what strikes them and leave out the rest, so a 0 often means that nobody said so.
    Where the label is 0 and the teacher's probability at least `threshold`, it is treated as not
    observed. The code published with the music tagging transformer (Won et al. 2021) calls a
    function of such a name and does not define it; this is what we mean by it.

    Args:
        logits: [B, K].
        labels: float [B, K] in [0, 1], NaN where not observed.
        teacher_probabilities: [B, K].
        threshold: above 1 it is `sigmoid_cross_entropy`.
        pos_weight: [K] or a number.

    Returns:
        [B], in nats.
    """
    doubted = (labels == 0) & (teacher_probabilities >= threshold)
    labels = jnp.where(doubted, jnp.nan, labels)
    return sigmoid_cross_entropy(logits, labels, pos_weight=pos_weight)


def squared_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean squared error over the observed outputs, [B, K] and [B, K] -> [B].

    `targets` are NaN where not observed.
    """
    observed = ~jnp.isnan(targets)
    # Before the arithmetic and not after it: the gradient of what is left out afterwards is
    # 0 * NaN, which is NaN.
    predictions, targets = jnp.where(observed, predictions, 0), jnp.where(observed, targets, 0)
    return _mean(jnp.square(predictions - targets), observed)


def _mean(values: jax.Array, observed: jax.Array) -> jax.Array:
    """Mean [B] of the observed values of [B, K], 0 where there is none."""
    count = jnp.maximum(observed.sum(axis=-1), 1).astype(values.dtype)
    # The factor is exactly 1 where all are observed: the same bits as of a plain mean.
    return jnp.where(observed, values, 0).mean(axis=-1) * (values.shape[-1] / count)
