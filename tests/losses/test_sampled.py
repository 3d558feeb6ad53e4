"""Losses of pretext tasks against numpy and their limits; both through the supervised objective."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax import losses, models
from mclf_jax.augment import Chains
from mclf_jax.losses import cosine_distance, sampled_softmax_cross_entropy
from mclf_jax.models import ARCHITECTURES
from mclf_jax.objectives.supervised import supervised
from tests.objectives.material import made

RNG = np.random.default_rng(0)
EMBEDDING = jnp.asarray(RNG.standard_normal((6, 5)), "f4")
KERNEL, BIAS = (jnp.asarray(0.5 * RNG.standard_normal(s), "f4") for s in ((5, 40), 40))
LABELS = np.array([0, 39, 7, 7, 20, 3])


distance = jax.jit(cosine_distance)


@pytest.mark.slow
def test_cosine_distance_is_one_minus_the_cosine():
    a, b = RNG.standard_normal((2, 6, 5)).astype("f4")
    expected = 1 - (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(distance(a, b), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(distance(7 * a, 0.1 * b), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(distance(a, a), 0, atol=1e-6)
    np.testing.assert_allclose(distance(a, -2 * a), 2, atol=1e-6)
    np.testing.assert_allclose(distance(np.eye(6, 5), np.eye(6, 5, 1)), 1, atol=1e-6)


@pytest.mark.slow
def test_cosine_distance_of_what_is_not_known():
    a, b = RNG.standard_normal((2, 3, 5)).astype("f4")
    b[0, :2], b[1] = np.nan, np.nan
    b[2] = 0
    value_and_gradient = jax.jit(jax.value_and_grad(lambda a: cosine_distance(a, b).sum()))
    found, gradient = value_and_gradient(a)
    known = distance(a[:1, 2:], b[:1, 2:])
    np.testing.assert_allclose(found, known[0] + 0 + 1, rtol=1e-5)
    assert np.isfinite(gradient).all() and np.abs(gradient[0, 2:]).min() > 0
    assert not gradient[0, :2].any() and not gradient[1:].any()
    assert np.isfinite(value_and_gradient(0 * a)[1]).all()


def _sampled(num_sampled, key=0, kernel=KERNEL, labels=LABELS):
    return sampled_softmax_cross_entropy(
        EMBEDDING,
        labels,
        kernel=kernel,
        bias=BIAS,
        key=jax.random.key(key),
        num_sampled=num_sampled,
    )


def test_all_labels_drawn_is_the_whole_softmax():
    """Loss and gradient are those of `softmax_cross_entropy`."""

    def whole(kernel):
        return losses.softmax_cross_entropy(EMBEDDING @ kernel + BIAS, jnp.asarray(LABELS))

    found = [
        jax.jit(jax.vjp, static_argnums=0)(function, KERNEL)
        for function in (whole, lambda kernel: _sampled(40, kernel=kernel))
    ]
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=1e-5)
    upwards = jnp.linspace(0.5, 2, 6)
    gradients = [jax.jit(pull)(upwards)[0] for _, pull in found]
    np.testing.assert_allclose(gradients[1], gradients[0], atol=1e-5)


@pytest.mark.slow
def test_the_sum_over_drawn_labels_is_unbiased():
    """exp(loss) is a sum over labels divided by the true one's term, which is known in full."""
    logits = np.asarray(EMBEDDING @ KERNEL + BIAS, np.float64)
    whole = np.exp(logits - logits[np.arange(6), LABELS][:, None]).sum(axis=1)
    gaps = []
    for num_sampled in (3, 20):
        many = jax.jit(jax.vmap(lambda key, n=num_sampled: _sampled(n, key)))(jnp.arange(10_000))
        ratios = np.exp(np.asarray(many, np.float64))
        error = ratios.std(axis=0) / np.sqrt(len(ratios))
        assert (np.abs(ratios.mean(axis=0) - whole) < 4 * error).all()
        gaps.append(np.log(whole) - np.log(ratios).mean(axis=0))
    # The logarithm is below that of the whole sum, and nearer to it the more labels are drawn.
    assert (gaps[0] > gaps[1]).all() and (gaps[1] > 0).all() and gaps[1].max() < 0.2


@pytest.mark.slow
def test_the_mean_gradient_is_nearly_the_whole_one():
    def loss(kernel, key, num_sampled=20):
        return _sampled(num_sampled, key, kernel).mean()

    every = jax.jit(jax.vmap(jax.grad(loss), (None, 0)))(KERNEL, jnp.arange(2000))
    whole = np.asarray(jax.jit(jax.grad(lambda kernel: loss(kernel, 0, 40)))(KERNEL))
    assert np.linalg.norm(every.mean(axis=0) - whole) < 0.1 * np.linalg.norm(whole)
    # Nothing flows to what was not drawn.
    used = (np.asarray(every[0]) != 0).any(axis=0)
    assert 20 <= used.sum() <= 20 + len(set(LABELS)) and used[LABELS].all()


def test_wrong_numbers_of_labels_are_refused():
    for number in (0, 41):
        with pytest.raises(ValueError, match="num_sampled must be from 1 to 40"):
            _sampled(number)


SMALL = {
    "short_chunk_cnn": {"n_channels": 4, "num_blocks": 2, "n_mels": 16},
    "pase": {"embedding_dim": 6},
}


def _network(name="short_chunk_cnn", num_labels=12):
    return models.build(name, num_labels=num_labels, window_s=0.1, **SMALL[name])


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", SMALL)
def test_the_last_layer_is_a_dense_one_on_the_embedding(name):
    """In training too: the loss over drawn labels needs no logits of the network."""
    model = _network(name)
    variables = jax.jit(model.init)(jax.random.key(0))
    x = RNG.standard_normal((2, *model.input_shape)).astype("f4")
    state = {kind: tree for kind, tree in variables.items() if kind != "params"}
    found, _ = jax.jit(model.apply_train)(variables["params"], state, x, key=jax.random.key(1))
    head = variables["params"][ARCHITECTURES[name].head]
    np.testing.assert_allclose(
        found["embedding"] @ head["kernel"] + head["bias"], found["logits"], rtol=1e-4, atol=1e-5
    )


def _gradient(objective, initial, batch):
    def loss(params):
        found = objective.loss(params, initial["state"], batch, jax.random.key(1))
        return found.per_example.mean()

    return jax.jit(jax.value_and_grad(loss))


@pytest.mark.slow
def test_objective_with_all_labels_drawn_is_the_one_without_drawing():
    model = _network()
    initial = jax.jit(made(supervised, model, task="single_label").init)(jax.random.key(0))
    x = RNG.standard_normal((4, *model.input_shape)).astype("f4")
    batch = {"features": x, "label": np.array([0, 11, 3, 3])}
    found = []
    for num_sampled in (0, 12):
        objective = made(supervised, model, task="single_label", num_sampled=num_sampled)
        found.append(_gradient(objective, initial, batch)(initial["params"]))
    (value, gradient), (sampled, of_sampled) = found
    np.testing.assert_allclose(sampled, value, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), of_sampled, gradient)

    head = {"dense2.kernel", "dense2.bias"}
    frozen = dataclasses.replace(model, frozen=frozenset(head))
    objective = made(supervised, frozen, task="single_label", num_sampled=12)
    _, of_frozen = _gradient(objective, initial, batch)(initial["params"])
    of_frozen = of_frozen["model"]
    assert not any(leaf.any() for leaf in of_frozen["dense2"].values())
    np.testing.assert_allclose(
        of_frozen["dense1"]["kernel"], gradient["model"]["dense1"]["kernel"], atol=1e-5
    )


@pytest.mark.slow
def test_no_product_with_all_labels_is_left_in_the_step():
    """Logits that nothing asks for are not computed: that is what drawing is for."""
    model = _network(num_labels=1117)  # a number that is nowhere else in the program
    batch = {"features": np.ones((3, *model.input_shape), "f4"), "label": np.array([1, 2, 3])}

    def program(num_sampled):
        objective = made(supervised, model, task="single_label", num_sampled=num_sampled)
        initial = jax.eval_shape(objective.init, jax.random.key(0))
        initial = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), initial)
        return _gradient(objective, initial, batch).lower(initial["params"]).compile().as_text()

    assert "f32[3,1117]" in program(0)
    assert "f32[3,1117]" not in program(20)


@pytest.mark.slow
def test_validation_is_over_all_labels_and_by_direction():
    model = _network()
    x = RNG.standard_normal((4, *model.input_shape)).astype("f4")
    batch = {"features": x, "label": np.array([0, 5, 2, 2])}
    sampled = made(supervised, model, task="single_label", num_sampled=3)
    initial = jax.jit(sampled.init)(jax.random.key(0))
    variables = {"params": initial["params"]["model"], **initial["state"]["model"]}
    logits = jax.jit(lambda x: model.module.apply(variables, x, train=False)["logits"])(x)

    def evaluated(objective):
        evaluate = jax.jit(objective.evaluate)
        return evaluate(initial["params"], initial["state"], batch, jax.random.key(0))

    found = evaluated(sampled)
    expected = jax.jit(losses.softmax_cross_entropy)(logits, batch["label"])
    np.testing.assert_allclose(found.per_example, expected, rtol=1e-5)
    logits = np.asarray(logits)
    np.testing.assert_array_equal(found.metrics["accuracy"], logits.argmax(1) == batch["label"])
    assert made(supervised, model, task="single_label").evaluate is None

    batch["label"] = RNG.standard_normal((4, 12)).astype("f4")
    cosine = made(supervised, model, task="regression", distance="cosine")
    found = evaluated(cosine)
    expected = distance(logits, batch["label"])
    np.testing.assert_allclose(found.per_example, expected, rtol=1e-5)
    assert found.metrics == {}
    trained = jax.jit(cosine.loss)(initial["params"], initial["state"], batch, jax.random.key(0))
    assert ((trained.per_example > 0) & (trained.per_example < 2)).all()


@pytest.mark.parametrize(
    ("match", "changes"),
    {
        "objective.distance is 'l1'; allowed: squared_error, cosine": {"distance": "l1"},
        "objective.distance is 'cosine', which is for numbers": {"distance": "cosine"},
        "objective.num_sampled is 3, which is for single-label tasks": {
            "task": "multi_label",
            "num_sampled": 3,
        },
        "with 12 labels it must be from 1 to 12": {"num_sampled": 13},
        "it must be from 1 to 12, or 0": {"num_sampled": -1},
        "smoothing is over all labels": {"num_sampled": 3, "label_smoothing": 0.1},
        "make mixtures of labels": {"num_sampled": 3, "chains": Chains(batch=lambda k, b: b)},
    }.items(),
)
def test_settings_that_do_not_go_together(match, changes):
    model = _network()
    with pytest.raises(ValueError, match=match):
        made(supervised, model, **{"task": "single_label", **changes})
