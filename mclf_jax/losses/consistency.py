"""Losses without labels: of predictions alone, or against the predictions of a teacher.

A tag is treated as what it is, a choice of two: whatever holds for a distribution over labels holds
for yes and no of each tag, and the loss of a song is the mean over its tags.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import xlogy

from mclf_jax.common import checks
from mclf_jax.losses.targets import check_task

DISTANCES = ("squared_error", "kl")


def prediction_entropy(logits: jax.Array, *, task: str) -> jax.Array:
    """How undecided a prediction is (Grandvalet and Bengio 2005), [B, K] -> [B], in nats.

    -sum_k p_k log p_k over the labels, or over yes and no of each tag.

    0 for a certain one; at most ln K for "single_label" and ln 2, the mean over the tags, for
    "multi_label".

    >>> prediction_entropy(jnp.zeros((1, 8)), task="multi_label").round(3)
    Array([0.693], dtype=float32)
    """
    log_p = _log_outcomes(logits, task)
    return -(jnp.exp(log_p) * log_p).sum(axis=-1).mean(axis=-1)


def pseudo_label_cross_entropy(
    logits: jax.Array, targets: jax.Array, *, task: str, mask: jax.Array | None = None
) -> jax.Array:
    """Cross-entropy against predicted targets, soft or hard, of which some are left out.

    Args:
        logits: [B, K].
        targets: [B, K], probabilities or 0 and 1.
        task: "single_label" or "multi_label".
        mask: [B], or [B, K] for tags, 1 where the target counts and 0 elsewhere. What is left out
            counts as a loss of 0: the mean is over all, so that few confident targets weigh little
            (Sohn et al. 2020, equation 4).

    Returns:
        [B], in nats: -sum_k target_k log p_k.

    >>> targets, mask = jnp.eye(2), jnp.array([1.0, 0.0])
    >>> pseudo_label_cross_entropy(jnp.zeros((2, 2)), targets, task="single_label", mask=mask)
    Array([0.6931472, 0.       ], dtype=float32)
    """
    return -_mean((_outcomes(targets, task) * _log_outcomes(logits, task)).sum(axis=-1), mask)


def prediction_distance(
    logits: jax.Array,
    targets: jax.Array,
    *,
    task: str,
    distance: str,
    mask: jax.Array | None = None,
) -> jax.Array:
    """How far a prediction is from a target, [B]; 0 if they are the same.

    Args:
        logits: [B, K].
        targets: [B, K], probabilities.
        task: "single_label" or "multi_label".
        distance: "squared_error", the mean over K of the squared difference of the probabilities
            (Laine and Aila 2017; Tarvainen and Valpola 2017); or "kl", the divergence
            KL(target || prediction) in nats (Xie et al. 2020).
        mask: as of `pseudo_label_cross_entropy`.

    Raises:
        ValueError: an argument is not allowed.

    >>> kind = {"task": "multi_label", "distance": "squared_error"}
    >>> prediction_distance(jnp.zeros((1, 2)), jnp.array([[0.5, 1.0]]), **kind)
    Array([0.125], dtype=float32)
    """
    checks.choice("distance", distance, DISTANCES)
    log_p, outcomes = _log_outcomes(logits, task), _outcomes(targets, task)
    if distance == "squared_error":
        # Over yes and no of a tag it is twice the same number.
        return _mean(jnp.square(jnp.exp(log_p) - outcomes).mean(axis=-1), mask)
    return _mean((xlogy(outcomes, outcomes) - outcomes * log_p).sum(axis=-1), mask)


def distillation(
    logits: jax.Array, teacher_logits: jax.Array, *, task: str, temperature: float
) -> jax.Array:
    """T^2 KL(teacher || student) of both at a temperature (Hinton et al. 2015), [B].

    A higher temperature shows how the teacher ranks what it holds unlikely; the factor keeps the
    size of the gradient, which is T (student - teacher) in the logits, and 0 where they agree.

    Args:
        logits: [B, K].
        teacher_logits: [B, K].
        task: "single_label" or "multi_label".
        temperature: T, above 0.

    Returns:
        [B], in nats.

    Raises:
        ValueError: an argument is not allowed.

    >>> distillation(jnp.eye(2), jnp.eye(2), task="single_label", temperature=4.0)
    Array([0., 0.], dtype=float32)
    """
    checks.positive("temperature", temperature)
    student = _log_outcomes(logits / temperature, task)
    teacher = _log_outcomes(teacher_logits / temperature, task)
    divergence = (jnp.exp(teacher) * (teacher - student)).sum(axis=-1)
    return temperature**2 * divergence.mean(axis=-1)


def _log_outcomes(logits: jax.Array, task: str) -> jax.Array:
    """Log-probabilities of each question's answers: [B, 1, K], or [B, K, 2] for tags."""
    check_task(task)
    if task == "single_label":
        return jax.nn.log_softmax(logits)[:, None, :]
    return jnp.stack([jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)], axis=-1)


def _outcomes(probabilities: jax.Array, task: str) -> jax.Array:
    """Probabilities of the same answers."""
    if task == "single_label":
        return probabilities[:, None, :]
    return jnp.stack([probabilities, 1 - probabilities], axis=-1)


def _mean(values: jax.Array, mask: jax.Array | None) -> jax.Array:
    """Mean [B] over the questions of [B, 1] or [B, K], with 0 for what the mask leaves out."""
    if mask is None:
        return values.mean(axis=-1)
    mask = mask if mask.ndim == values.ndim else mask[:, None]
    return (values * mask).mean(axis=-1)
