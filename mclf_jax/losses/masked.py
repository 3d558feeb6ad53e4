"""Losses of predicted patches: how far from the target, which of several guesses, which prototype.

Legend: B songs, n masked patches of each, D dimensions, H hypotheses, P prototypes.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

_VARIANCE_FLOOR = 1e-6


class Guesses(NamedTuple):
    """What is made of several hypotheses.

    Attributes:
        loss: [...].
        best: int [...], the hypothesis that is nearest to the target.
    """

    loss: jax.Array
    best: jax.Array


def standardized(target: jax.Array) -> jax.Array:
    """Each vector at mean 0 and variance 1 over its dimensions, [..., D] -> the same.

    As targets of M2D (Niizumi et al. 2023) are, with PyTorch's unbiased variance.
    """
    target = target.astype(jnp.promote_types(target.dtype, jnp.float32))
    variance = target.var(axis=-1, keepdims=True, ddof=1)
    centred = target - target.mean(axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(variance + _VARIANCE_FLOOR)


def choose_hypotheses(
    distances: jax.Array, *, temperature: jax.Array | float, hard_below: float = 1e-4
) -> Guesses:
    """Annealed multiple choice learning, as in MATPAC++: every guess counts, good ones more.

    The weights of the hypotheses are softmax(-distance / temperature), through which nothing is
    learnt; below a temperature of `hard_below` the best one alone counts.

    Args:
        distances: of the hypotheses to the target, [..., H].
        temperature: a number, or an array without axes.
        hard_below: see above.

    >>> choose_hypotheses(jnp.array([1.0, 3.0]), temperature=1e9).loss
    Array(2., dtype=float32)
    """
    soft = jax.nn.softmax(-distances / jnp.maximum(temperature, hard_below), axis=-1)
    best = jnp.argmin(distances, axis=-1)
    hard = jax.nn.one_hot(best, distances.shape[-1], dtype=distances.dtype)
    weights = jax.lax.stop_gradient(jnp.where(temperature > hard_below, soft, hard))
    return Guesses((weights * distances).sum(axis=-1), best)


def prototype_cross_entropy(
    student: jax.Array,
    teacher: jax.Array,
    *,
    centre: jax.Array,
    student_temperature: float = 0.1,
    teacher_temperature: jax.Array | float = 0.04,
) -> jax.Array:
    """DINO's loss (Caron et al. 2021): the student's prototypes are to be the teacher's.

    What the centre, the mean of the teacher so far, takes off keeps one prototype from being the
    answer to all; the low temperature keeps all from being it alike.

    Args:
        student, teacher: scores of the prototypes, [..., P]; no gradient goes to the teacher.
        centre: [P].
        student_temperature, teacher_temperature: what scores are divided by.

    Returns:
        [...], in nats.
    """
    target = teacher_distribution(teacher, centre=centre, temperature=teacher_temperature)
    return -(target * jax.nn.log_softmax(student / student_temperature)).sum(axis=-1)


def teacher_distribution(
    teacher: jax.Array, *, centre: jax.Array, temperature: jax.Array | float
) -> jax.Array:
    """What `prototype_cross_entropy` has for its target, [..., P], without gradient."""
    return jax.nn.softmax(jax.lax.stop_gradient(teacher - centre) / temperature)
