"""Entropy minimisation: its loss, and what it does to points of which few are labelled."""

import jax
import numpy as np
import pytest

from mclf_jax.objectives.semi_supervised.entropy_minimization import entropy_minimization
from mclf_jax.objectives.supervised import supervised
from tests.objectives.material import gradients, made
from tests.objectives.unlabelled_material import (
    accuracies,
    clusters,
    jitter,
    labels_alone,
    point_model,
)

KEY = jax.random.key(0)
TASKS = ("single_label", "multi_label")


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("task", TASKS)
def test_the_loss_by_hand(task):
    model, batch = point_model(), clusters(task=task)["batch"]
    batch["unlabelled"]["valid"][:9] = 0
    objective = made(entropy_minimization, model, task=task, weight=0.5, ramp_up_steps=4)
    initial = jax.jit(objective.init)(KEY)
    state = initial["state"] | {"step": 2}
    result = jax.jit(objective.loss)(initial["params"], state, batch, KEY)
    outputs = model.module.apply(
        {"params": initial["params"]["model"]}, batch["unlabelled"]["audio"], train=False
    )
    logits = np.asarray(outputs["logits"], "f8")
    if task == "single_label":
        p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        entropy = -(p * np.log(p)).sum(-1)
    else:
        p = 1 / (1 + np.exp(-logits))
        entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p)).mean(-1)
    np.testing.assert_allclose(result.metrics["unlabelled_loss"], entropy[9:].mean(), rtol=1e-5)
    labelled = made(supervised, model, task=task).loss(
        initial["params"], initial["state"], batch, KEY
    )
    np.testing.assert_allclose(result.metrics["labelled_loss"], labelled.per_example, rtol=1e-5)
    np.testing.assert_allclose(
        result.per_example,
        labelled.per_example + 0.5 * np.exp(-1.25) * entropy[9:].mean(),
        rtol=1e-5,
    )
    assert result.state["step"] == 3
    assert ("accuracy" in result.metrics) == (task == "single_label")


def test_weight_0_is_supervised_learning_of_one_batch():
    model = point_model()
    objective = made(entropy_minimization, model, task="single_label", weight=0.0)
    initial, batch = jax.jit(objective.init)(KEY), clusters()["batch"]
    got = gradients(objective, initial, batch, num_devices=1)[1]
    reference = gradients(
        made(supervised, model, task="single_label"), initial, batch, num_devices=1
    )[1]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), got, reference)


def test_the_same_on_one_and_eight_devices():
    objective = made(entropy_minimization, point_model(), task="single_label", chains=jitter(0.1))
    initial, batch = jax.jit(objective.init)(KEY), clusters()["batch"]
    one, eight = (gradients(objective, initial, batch, num_devices=n) for n in (1, 8))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), one, eight)


@pytest.mark.slow
def test_unlabelled_points_help():
    model, settings = point_model(), {"weight": 0.3, "ramp_up_steps": 150}
    objective = made(
        entropy_minimization, model, task="single_label", chains=jitter(0.15), **settings
    )
    helped = accuracies(model, objective)
    assert 1 - helped.mean() < (1 - labels_alone("single_label").mean()) / 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "regression"}, "objective.name is 'entropy_minimization', for the tasks single_"),
        ({"weight": -0.1}, "objective.args.weight is -0.1; it must be at least 0"),
        ({"ramp_up_steps": -5}, "objective.args.ramp_up_steps is -5; it must be at least 0"),
    ],
)
def test_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        made(entropy_minimization, point_model(), **{"task": "single_label"} | settings)
