"""What a prediction becomes as a target: sharper, hard, or left out for want of confidence.

Probabilities of "single_label" are distributions over the labels; those of "multi_label" are of
each tag by itself, so each tag is a distribution over yes and no.
"""

import jax
import jax.numpy as jnp

from mclf_jax.common import checks

TASKS = ("single_label", "multi_label")


def sharpen(probabilities: jax.Array, *, temperature: float, task: str) -> jax.Array:
    """More certain of the same (Berthelot et al. 2019, equation 7): p^(1/T), normalised.

    Args:
        probabilities: [..., K].
        temperature: T in (0, 1]; 1 changes nothing, and towards 0 the targets become hard.
        task: "single_label" normalises over the labels, "multi_label" over yes and no of each tag:
            p^(1/T) / (p^(1/T) + (1 - p)^(1/T)).

    Returns:
        [..., K].

    Raises:
        ValueError: an argument is not allowed.
    """
    check_task(task)
    checks.within("temperature", temperature, 0, 1, ends="(]")
    # In logs, because a power of a small probability is 0 long before its share is.
    if task == "single_label":
        return jax.nn.softmax(_log(probabilities) / temperature)
    return jax.nn.sigmoid((_log(probabilities) - _log(1 - probabilities)) / temperature)


def harden(probabilities: jax.Array, *, task: str) -> jax.Array:
    """The most probable answer as if it were certain, [..., K] of 0 and 1 (Lee 2013).

    Of "single_label" that is one label; of "multi_label" every tag above one half.

    Raises:
        ValueError: unknown `task`.
    """
    check_task(task)
    if task == "single_label":
        num_labels = probabilities.shape[-1]
        return jax.nn.one_hot(probabilities.argmax(axis=-1), num_labels, dtype=probabilities.dtype)
    return (probabilities > 0.5).astype(probabilities.dtype)


def confidence(probabilities: jax.Array, *, task: str) -> jax.Array:
    """The probability of the most probable answer.

    Args:
        probabilities: [..., K].
        task: one of `TASKS`.

    Returns:
        "single_label": [...], in [1 / K, 1]; "multi_label": [..., K], in [1 / 2, 1], because each
        tag is a question of its own: an unlabelled song may be sure to be piano and say nothing
        of its mood.

    Raises:
        ValueError: unknown `task`.
    """
    check_task(task)
    if task == "single_label":
        return probabilities.max(axis=-1)
    return jnp.maximum(probabilities, 1 - probabilities)


def check_task(task: str) -> None:
    """Raise a ValueError if predictions of a task are not probabilities."""
    checks.choice("task", task, TASKS)


def _log(probabilities: jax.Array) -> jax.Array:
    return jnp.log(jnp.maximum(probabilities, jnp.finfo(probabilities.dtype).tiny))
