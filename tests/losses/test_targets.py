"""Targets made of predictions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax.losses import targets as pseudo_labels

RNG = np.random.default_rng(0)
LABELS = RNG.dirichlet(np.ones(5), 8)
TAGS = RNG.random((8, 5))


@pytest.mark.parametrize("temperature", [1.0, 0.5, 0.1])
def test_sharpen(temperature):
    powers = LABELS ** (1 / temperature)
    got = pseudo_labels.sharpen(jnp.asarray(LABELS), temperature=temperature, task="single_label")
    np.testing.assert_allclose(got, powers / powers.sum(-1, keepdims=True), rtol=1e-4, atol=1e-6)
    yes, no = TAGS ** (1 / temperature), (1 - TAGS) ** (1 / temperature)
    got = pseudo_labels.sharpen(jnp.asarray(TAGS), temperature=temperature, task="multi_label")
    np.testing.assert_allclose(got, yes / (yes + no), rtol=1e-4, atol=1e-6)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("task", pseudo_labels.TASKS)
def test_certain_predictions_stay(task):
    certain = jnp.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])

    def sharpen(probabilities):
        return pseudo_labels.sharpen(probabilities, temperature=0.01, task=task)

    np.testing.assert_allclose(sharpen(certain), certain, atol=1e-30)
    np.testing.assert_array_equal(pseudo_labels.harden(certain, task=task), certain)
    assert np.isfinite(jax.grad(lambda p: sharpen(p)[:, 0].sum())(certain)).all()
    tiny = jnp.array([[1 - 1e-7, 1e-30, 1e-7]])
    assert np.isfinite(sharpen(tiny)).all()


def test_undecided_predictions_stay_undecided():
    uniform = jnp.full((1, 4), 0.25)
    sharp = pseudo_labels.sharpen(uniform, temperature=0.1, task="single_label")
    np.testing.assert_allclose(sharp, uniform, rtol=1e-6)
    half = jnp.full((1, 4), 0.5)
    sharp = pseudo_labels.sharpen(half, temperature=0.1, task="multi_label")
    np.testing.assert_allclose(sharp, half, rtol=1e-6)


def test_harden():
    got = pseudo_labels.harden(jnp.asarray(LABELS), task="single_label")
    np.testing.assert_array_equal(got, np.eye(5)[LABELS.argmax(-1)])
    got = pseudo_labels.harden(jnp.asarray(TAGS), task="multi_label")
    np.testing.assert_array_equal(got, TAGS > 0.5)
    assert got.dtype == jnp.float32


def test_confidence():
    got = pseudo_labels.confidence(jnp.asarray(LABELS), task="single_label")
    np.testing.assert_allclose(got, LABELS.max(-1), rtol=1e-6)
    got = pseudo_labels.confidence(jnp.asarray(TAGS), task="multi_label")
    np.testing.assert_allclose(got, np.where(TAGS > 0.5, TAGS, 1 - TAGS), rtol=1e-6)


def test_errors():
    p = jnp.asarray(LABELS)
    for temperature in (0.0, -1.0, 1.5):
        with pytest.raises(ValueError, match=r"temperature is .*; it must be in \(0, 1\]"):
            pseudo_labels.sharpen(p, temperature=temperature, task="single_label")
    for call in (pseudo_labels.harden, pseudo_labels.confidence):
        with pytest.raises(ValueError, match="task is 'regression'; allowed: single_label, multi"):
            call(p, task="regression")
