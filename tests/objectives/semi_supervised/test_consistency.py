"""Teachers, targets and the loss of students; the published methods on a problem they solve."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax.augment import Chains
from mclf_jax.objectives.semi_supervised.consistency import METHODS, consistency
from tests.objectives.material import gradients, made, small_model
from tests.objectives.unlabelled_material import (
    accuracies,
    batch_of,
    jitter,
    labels_alone,
    point_model,
    point_rows,
)

KEY = jax.random.key(0)
TASKS = ("single_label", "multi_label")
SOFT = {"targets": "soft", "threshold": 0.0, "unlabelled_loss": "kl"}
EMA = {"teacher": "ema", "momentum": 0.9}
SHIFT = Chains(waveform=lambda key, x: x + 0.5)


@functools.cache
def start(model, **settings):
    """(params, state, compiled loss), of one program for all tests that ask for the same."""
    settings = {"task": "single_label", "total_steps": 10} | settings
    objective = made(consistency, model, **settings)
    initial = jax.jit(objective.init)(KEY)
    return initial["params"], initial["state"], jax.jit(objective.loss)


def points(num_unlabelled, *, task, seed=0):
    """A batch of four labelled points and others."""
    rng = np.random.default_rng(seed)
    labelled, unlabelled = (2 * rng.standard_normal((n, 2)) for n in (4, num_unlabelled))
    return point_rows(labelled, [0, 1, 1, 0], task=task) | {
        "unlabelled": point_rows(unlabelled, np.zeros(num_unlabelled), task=task)
    }


def logits_of(model, params, x):
    """In float64."""
    return np.asarray(_logits(model, params["model"], x), "f8")


@functools.partial(jax.jit, static_argnums=0)
def _logits(model, params, x):
    return model.module.apply({"params": params}, x, train=False)["logits"]


def outcomes(logits, task):
    """Probabilities of what can be the case: [B, 1, K] of one label, [B, K, 2] of tags."""
    if task == "single_label":
        return (np.exp(logits) / np.exp(logits).sum(-1, keepdims=True))[:, None]
    p = 1 / (1 + np.exp(-logits))
    return np.stack([p, 1 - p], -1)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", ["uda", "fixmatch", "pseudo_label"])
def test_the_loss_by_hand(name, task):
    settings = METHODS[name] | {"ramp_up_steps": 0}
    threshold = settings["threshold"] = settings["threshold"] and 0.6
    model, batch = point_model(), points(12, task=task)
    batch["unlabelled"]["valid"][:5] = 0
    params, state, loss = start(model, task=task, chains=SHIFT, **settings)
    result = loss(params, state, batch, KEY)

    # The teacher hears what is there, the student what was made of it.
    clean = batch["unlabelled"]["audio"]
    teacher = outcomes(logits_of(model, params, clean), task)
    student = outcomes(logits_of(model, params, clean + 0.5), task)
    if settings["targets"] == "hard":
        target = (teacher == teacher.max(-1, keepdims=True)).astype("f8")
    else:
        target = teacher ** (1 / settings["temperature"])
        target /= target.sum(-1, keepdims=True)
    each = -(target * np.log(student)).sum(-1)
    if settings["unlabelled_loss"] == "kl":
        each += (target * np.log(np.maximum(target, 1e-300))).sum(-1)
    # For tags this is one of each tag.
    kept = teacher.max(-1) >= threshold
    assert not threshold or 0 < kept[5:].mean() < 1
    unlabelled = (each * kept).mean(-1)[5:].mean()

    heard = batch["audio"] + 0.5 * (name == "pseudo_label")
    known = outcomes(logits_of(model, params, heard), task)
    if task == "single_label":
        labelled = -np.log(known[np.arange(4), 0, batch["label"]])
    else:
        labelled = -np.log(np.where(batch["label"] == 1, known[..., 0], known[..., 1])).mean(-1)
    np.testing.assert_allclose(
        result.per_example, labelled + settings["weight"] * unlabelled, rtol=1e-4
    )
    expected = {
        "labelled_loss": labelled,
        "unlabelled_loss": np.full(4, unlabelled),
        "pseudo_labels_kept": np.full(4, kept[5:].mean()),
        "unlabelled_weight": np.full(4, settings["weight"]),
    }
    if task == "single_label":
        expected["accuracy"] = known[:, 0].argmax(-1) == batch["label"]
    assert set(result.metrics) == set(expected)
    for metric, values in expected.items():
        np.testing.assert_allclose(result.metrics[metric], values, rtol=1e-4, err_msg=metric)


@pytest.mark.parametrize("teacher", [{}, EMA], ids=["self", "ema"])
@pytest.mark.slow_beyond(1)
def test_identical_views_are_consistent(teacher):
    def of_views(chains):
        objective = start(small_model(), chains=chains, teacher_view="augmented", **SOFT, **teacher)
        params, state, loss = objective
        return float(loss(params, state, batch_of(4), KEY).metrics["unlabelled_loss"][0])

    assert abs(of_views(Chains())) < 1e-6
    noise = Chains(waveform=lambda key, x: x + 0.1 * jax.random.normal(key, x.shape))
    assert of_views(noise) > 1e-4


@pytest.mark.parametrize("view", ["clean", "augmented"])
@pytest.mark.slow_beyond(1)
def test_no_gradient_reaches_the_teacher(view):
    model, batch = point_model(), points(8, task="single_label")
    params, state, loss = start(model, teacher_view=view, chains=SHIFT, **SOFT, **EMA)
    # Another student, or there would be nothing to learn from the same view.
    moved = jax.tree.map(lambda leaf: np.float32(0.7) * leaf, jax.device_get(params))

    def unlabelled_loss(params, teacher):
        held = state | {"teacher": teacher, "step": 1000}
        return loss(params, held, batch, KEY).metrics["unlabelled_loss"][0]

    gradient = jax.jit(jax.grad(unlabelled_loss, argnums=(0, 1)))
    student, teacher = gradient(moved, state["teacher"])
    assert all((np.asarray(leaf) == 0).all() for leaf in jax.tree.leaves(teacher))
    assert all((np.asarray(leaf) != 0).any() for leaf in jax.tree.leaves(student))


@pytest.mark.slow
def test_the_network_as_its_own_teacher_is_a_constant():
    model, batch = point_model(), points(8, task="single_label")
    params, state, loss = start(model, chains=SHIFT, **SOFT)
    clean = batch["unlabelled"]["audio"]
    target = outcomes(logits_of(model, params, clean), "single_label")[:, 0]

    def by_hand(params):
        outputs = model.module.apply({"params": params["model"]}, clean + 0.5, train=False)
        log_p = jax.nn.log_softmax(outputs["logits"])
        return (target * (jnp.log(target) - log_p)).sum(-1).mean()

    def through_objective(params):
        return loss(params, state, batch, KEY).metrics["unlabelled_loss"][0]

    jax.tree.map(
        lambda got, expected: np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-6),
        *jax.jit(lambda p: (jax.grad(through_objective)(p), jax.grad(by_hand)(p)))(params),
    )


@pytest.mark.slow
def test_the_teacher_is_the_average():
    params, state, loss = start(small_model(), **EMA | {"momentum": 0.6}, **SOFT)
    average, params = None, jax.device_get(params)
    for step, momentum in enumerate((0, 1 / 2, 0.6, 0.6)):  # 1 - 1 / (step + 1), at most 0.6
        params = jax.tree.map(lambda leaf: leaf + np.float32(0.1), params)
        student = {"params": params["model"], **jax.device_get(state["model"])}
        result = loss(params, state, batch_of(4, seed=step), KEY)
        state = jax.device_get(result.state)
        if average is None:
            average = student
        average = jax.tree.map(
            lambda old, new, m=momentum: m * old + (1 - m) * new, average, student
        )
        np.testing.assert_allclose(result.metrics["teacher_momentum"], momentum, rtol=1e-6)
        jax.tree.map(
            lambda got, expected: np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6),
            state["teacher"],
            average,
        )
    assert state["step"] == 4


def test_the_weight_rises():
    params, state, loss = start(point_model(), ramp_up_steps=2, weight=3.0)
    batch, seen = points(4, task="single_label"), []
    for _ in range(4):
        result = loss(params, state, batch, KEY)
        state = result.state
        seen.append(float(result.metrics["unlabelled_weight"][0]))
    np.testing.assert_allclose(seen, 3 * np.exp([-5, -1.25, 0, 0]), rtol=1e-5)


def test_padding_does_not_count():
    params, state, loss = start(point_model(), chains=SHIFT, **SOFT)
    batch = points(8, task="single_label")
    batch["unlabelled"]["valid"][2:5] = 0
    before = loss(params, state, batch, KEY)
    batch["unlabelled"]["audio"][2:5] = 1e3
    after = loss(params, state, batch, KEY)
    np.testing.assert_array_equal(before.per_example, after.per_example)
    batch["unlabelled"]["audio"][5] = 1e3
    assert np.abs(loss(params, state, batch, KEY).per_example - after.per_example).min() > 1e-3
    # Without any unlabelled song, what is left is supervised learning.
    batch["unlabelled"]["valid"][:] = 0
    alone = loss(params, state, batch, KEY)
    np.testing.assert_array_equal(alone.per_example, alone.metrics["labelled_loss"])


@pytest.mark.parametrize(
    ("schedule", "step", "share"),
    [("linear", 3, 0.3), ("log", 1, 1 - np.exp(-0.5)), ("exp", 7, np.exp(-1.5))],
)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.slow_beyond(2)
def test_annealing_leaves_out_what_is_right(task, schedule, step, share):
    model, batch = point_model(), points(4, task=task, seed=1)
    batch["valid"][3] = 0
    params, state, loss = start(model, task=task, weight=0.0, annealing=schedule)
    result = loss(params, state | {"step": step}, batch, KEY)
    known = outcomes(logits_of(model, params, batch["audio"]), task)
    if task == "single_label":
        right = known[np.arange(4), 0, batch["label"]]
        left = right <= (1 + share) / 2
        assert 0 < left[:3].sum() < 3
        expected = (left * -np.log(right))[:3].sum() / left[:3].sum()
        got = result.metrics["labelled_loss"][:3].mean()
    else:
        right = np.where(batch["label"] == 1, known[..., 0], known[..., 1])
        left = right <= (1 + share) / 2
        assert 0 < left.mean() < 1
        expected = (left * -np.log(right)).sum(-1) / np.maximum(left.sum(-1), 1)
        got = result.metrics["labelled_loss"]
    np.testing.assert_allclose(got, expected, rtol=1e-4)
    np.testing.assert_allclose(result.metrics["labelled_kept"], left.reshape(4, -1).mean(-1))
    # At the end all of them count.
    last = loss(params, state | {"step": 10}, batch, KEY).metrics
    np.testing.assert_allclose(last["labelled_kept"], 1)


@pytest.mark.slow
def test_the_same_on_one_and_eight_devices():
    noise = Chains(waveform=lambda key, x: x + 0.1 * jax.random.normal(key, x.shape))
    settings = METHODS["mean_teacher"] | {"ramp_up_steps": 0, "chains": noise}
    objective = made(consistency, small_model(), task="single_label", total_steps=10, **settings)
    initial, batch = jax.jit(objective.init)(KEY), batch_of(8)
    one, eight = (gradients(objective, initial, batch, num_devices=n) for n in (1, 8))
    assert one[0][1][1]["unlabelled_loss"][0] > 1e-4
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-5), one, eight)


def for_points(name):
    """A method, with lengths and a weight for 300 steps and two outputs."""
    changed = {
        "pi_model": {"weight": 20.0},
        "mean_teacher": {"weight": 20.0, "momentum": 0.95},
        # Without a threshold it holds on to the mistakes of its first guesses.
        "pseudo_label": {"threshold": 0.95},
    }
    settings = METHODS[name] | changed.get(name, {})
    if "ramp_up_steps" in settings:
        settings["ramp_up_steps"] = 150
    return settings


@pytest.mark.parametrize(
    ("name", "task"),
    [(name, "single_label") for name in METHODS]
    + [("mean_teacher", "multi_label"), ("fixmatch", "multi_label")],
)
@pytest.mark.slow
def test_unlabelled_points_help(name, task):
    model, settings = point_model(), {"task": task, "chains": jitter(0.15)}
    objective = made(consistency, model, total_steps=300, **settings, **for_points(name))
    helped = accuracies(model, objective, task=task)
    assert 1 - helped.mean() < (1 - labels_alone(task).mean()) / 2


def test_methods_are_settings():
    for settings in METHODS.values():
        made(consistency, point_model(), task="single_label", total_steps=10, **settings)
        made(consistency, point_model(), task="multi_label", total_steps=10, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"task": "regression"},
            "objective.name is 'consistency', for the tasks single_label, mul",
        ),
        ({"teacher": "other"}, "objective.args.teacher is 'other'; allowed: self, ema"),
        ({"teacher_view": "noisy"}, "teacher_view is 'noisy'; allowed: augmented, clean"),
        ({"labelled_view": "weak"}, "labelled_view is 'weak'; allowed: augmented, clean"),
        ({"targets": "firm"}, "targets is 'firm'; allowed: soft, sharpened, hard"),
        ({"unlabelled_loss": "l1"}, "unlabelled_loss is 'l1'; allowed: cross_entropy, kl, squared"),
        ({"annealing": "fast"}, "annealing is 'fast'; allowed: none, linear, log, exp"),
        ({"temperature": 0.5}, "temperature is 0.5, which does nothing .* 'hard'; leave it at 1"),
        ({"targets": "sharpened"}, "temperature is 1.0; it must be between 0 and 1 for "),
        ({"targets": "sharpened", "temperature": 0}, "temperature is 0; it must be between"),
        ({"threshold": 1.0}, "threshold is 1.0; it must be 0, which keeps everything, or between"),
        ({"threshold": 0.5}, "threshold is 0.5; .*between 0.5, which every prediction reaches"),
        ({"threshold": -0.1}, "threshold is -0.1; it must be 0"),
        ({"weight": -1.0}, "objective.args.weight is -1.0; it must be at least 0"),
        ({"ramp_up_steps": -1}, "objective.args.ramp_up_steps is -1; it must be at least 0"),
        ({"momentum": 0.9}, "momentum is 0.9, which does nothing for .*teacher 'self'"),
        ({"teacher": "ema"}, "momentum is 0.0; for objective.args.teacher 'ema' it must be betw"),
        ({"teacher": "ema", "momentum": 1.0}, "momentum is 1.0; for objective.args.teacher 'ema'"),
    ],
)
def test_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        start(point_model(), **settings)
