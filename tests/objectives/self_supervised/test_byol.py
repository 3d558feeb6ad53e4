"""BYOL's loss, target and schedule."""

import functools

import jax
import numpy as np
import pytest

from mclf_jax.objectives import heads, momentum, views
from mclf_jax.objectives.self_supervised.byol import byol
from tests.objectives.material import made, small_model, songs

KEY = jax.random.key(0)
SIZES = {"projector": (16, 8), "predictor": (12, 8)}


@functools.cache
def start(**settings):
    """(params, state, compiled loss), of one program for all tests that ask for the same."""
    objective = made(byol, small_model(), **SIZES | {"total_steps": 10} | settings)
    initial = jax.jit(objective.init)(KEY)
    return initial["params"], initial["state"], jax.jit(objective.loss)


@pytest.mark.slow
def test_each_view_predicts_the_other():
    params, state, loss = start()
    # The target of the first step is the network itself.
    batch = songs(8, seed=0)
    result = loss(params, state, batch, KEY)
    model = small_model()

    @jax.jit
    def passed(params, state, audio):
        def through(name, widths, x):
            head = heads.MLP(widths, norm="batch_norm")
            return heads.apply(head, params[name], state[name], x, mode="train")[0]

        x = model.inputs({"audio": audio})
        outputs, _ = model.apply_train(params["model"], state["model"], x, key=KEY)
        projected = through("projector", (16, 8), outputs["embedding"])
        return through("predictor", (12, 8), projected), projected

    both = passed(params, state, batch["audio"].reshape(16, -1))
    p, z = (np.asarray(a, "f8").reshape(8, 2, 8) for a in both)
    p, z = (a / np.linalg.norm(a, axis=-1, keepdims=True) for a in (p, z))
    expected = 4 - 2 * (p[:, 0] * z[:, 1]).sum(-1) - 2 * (p[:, 1] * z[:, 0]).sum(-1)
    np.testing.assert_allclose(result.per_example, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_target_follows_by_its_parameters_alone():
    params, state, loss = start(momentum=0.75, momentum_schedule="constant")
    params = jax.device_get(params)
    moved = jax.tree.map(lambda leaf: leaf + 1, params)
    batch = songs(8, seed=0)
    new = jax.device_get(loss(moved, state, batch, KEY).state)
    followed = {name: params[name] for name in ("model", "projector")}
    jax.tree.map(
        lambda old, average: np.testing.assert_allclose(average, old + 0.25, rtol=1e-5),
        followed,
        new["target"]["params"],
    )
    # Its statistics come from what it hears itself: both networks are the same at the start.
    same = loss(params, state, batch, KEY).state
    for name in ("model", "projector"):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
            same["target"][name],
            same[name],
        )
    assert any(
        np.abs(a - b).max() > 1e-3
        for a, b in zip(
            jax.tree.leaves(new["target"]["model"]), jax.tree.leaves(new["model"]), strict=True
        )
    )


@pytest.mark.slow
def test_no_gradient_reaches_the_target():
    params, state, loss = start()
    batch = songs(8, seed=0)

    def through_target(target):
        kept = state | {"target": state["target"] | {"params": target}}
        return loss(params, kept, batch, KEY).per_example.sum()

    for leaf in jax.tree.leaves(jax.jit(jax.grad(through_target))(state["target"]["params"])):
        assert (np.asarray(leaf) == 0).all()


@pytest.mark.slow
def test_momentum_rises_to_one():
    def at(step, schedule="cosine"):
        return float(momentum.momentum_at(step, base=0.99, schedule=schedule, total_steps=10))

    np.testing.assert_allclose([at(0), at(5), at(10), at(12)], [0.99, 0.995, 1, 1], rtol=1e-6)
    assert at(7, "constant") == 0.99
    params, state, loss = start(momentum=0.99)
    seen = []
    for step in range(3):
        result = loss(params, state, songs(8, seed=step), KEY)
        state = result.state
        seen.append(float(result.metrics["target_momentum"][0]))
    np.testing.assert_allclose(seen, [at(0), at(1), at(2)], rtol=1e-6)


def test_published_sizes():
    model = small_model()
    params = jax.eval_shape(made(byol, model, total_steps=10).init, KEY)["params"]
    size = views.embedding_size(model)
    assert params["projector"]["0"]["kernel"].shape == (size, 4096)
    assert params["projector"]["3"]["kernel"].shape == (4096, 256)
    assert params["predictor"]["0"]["kernel"].shape == (256, 4096)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"predictor": (12, 9)}, r"projector is \(16, 8\) and .*predictor \(12, 9\); the last"),
        ({"predictor": ()}, "the last width of both must be the same"),
        ({"momentum": -0.1}, r"objective.args.momentum is -0.1; it must be in \[0, 1\]"),
        ({"momentum_schedule": "linear"}, "momentum_schedule is 'linear'; allowed: constant"),
        ({"predictor_norm": "group"}, "predictor_norm is 'group'; allowed: none, batch_norm"),
    ],
)
def test_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        start(**settings)
