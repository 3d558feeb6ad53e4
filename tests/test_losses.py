"""Losses against plain numpy in float64."""

import jax.numpy as jnp
import numpy as np

from mclf_jax import losses
from mclf_jax.objectives.supervised import balanced_pos_weight

RNG = np.random.default_rng(0)
LOGITS = RNG.standard_normal((8, 5)) * 3


def log_softmax(x):
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def test_softmax_cross_entropy():
    labels = RNG.integers(0, 5, 8)
    expected = -log_softmax(LOGITS)[np.arange(8), labels]
    got = losses.softmax_cross_entropy(jnp.asarray(LOGITS), jnp.asarray(labels))
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    smooth = 0.9 * expected - 0.1 * log_softmax(LOGITS).mean(-1)
    got = losses.softmax_cross_entropy(
        jnp.asarray(LOGITS), jnp.asarray(labels), label_smoothing=0.1
    )
    np.testing.assert_allclose(got, smooth, rtol=1e-5)
    distribution = np.eye(5)[labels]
    got = losses.softmax_cross_entropy(jnp.asarray(LOGITS), jnp.asarray(distribution))
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_sigmoid_cross_entropy():
    labels = RNG.integers(0, 2, (8, 5)).astype(float)
    weight = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    p = 1 / (1 + np.exp(-LOGITS))
    for pos_weight in (1.0, weight):
        expected = -(pos_weight * labels * np.log(p) + (1 - labels) * np.log(1 - p)).mean(-1)
        got = losses.sigmoid_cross_entropy(
            jnp.asarray(LOGITS), jnp.asarray(labels), pos_weight=pos_weight
        )
        np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_large_logits_stay_finite():
    huge = jnp.array([[1e4, -1e4]])
    assert np.isfinite(losses.softmax_cross_entropy(huge, jnp.array([1]))).all()
    assert np.isfinite(losses.sigmoid_cross_entropy(huge, jnp.array([[0.0, 1.0]]))).all()


def test_squared_error():
    targets = RNG.standard_normal((8, 5))
    got = losses.squared_error(jnp.asarray(LOGITS), jnp.asarray(targets))
    np.testing.assert_allclose(got, ((LOGITS - targets) ** 2).mean(-1), rtol=1e-5)


def test_balanced_pos_weight():
    labels = np.array([[1, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 0]], np.float32)
    np.testing.assert_allclose(balanced_pos_weight(labels), [3, 4, 1])
    many = np.zeros((1000, 1), np.float32)
    many[0] = 1
    np.testing.assert_allclose(balanced_pos_weight(many), [20])
