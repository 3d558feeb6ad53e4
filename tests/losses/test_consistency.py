"""Losses of predictions and of targets predicted by a teacher, against numpy in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax import losses

TASKS = ("single_label", "multi_label")
RNG = np.random.default_rng(0)
LOGITS, OTHER = RNG.standard_normal((2, 8, 5)) * 2


def outcomes(logits, task):
    """Probabilities of what can be the case: [B, 1, K] of one label, [B, K, 2] of tags."""
    if task == "single_label":
        p = np.exp(logits)
        return (p / p.sum(-1, keepdims=True))[:, None]
    p = 1 / (1 + np.exp(-logits))
    return np.stack([p, 1 - p], -1)


def probabilities(logits, task):
    p = outcomes(logits, task)
    return p[:, 0] if task == "single_label" else p[..., 0]


@pytest.mark.parametrize("task", TASKS)
def test_entropy(task):
    p = outcomes(LOGITS, task)
    expected = -(p * np.log(p)).sum(-1).mean(-1)
    got = losses.prediction_entropy(jnp.asarray(LOGITS), task=task)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.slow
def test_entropy_is_between_certain_and_uniform():
    certain = 100 * (2 * np.eye(5, dtype="f4") - 1)
    entropy = jax.jit(losses.prediction_entropy, static_argnames="task")
    for task, most in (("single_label", np.log(5)), ("multi_label", np.log(2))):
        np.testing.assert_allclose(entropy(certain, task=task), 0, atol=1e-30)
        uniform = entropy(np.zeros((5, 5), "f4"), task=task)
        np.testing.assert_allclose(uniform, most, rtol=1e-6)


@pytest.mark.parametrize("task", TASKS)
def test_pseudo_label_cross_entropy(task):
    p, target = outcomes(LOGITS, task), outcomes(OTHER, task)
    each = -(target * np.log(p)).sum(-1)
    call = functools.partial(
        losses.pseudo_label_cross_entropy,
        jnp.asarray(LOGITS),
        jnp.asarray(probabilities(OTHER, task)),
        task=task,
    )
    np.testing.assert_allclose(call(), each.mean(-1), rtol=1e-5)
    # What is left out counts as 0, and the mean is still over everything.
    of_songs = RNG.integers(0, 2, 8).astype("f4")
    np.testing.assert_allclose(
        call(mask=jnp.asarray(of_songs)), of_songs * each.mean(-1), rtol=1e-5
    )
    if task == "multi_label":
        of_tags = RNG.integers(0, 2, (8, 5)).astype("f4")
        np.testing.assert_allclose(
            call(mask=jnp.asarray(of_tags)), (of_tags * each).mean(-1), rtol=1e-5
        )


def test_hard_targets_are_labels():
    labels = RNG.integers(0, 5, 8)
    got = losses.pseudo_label_cross_entropy(
        jnp.asarray(LOGITS), jax.nn.one_hot(labels, 5), task="single_label"
    )
    expected = losses.softmax_cross_entropy(jnp.asarray(LOGITS), jnp.asarray(labels))
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    tags = jnp.asarray(RNG.integers(0, 2, (8, 5)).astype("f4"))
    got = losses.pseudo_label_cross_entropy(jnp.asarray(LOGITS), tags, task="multi_label")
    expected = losses.sigmoid_cross_entropy(jnp.asarray(LOGITS), tags)
    np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("task", TASKS)
def test_distance(task):
    p, target = outcomes(LOGITS, task), outcomes(OTHER, task)
    expected = {
        "squared_error": np.square(probabilities(LOGITS, task) - probabilities(OTHER, task)).mean(
            -1
        ),
        "kl": (target * np.log(target / p)).sum(-1).mean(-1),
    }
    for distance, values in expected.items():
        call = functools.partial(
            losses.prediction_distance, jnp.asarray(LOGITS), task=task, distance=distance
        )
        got = call(jnp.asarray(probabilities(OTHER, task)))
        np.testing.assert_allclose(got, values, rtol=1e-5)
        mask = RNG.integers(0, 2, 8).astype("f4")
        got = call(jnp.asarray(probabilities(OTHER, task)), mask=jnp.asarray(mask))
        np.testing.assert_allclose(got, mask * values, rtol=1e-5)
        same = call(jnp.asarray(probabilities(LOGITS, task)))
        np.testing.assert_allclose(same, 0, atol=3e-7)
        gradient = jax.jit(
            jax.grad(
                lambda logits, distance=distance: losses.prediction_distance(
                    logits, probabilities(LOGITS, task), task=task, distance=distance
                ).sum()
            )
        )(LOGITS)
        np.testing.assert_allclose(gradient, 0, atol=3e-7)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_distillation(task, temperature):
    student, teacher = outcomes(LOGITS / temperature, task), outcomes(OTHER / temperature, task)
    expected = temperature**2 * (teacher * np.log(teacher / student)).sum(-1).mean(-1)

    @jax.jit
    def loss(logits, teacher_logits):
        return losses.distillation(logits, teacher_logits, task=task, temperature=temperature)

    logits = LOGITS
    np.testing.assert_allclose(loss(logits, OTHER), expected, rtol=1e-5)
    # From itself there is nothing to learn.
    gradient = jax.jit(jax.grad(lambda logits, other: loss(logits, other).sum()))
    np.testing.assert_allclose(loss(logits, LOGITS), 0, atol=1e-7)
    np.testing.assert_allclose(gradient(logits, LOGITS), 0, atol=3e-6)
    count = 1 if task == "single_label" else LOGITS.shape[1]
    pulled = probabilities(LOGITS / temperature, task) - probabilities(OTHER / temperature, task)
    np.testing.assert_allclose(
        gradient(logits, OTHER), temperature * pulled / count, rtol=1e-4, atol=1e-6
    )


def test_skeptical_cross_entropy():
    labels = RNG.integers(0, 2, (8, 5)).astype("f4")
    labels[0, 0] = np.nan
    teacher = RNG.random((8, 5)).astype("f4")
    teacher[1], labels[1] = 1.0, 0.0
    call = functools.partial(
        losses.skeptical_cross_entropy,
        jnp.asarray(LOGITS, jnp.float32),
        jnp.asarray(labels),
        jnp.asarray(teacher),
    )
    p = 1 / (1 + np.exp(-LOGITS))
    each = -np.where(labels == 1, np.log(p), np.log(1 - p))
    believed = ~np.isnan(labels) & ~((labels == 0) & (teacher >= 0.7))
    assert believed.sum() < 35 < (~np.isnan(labels)).sum()  # it does leave some out
    expected = np.where(believed, each, 0).sum(-1) / np.maximum(believed.sum(-1), 1)
    got = call(threshold=0.7)
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    assert got[1] == 0  # nothing is left of it
    weighted = np.where(believed & (labels == 1), 3 * each, np.where(believed, each, 0)).sum(-1)
    np.testing.assert_allclose(
        call(threshold=0.7, pos_weight=3.0), weighted / np.maximum(believed.sum(-1), 1), rtol=1e-5
    )
    # A teacher that is never believed changes nothing.
    plain = losses.sigmoid_cross_entropy(jnp.asarray(LOGITS, jnp.float32), jnp.asarray(labels))
    np.testing.assert_array_equal(call(threshold=1.1), plain)


@pytest.mark.parametrize("task", TASKS)
def test_extreme_predictions_have_finite_gradients(task):
    signs = jnp.asarray(RNG.integers(0, 2, (8, 5)) * 2 - 1, jnp.float32)
    logits, other = 100 * signs, 100 * signs[::-1]
    hard = (other > 0).astype("f4")
    hard = hard if task == "multi_label" else jax.nn.one_hot(other.argmax(-1), 5)
    called = {
        "entropy": lambda x: losses.prediction_entropy(x, task=task),
        "cross entropy": lambda x: losses.pseudo_label_cross_entropy(x, hard, task=task),
        "distillation": lambda x: losses.distillation(x, other, task=task, temperature=1.0),
        "kl": lambda x: losses.prediction_distance(x, hard, task=task, distance="kl"),
        "squares": lambda x: losses.prediction_distance(
            x, hard, task=task, distance="squared_error"
        ),
        "skeptical": lambda x: losses.skeptical_cross_entropy(x, hard, 1 - hard, threshold=0.9),
    }
    found = jax.jit(
        lambda x: {
            name: jax.value_and_grad(lambda x, loss=loss: loss(x).sum())(x)
            for name, loss in called.items()
        }
    )(logits)
    for name, (value, gradient) in found.items():
        assert np.isfinite(value) and np.isfinite(gradient).all(), name


def test_errors():
    logits = jnp.asarray(LOGITS)
    with pytest.raises(
        ValueError, match="task is 'regression'; allowed: single_label, multi_label"
    ):
        losses.prediction_entropy(logits, task="regression")
    with pytest.raises(ValueError, match="distance is 'l1'; allowed: squared_error, kl"):
        losses.prediction_distance(logits, logits, task="single_label", distance="l1")
    with pytest.raises(ValueError, match="temperature is 0; it must be positive"):
        losses.distillation(logits, logits, task="single_label", temperature=0)
