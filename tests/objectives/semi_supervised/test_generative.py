"""A generative model with labels: its bounds by hand, and points of which few are labelled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax.objectives import heads
from mclf_jax.objectives.semi_supervised.generative import generative, summary
from tests.objectives.material import gradients, made, small_model
from tests.objectives.unlabelled_material import (
    accuracies,
    batch_of,
    clusters,
    jitter,
    labels_alone,
    point_model,
)

KEY = jax.random.key(0)
SMALL = {"task": "single_label", "latent_size": 1, "hidden_size": 8, "std": 0.3, "weight": 0.4}


def test_the_bounds_by_hand():
    model, batch = point_model(), clusters()["batch"]
    batch["unlabelled"]["valid"][:9] = 0
    objective = made(generative, model, **SMALL)
    initial = jax.jit(objective.init)(KEY)
    params = initial["params"]
    got = jax.jit(objective.loss)(params, initial["state"], batch, KEY)
    keys = jax.random.split(KEY, 4)[2:]
    known, unknown = batch["audio"], batch["unlabelled"]["audio"]
    both = np.concatenate([known, unknown])
    known, unknown = ((x - both.mean(axis=0)) / both.std(axis=0) for x in (known, unknown))

    def negative(x, labels, key):
        y = np.eye(2, dtype="f4")[labels]

        def said(name, head, rows):
            rows = jnp.asarray(np.concatenate([rows, y], axis=1), jnp.float32)
            return np.asarray(head.apply({"params": params[name]}, rows, train=True), "f8")

        mean, log_variance = np.split(said("recogniser", heads.MLP((8, 2)), x), 2, axis=1)
        noise = np.asarray(jax.random.normal(key, mean.shape))
        latent = mean + np.exp(log_variance / 2) * noise
        made_of = said("generator", heads.MLP((8, 2)), latent)
        density = ((x - made_of) ** 2).sum(axis=1) / (2 * 0.3**2)
        kl = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(axis=1)
        return density + kl + np.log(2)

    labelled = negative(known, batch["label"], keys[0]).mean()
    variables = {"params": params["model"]}
    logits = model.module.apply(variables, batch["unlabelled"]["audio"], train=False)["logits"]
    q = np.asarray(jax.nn.softmax(logits), "f8")
    of_both = [negative(unknown, np.full(len(unknown), y), keys[1]) for y in (0, 1)]
    free = (q * np.stack(of_both, axis=1) + q * np.log(q)).sum(axis=1)[9:].mean()
    expected = (labelled + free) / 2  # of two numbers
    np.testing.assert_allclose(got.metrics["unlabelled_loss"], expected, rtol=1e-4)
    total = got.metrics["labelled_loss"] + 0.4 * expected
    np.testing.assert_allclose(got.per_example, total, rtol=1e-4)
    assert got.state["step"] == 1 and got.state["moments"]["count"] == 1


def test_of_spectrograms_means_over_stretches_are_generated():
    x = np.arange(2 * 9 * 3, dtype="f4").reshape(2, 9, 3)
    found = np.asarray(summary(x, 4))
    np.testing.assert_array_equal(found[1], x[1, :8].reshape(4, 2, 3).mean(axis=1).reshape(-1))
    assert summary(x, 100).shape == (2, 27)


@pytest.mark.slow
def test_all_three_networks_learn_from_spectrograms():
    objective = made(generative, small_model(), **SMALL | {"num_frames": 2})
    initial, batch = jax.jit(objective.init)(KEY), batch_of(4)
    _, (state, _), grads = _flat(gradients(objective, initial, batch, num_devices=1))
    assert state["moments"]["mean"].shape == (2 * 16,)
    for name in ("model", "recogniser", "generator"):
        assert any(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(grads[name])), name


def _flat(found):
    (value, aux), grads = found
    return value, aux, grads


@pytest.mark.slow
def test_unlabelled_points_help():
    model = point_model()
    settings = SMALL | {"hidden_size": 32, "weight": 0.3}
    helped = accuracies(model, made(generative, model, chains=jitter(0.15), **settings))
    assert 1 - helped.mean() < (1 - labels_alone("single_label").mean()) / 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"task": "multi_label"},
            "objective.name is 'generative', for the task single_label; that",
        ),
        ({"weight": -1}, "objective.args.weight is -1; it must be at least 0"),
        ({"std": 0.0}, "objective.args.std is 0.0; it must be"),
        ({"latent_size": 0}, "objective.args.latent_size is 0; it must be"),
    ],
)
def test_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        made(generative, point_model(), **SMALL | settings)


def test_samples_are_not_generated_one_by_one():
    model = small_model("clmr_sample_cnn")
    object.__setattr__(model, "window_samples", 5000)
    with pytest.raises(ValueError, match="which hears 5000 samples; .* a network of spectrograms"):
        made(generative, model, **SMALL)
