"""Losses of predicted patches against numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax.losses import masked

RNG = np.random.default_rng(0)


def softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_targets_are_standardized_each_by_itself():
    x = RNG.standard_normal((3, 4, 8)) * 5 + 2
    expected = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, ddof=1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(masked.standardized(jnp.asarray(x)), expected, rtol=1e-4, atol=1e-5)
    assert not np.asarray(masked.standardized(jnp.ones((2, 8)))).any()


def test_good_hypotheses_count_more_and_at_last_alone():
    distances = RNG.uniform(0, 4, (5, 3)).astype("f4")

    @jax.jit
    def choose(distances, temperature):
        found = masked.choose_hypotheses(distances, temperature=temperature)
        return found.loss.sum(), found

    for temperature in (0.5, 1e-5):
        (_, found), slope = jax.value_and_grad(choose, has_aux=True)(distances, temperature)
        weights = softmax(-distances / temperature)
        np.testing.assert_allclose(found.loss, (weights * distances).sum(-1), rtol=1e-5)
        np.testing.assert_array_equal(found.best, distances.argmin(-1))
        np.testing.assert_allclose(slope, weights, atol=1e-6)  # nothing flows through them


def test_prototypes_of_the_student_are_to_be_the_teachers():
    student, teacher = RNG.uniform(-1, 1, (2, 6, 4)).astype("f4")
    centre = RNG.uniform(-0.1, 0.1, 4).astype("f4")
    target = softmax((teacher - centre) / 0.07)
    expected = -(target * np.log(softmax(student / 0.1))).sum(-1)

    def loss(student, teacher):
        temperatures = {"student_temperature": 0.1, "teacher_temperature": 0.07}
        found = masked.prototype_cross_entropy(student, teacher, centre=centre, **temperatures)
        return found.sum(), found

    (_, found), slopes = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(student, teacher)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(slopes[0], (softmax(student / 0.1) - target) / 0.1, atol=1e-4)
    assert not np.asarray(slopes[1]).any()
    assert expected.mean() != pytest.approx(0)
