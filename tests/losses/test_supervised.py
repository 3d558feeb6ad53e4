"""Losses against plain numpy in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax import losses
from mclf_jax.objectives.context import balanced_pos_weight

softmax_cross_entropy = jax.jit(losses.softmax_cross_entropy)
sigmoid_cross_entropy = jax.jit(losses.sigmoid_cross_entropy)
RNG = np.random.default_rng(0)
LOGITS = RNG.standard_normal((8, 5)) * 3


def log_softmax(x):
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def test_softmax_cross_entropy():
    labels = RNG.integers(0, 5, 8)
    expected = -log_softmax(LOGITS)[np.arange(8), labels]
    got = softmax_cross_entropy(LOGITS, labels)
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    smooth = 0.9 * expected - 0.1 * log_softmax(LOGITS).mean(-1)
    got = softmax_cross_entropy(LOGITS, labels, label_smoothing=0.1)
    np.testing.assert_allclose(got, smooth, rtol=1e-5)
    distribution = np.eye(5)[labels]
    got = softmax_cross_entropy(LOGITS, distribution)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.slow
def test_sigmoid_cross_entropy():
    labels = RNG.integers(0, 2, (8, 5)).astype(float)
    weight = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    p = 1 / (1 + np.exp(-LOGITS))
    for pos_weight in (1.0, weight):
        expected = -(pos_weight * labels * np.log(p) + (1 - labels) * np.log(1 - p)).mean(-1)
        got = sigmoid_cross_entropy(LOGITS, labels, pos_weight=pos_weight)
        np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.slow
def test_large_logits_stay_finite():
    huge = np.array([[1e4, -1e4]])
    assert np.isfinite(softmax_cross_entropy(huge, np.array([1]))).all()
    assert np.isfinite(sigmoid_cross_entropy(huge, np.array([[0.0, 1.0]]))).all()


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


LABELS = RNG.integers(0, 2, LOGITS.shape).astype(np.float32)
HIDDEN = RNG.random(LOGITS.shape) < 0.5
HIDDEN[0], HIDDEN[1], HIDDEN[2] = True, False, [True, False, True, True, True]
WEIGHT = np.array([1.0, 2.0, 3.0, 4.0, 5.0], np.float32)
PARTIAL = {
    "tags": losses.sigmoid_cross_entropy,
    "weighted tags": functools.partial(losses.sigmoid_cross_entropy, pos_weight=WEIGHT),
    "numbers": losses.squared_error,
}


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", PARTIAL)
def test_what_was_not_observed_is_left_out(name):
    loss = jax.jit(PARTIAL[name])
    logits = LOGITS.astype("f4")
    got = np.asarray(loss(logits, np.where(HIDDEN, np.nan, LABELS).astype("f4")))
    for row in range(1, len(LOGITS)):
        seen = ~HIDDEN[row]
        weight = {"pos_weight": WEIGHT[seen]} if name == "weighted tags" else {}
        expected = loss(logits[row : row + 1, seen], LABELS[row : row + 1, seen], **weight)
        np.testing.assert_allclose(got[row], np.asarray(expected)[0], rtol=1e-5)
    assert got[0] == 0  # nobody looked for anything


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", PARTIAL)
@pytest.mark.parametrize("jitted", [False, True])
def test_nothing_flows_back_from_what_was_not_observed(name, jitted):
    loss = PARTIAL[name]
    gradient = jax.grad(lambda logits, labels: loss(logits, labels).mean())
    gradient = jax.jit(gradient) if jitted else gradient
    # Even from a network that has lost its head over them.
    logits = np.where(HIDDEN, np.resize([np.inf, -np.inf, np.nan, 1e30], LOGITS.shape), LOGITS)
    logits = jnp.asarray(logits, jnp.float32)
    got = np.asarray(gradient(logits, jnp.where(HIDDEN, jnp.nan, LABELS)))
    assert np.isfinite(got).all()
    assert (got[HIDDEN] == 0).all() and (got[~HIDDEN] != 0).all()
    whole = np.asarray(gradient(jnp.asarray(LOGITS, jnp.float32), LABELS))
    share = (~HIDDEN).mean(axis=1, keepdims=True).clip(1e-9)
    np.testing.assert_allclose(got, np.where(HIDDEN, 0, whole / share), rtol=1e-5)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("jitted", [False, True])
def test_complete_labels_give_the_bits_of_a_plain_mean(jitted):
    def tags(logits, labels):
        positive, negative = jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
        return -(1.0 * (labels * positive) + (1 - labels) * negative).mean(axis=-1)

    def numbers(predictions, targets):
        return jnp.square(predictions - targets).mean(axis=-1)

    plain = {losses.sigmoid_cross_entropy: tags, losses.squared_error: numbers}
    for masked, expected in plain.items():
        for num_labels in (1, 7, 50):
            logits = RNG.standard_normal((16, num_labels)).astype(np.float32) * 4
            labels = RNG.integers(0, 2, logits.shape).astype(np.float32)
            change = jax.jit if jitted else lambda function: function
            np.testing.assert_array_equal(
                change(masked)(logits, labels), change(expected)(logits, labels)
            )


def test_balanced_pos_weight_counts_what_was_observed():
    hidden = np.nan
    labels = np.array(
        [[1, 0, hidden], [0, hidden, hidden], [0, hidden, hidden], [hidden, 1, hidden]], np.float32
    )
    np.testing.assert_allclose(balanced_pos_weight(labels), [2, 1, 1])
