"""Optimisers and schedules against hand-computed updates."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mclf_jax import optim
from mclf_jax.config import base

PARAMS = {"kernel": jnp.full((2, 2), 2.0), "bias": jnp.full((2,), 2.0)}
GRADS = {"kernel": jnp.full((2, 2), 0.5), "bias": jnp.full((2,), 0.5)}


def config(**changes):
    section = base().optim
    section.update({"learning_rate": 0.1, **changes})
    return section


def first_update(**changes):
    transform = optim.build(config(**changes), total_steps=10).transform
    return transform.update(GRADS, transform.init(PARAMS), PARAMS)[0]


def test_coupled_decay_enters_the_gradient_and_decoupled_the_update():
    # SGD with Nesterov momentum: the first update is 1.9 gradients.
    update = first_update(name="sgd", weight_decay=0.1)
    np.testing.assert_allclose(update["kernel"], -0.1 * 1.9 * (0.5 + 0.1 * 2), rtol=1e-5)
    np.testing.assert_allclose(update["bias"], -0.1 * 1.9 * 0.5, rtol=1e-5)
    # Adam's first update has length one whatever is added to the gradient; AdamW's has not.
    np.testing.assert_allclose(first_update(name="adam", weight_decay=0.1)["kernel"], -0.1, 1e-4)
    update = first_update(name="adamw", weight_decay=0.1)
    np.testing.assert_allclose(update["kernel"], -0.1 * (1 + 0.1 * 2), rtol=1e-4)
    np.testing.assert_allclose(update["bias"], -0.1, rtol=1e-4)
    update = first_update(name="adamw", weight_decay=0.1, decay_mask="all")
    np.testing.assert_allclose(update["bias"], -0.1 * (1 + 0.1 * 2), rtol=1e-4)


def test_clipping_bounds_the_whole_gradient():
    update = first_update(name="sgd", grad_clip_norm=0.1)
    norm = np.sqrt(sum((np.asarray(leaf) ** 2).sum() for leaf in update.values()))
    np.testing.assert_allclose(norm, 0.1 * 1.9 * 0.1, rtol=1e-5)


@pytest.mark.parametrize("name", optim.OPTIMIZERS)
def test_every_optimiser_descends(name):
    transform = optim.build(config(name=name, learning_rate=0.01), total_steps=100).transform
    params = {"x": jnp.array([3.0, -2.0])}
    state = transform.init(params)
    for _ in range(50):
        updates, state = transform.update({"x": 2 * params["x"]}, state, params)
        params = optax.apply_updates(params, updates)
    assert jnp.square(params["x"]).sum() < 13 * 0.9


def test_schedules():
    def rates(**changes):
        learning_rate = optim.build(config(**changes), total_steps=10).schedule
        return np.array([float(learning_rate(step)) for step in range(11)])

    np.testing.assert_allclose(rates(), 0.1, rtol=1e-6)
    warm = rates(warmup_steps=4)
    np.testing.assert_allclose(warm[:5], [0.025, 0.05, 0.075, 0.1, 0.1], rtol=1e-6)
    cosine = rates(schedule="cosine", warmup_steps=4)
    expected = 0.05 * (1 + np.cos(np.pi * np.arange(7) / 6))
    np.testing.assert_allclose(cosine[4:], expected, atol=1e-7)
    np.testing.assert_allclose(rates(schedule="linear"), 0.1 * (1 - np.arange(11) / 10), atol=1e-7)


LADDER = ((6, "sgd", 0.05), (10, "sgd", 0.005))


def ladder(phases=LADDER, phase_steps=(3, 5), **changes):
    section = config(name="adam", learning_rate=0.1, phases=phases, **changes)
    return optim.build(section, total_steps=10, phase_steps=phase_steps)


def test_phases_are_one_plain_optimiser_after_another():
    """Adam, then SGD that starts from nothing and keeps its momentum when its rate drops."""
    rng = np.random.default_rng(0)
    grads = rng.standard_normal((8, 3, 2))
    weights = rng.standard_normal((3, 2))

    x, mean, square, momentum = weights.copy(), 0.0, 0.0, 0.0
    expected = []
    for t, grad in enumerate(grads):
        grad = grad + 0.01 * x
        if t < 3:
            mean, square = 0.9 * mean + 0.1 * grad, 0.999 * square + 0.001 * grad**2
            root = np.sqrt(square / (1 - 0.999 ** (t + 1))) + 1e-8
            x = x - 0.1 * mean / (1 - 0.9 ** (t + 1)) / root
        else:
            momentum = 0.9 * momentum + grad
            x = x - (0.05 if t < 5 else 0.005) * (grad + 0.9 * momentum)
        expected.append(x)

    transform = ladder(weight_decay=0.01, decay_mask="all").transform
    params = {"x": jnp.asarray(weights, jnp.float32)}
    state, update = transform.init(params), jax.jit(transform.update)
    for grad, wanted in zip(grads, expected, strict=True):
        updates, state = update({"x": jnp.asarray(grad, jnp.float32)}, state, params)
        params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(params["x"], wanted, atol=1e-5)
    assert update._cache_size() == 1


def test_learning_rate_of_phases():
    built = ladder()
    rates = [float(built.schedule(step)) for step in range(10)]
    np.testing.assert_allclose(rates, [0.1] * 3 + [0.05] * 2 + [0.005] * 5, rtol=1e-6)
    assert built.phases == ((0, "adam", 0.1), (3, "sgd", 0.05), (5, "sgd", 0.005))
    # A run that ends before the last phase only never gets there.
    assert float(ladder(phase_steps=(3, 50)).schedule(9)) == pytest.approx(0.05)


def test_a_rule_that_comes_again_starts_afresh():
    transform = ladder(((1, "sgd", 0.1), (2, "adam", 0.1)), (2, 3)).transform
    state = transform.init(PARAMS)
    for sign in (1, 1, 1, -1):
        grads = jax.tree.map(lambda grad, sign=sign: sign * grad, GRADS)
        updates, state = transform.update(grads, state, PARAMS)
    # Adam's very first update has the sign of the gradient and the length of the rate.
    np.testing.assert_allclose(updates["kernel"], 0.1, rtol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match="optim.name is 'adamx'; allowed: adam, adamw"):
        optim.build(config(name="adamx"), total_steps=10)
    with pytest.raises(
        ValueError, match=r"optim.phases\[0\]\[1\] is 'adamx'; allowed: adam, adamw"
    ):
        ladder(((1, "adamx", 0.1),), (3,))
    with pytest.raises(ValueError, match="optim.warmup_steps is 10.*10 steps"):
        optim.build(config(warmup_steps=10), total_steps=10)
