"""Optimisers and schedules against hand-computed updates."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mclf_jax import models
from mclf_jax.config import base
from mclf_jax.models import layer_rates
from mclf_jax.train import optim

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
    np.testing.assert_allclose(first_update(name="momentum")["kernel"], -0.1 * 0.5, rtol=1e-5)
    # Adam's first update has length one whatever is added to the gradient; AdamW's has not.
    np.testing.assert_allclose(first_update(name="adam", weight_decay=0.1)["kernel"], -0.1, 1e-4)
    update = first_update(name="adamw", weight_decay=0.1)
    np.testing.assert_allclose(update["kernel"], -0.1 * (1 + 0.1 * 2), rtol=1e-4)
    np.testing.assert_allclose(update["bias"], -0.1, rtol=1e-4)
    update = first_update(name="adamw", weight_decay=0.1, decay_mask="all")
    np.testing.assert_allclose(update["bias"], -0.1 * (1 + 0.1 * 2), rtol=1e-4)


def test_lars_follows_the_paper():
    """Kernels by the ratio of lengths; biases by plain momentum and without decay."""
    rng = np.random.default_rng(0)
    params = {"kernel": rng.standard_normal((4, 3)), "bias": rng.standard_normal(3)}
    transform = optim.build(
        config(name="lars", learning_rate=0.3, weight_decay=0.01), total_steps=10
    ).transform
    ours = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), params)
    state, momentum = transform.init(ours), {"kernel": 0.0, "bias": 0.0}
    for _ in range(4):
        grads = {name: rng.standard_normal(leaf.shape) for name, leaf in params.items()}
        updates, state = transform.update(
            jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), grads), state, ours
        )
        ours = optax.apply_updates(ours, updates)
        kernel = params["kernel"]
        grad = grads["kernel"] + 0.01 * kernel
        local_rate = 0.001 * np.linalg.norm(kernel) / np.linalg.norm(grad)
        momentum["kernel"] = 0.9 * momentum["kernel"] + local_rate * grad
        momentum["bias"] = 0.9 * momentum["bias"] + grads["bias"]
        params = {name: params[name] - 0.3 * momentum[name] for name in params}
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), ours, params)


def test_lars_leaves_kernels_without_a_gradient_alone():
    # The last layer of a network has none while it learns without labels.
    transform = optim.build(config(name="lars"), total_steps=10).transform
    nothing = jax.tree.map(jnp.zeros_like, GRADS)
    updates, _ = transform.update(nothing, transform.init(PARAMS), PARAMS)
    assert all((np.asarray(leaf) == 0).all() for leaf in jax.tree.leaves(updates))


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


@pytest.mark.parametrize(("rule", "factor"), [("none", 1), ("linear", 16), ("sqrt", 4)])
def test_rates_for_larger_batches(rule, factor):
    section = config(learning_rate=0.1, phases=((6, "sgd", 0.05),), batch_rule=rule)
    scaled = optim.scaled_for_batch(section, batch_size=16 * section.base_batch_size)
    assert scaled.learning_rate == pytest.approx(0.1 * factor)
    assert scaled.phases[0][2] == pytest.approx(0.05 * factor)
    assert section.learning_rate == 0.1


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


NAMED = {"model": {"layer1": PARAMS, "layer2": PARAMS}, "projector": PARAMS}
NAMED_GRADS = {"model": {"layer1": GRADS, "layer2": GRADS}, "projector": GRADS}


def updates_of(section, *, num_steps, phase_steps=(), **settings):
    """The updates of each step, all from the same gradients."""
    built = optim.build(section, total_steps=10, phase_steps=phase_steps, **settings)
    state, update = built.transform.init(NAMED), jax.jit(built.transform.update)
    found = []
    for _ in range(num_steps):
        updates, state = update(NAMED_GRADS, state, NAMED)
        found.append(updates)
    return found


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", optim.OPTIMIZERS)
def test_frozen_parameters_have_no_update_and_no_state(name):
    frozen = {"layer1.kernel": sys.maxsize, "layer1.bias": sys.maxsize}
    section = config(name=name, weight_decay=0.1, decay_mask="all")
    free, held = (updates_of(section, num_steps=3, first_steps=first) for first in (None, frozen))
    for some, fewer in zip(free, held, strict=True):
        assert all((leaf == 0).all() for leaf in jax.tree.leaves(fewer["model"]["layer1"]))
        assert all((leaf != 0).all() for leaf in jax.tree.leaves(some["model"]["layer1"]))
        for part in ("layer2", "projector"):
            both = [{**tree["model"], **tree}[part] for tree in (some, fewer)]
            jax.tree.map(np.testing.assert_array_equal, *both)
    transforms = [
        optim.build(section, total_steps=10, first_steps=first).transform
        for first in (None, frozen)
    ]
    sizes = [
        sum(leaf.size for leaf in jax.tree.leaves(transform.init(NAMED)) if leaf.ndim)
        for transform in transforms
    ]
    assert sizes[1] == sizes[0] * 2 // 3


@pytest.mark.slow_beyond(1)
@pytest.mark.usefixtures("full_compiles")
@pytest.mark.parametrize("name", optim.OPTIMIZERS)
def test_unfrozen_parameters_start_as_with_a_new_optimiser(name):
    section = config(name=name, weight_decay=0.1)
    late = {"layer1.kernel": 3, "layer1.bias": 3}
    free = updates_of(section, num_steps=3)
    held = updates_of(section, num_steps=6, first_steps=late)
    for updates in held[:3]:
        assert all((leaf == 0).all() for leaf in jax.tree.leaves(updates["model"]["layer1"]))
    for some, later in zip(free, held[3:], strict=True):
        jax.tree.map(
            np.testing.assert_array_equal, some["model"]["layer1"], later["model"]["layer1"]
        )


def test_unfreezing_within_phases():
    """What is unfrozen in a phase starts with its rule, and goes on with the next one."""
    section = config(name="adam", phases=((1, "sgd", 0.05), (2, "adam", 0.01)))
    late = {"layer1.kernel": 4, "layer1.bias": 4, "layer2.kernel": sys.maxsize}
    updates = updates_of(section, num_steps=7, phase_steps=(3, 6), first_steps=late)
    kernels = [float(step["model"]["layer1"]["kernel"][0, 0]) for step in updates]
    # Nesterov's first two updates are 1.9 and 2.71 gradients, Adam's has length one.
    expected = [0.0] * 4 + [-0.05 * 1.9 * 0.5, -0.05 * 2.71 * 0.5, -0.01]
    np.testing.assert_allclose(kernels, expected, rtol=1e-5)
    biases = [float(step["model"]["layer2"]["bias"][0]) for step in updates]
    assert all(biases) and not any(
        (step["model"]["layer2"]["kernel"] != 0).any() for step in updates
    )


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", optim.OPTIMIZERS)
def test_rates_scale_updates_exactly(name):
    section = config(name=name, weight_decay=0.1)
    plain = updates_of(section, num_steps=3)
    factors = {"layer1.kernel": 0.25, "layer2.bias": 2.0}
    scaled = updates_of(section, num_steps=3, factors=factors, head_factors={"projector.bias": 0.5})
    for some, other in zip(plain, scaled, strict=True):
        expected = jax.tree.map(np.asarray, some)
        expected["model"]["layer1"]["kernel"] = 0.25 * expected["model"]["layer1"]["kernel"]
        expected["model"]["layer2"]["bias"] = 2 * expected["model"]["layer2"]["bias"]
        expected["projector"]["bias"] = 0.5 * expected["projector"]["bias"]
        # Powers of two: not a bit of difference.
        jax.tree.map(np.testing.assert_array_equal, other, expected)


def small_network(name="short_chunk_cnn", **changes):
    changes = {"n_channels": 4} | changes
    return models.build(name, num_labels=3, **changes)


def test_layers_in_the_order_of_the_network():
    def modules(model):
        return [
            sorted({name.split(".")[0] for name in layer}) for layer in layer_rates.layers(model)
        ]

    assert modules(small_network(num_blocks=3)) == [
        ["layer1", "spec_bn"],
        ["layer2"],
        ["layer3"],
        ["bn", "dense1"],
        ["dense2"],
    ]
    transformer = models.build("music_tagging_transformer", num_labels=3, num_layers=2)
    names = [set(layer) for layer in layer_rates.layers(transformer)]
    assert len(names) == 7
    assert {"frontend.input_bn.scale", "frontend.layer1.conv_1.kernel"} <= names[0]
    assert {"frontend.fc.kernel", "cls_token", "pos_embedding"} <= names[3]
    assert "transformer.layers.1.0.fn.norm.scale" in names[5]
    assert names[6] == {"mlp_head.1.kernel", "mlp_head.1.bias"}


def test_layer_decay_and_rates_by_pattern():
    model = small_network(num_blocks=2)
    factors = layer_rates.factors(model, layer_decay=0.5)
    assert factors["spec_bn.bias"] == factors["layer1.conv.kernel"] == 0.125
    assert (factors["layer2.bn.scale"], factors["dense1.kernel"]) == (0.25, 0.5)
    assert not {"dense2.kernel", "dense2.bias"} & factors.keys()
    rates = (("layer*", 0.1), ("layer2.bn", 4.0), ("{head}", 10.0))
    factors = layer_rates.factors(model, layer_decay=0.5, rates=rates)
    assert factors["layer1.conv.bias"] == pytest.approx(0.0125)
    assert "layer2.bn.scale" not in factors  # 4 times a quarter
    assert factors["dense2.kernel"] == 10
    assert layer_rates.factors(model) == {}


def test_rates_of_what_is_beside_the_network():
    params = {"model": {"predictor": {"bias": 0}}, "predictor": {"bias": 0, "kernel": 0}}
    params["workers"] = {"lim": {"bias": 0}, "spc": {"bias": 0}}
    factors = layer_rates.head_factors(params, (("predictor", 10.0), ("workers.*", 0.5)))
    assert factors.pop("predictor.bias") == factors.pop("predictor.kernel") == 10
    assert factors == {"workers.lim.bias": 0.5, "workers.spc.bias": 0.5}
    with pytest.raises(ValueError, match=r"head_rates\[0\] has 'model', .*: predictor, workers"):
        layer_rates.head_factors(params, (("model", 2.0),))
    with pytest.raises(ValueError, match=r"optim.head_rates\[1\] is 0.0; it must be positive"):
        layer_rates.head_factors(params, (("workers", 2.0), ("predictor", 0.0)))


def test_errors_of_rates():
    model = small_network()
    with pytest.raises(ValueError, match=r"optim.layer_decay is 1.5; it must be in \(0, 1\]"):
        layer_rates.factors(model, layer_decay=1.5)
    with pytest.raises(ValueError, match=r"optim.rates\[1\] is 0; it must be positive"):
        layer_rates.factors(model, rates=(("layer1", 2.0), ("layer2", 0)))
    with pytest.raises(ValueError, match=r"optim.rates\[0\] has 'layer9', which is no part"):
        layer_rates.factors(model, rates=(("layer9", 2.0),))


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_a_whole_optimiser_of_optax_is_as_ours(weight_decay):
    """With the schedule, clipping, factors by name, and where it starts late."""
    changes = {"schedule": "linear", "grad_clip_norm": 1.0, "warmup_steps": 3}
    params, grads = {"model": PARAMS}, {"model": GRADS}
    how = {"total_steps": 10, "factors": {"bias": 0.5}, "first_steps": {"bias": 4}}

    def run(section):
        transform = optim.build(section, **how).transform
        ours, state = params, transform.init(params)
        for _ in range(8):
            updates, state = transform.update(grads, state, ours)
            ours = optax.apply_updates(ours, updates)
        return ours

    named = config(name="adamw", weight_decay=weight_decay, decay_mask="all", **changes)
    outside = config(name="optax:adamw", args={"weight_decay": weight_decay}, **changes)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), run(named), run(outside))
    direction = run(config(name="optax:scale_by_adam", **changes))
    plain = run(config(name="adam", **changes))
    jax.tree.map(np.testing.assert_array_equal, direction, plain)


def test_arguments_of_optimisers():
    same = first_update(name="momentum")["kernel"]
    assert (first_update(name="momentum", args={"decay": 0.5})["kernel"] == same).all()
    tied = first_update(name="optax:sgd", args={"momentum": 0.9, "nesterov": True})["kernel"]
    np.testing.assert_allclose(tied, first_update(name="sgd")["kernel"])
    with pytest.raises(ValueError, match="optim.args has b3; adam takes b1, b2"):
        first_update(name="adam", args={"b3": 0.1})
    with pytest.raises(ValueError, match="optim.weight_decay is 0.1, but optim.name is 'optax:"):
        first_update(name="optax:sgd", weight_decay=0.1)
    with pytest.raises(ValueError, match=r"optim.phases\[0\]\[1\] is 'optax:sgd'"):
        phases = config(name="adam", phases=((1.0, "optax:sgd", 0.1),))
        optim.build(phases, total_steps=10, phase_steps=[5])


def test_schedules_of_optax():
    def rates(**changes):
        schedule = optim.schedule(config(**changes), total_steps=20)
        return np.array([schedule(step) for step in range(20)])

    np.testing.assert_allclose(
        rates(schedule="optax:cosine_onecycle_schedule", schedule_args={"pct_start": 0.25}),
        [optax.cosine_onecycle_schedule(20, 0.1, pct_start=0.25)(step) for step in range(20)],
    )
    np.testing.assert_allclose(
        rates(schedule="optax:warmup_cosine_decay_schedule", warmup_steps=5),
        [optax.warmup_cosine_decay_schedule(0.0, 0.1, 5, 20)(step) for step in range(20)],
    )
    steps = rates(
        schedule="optax:piecewise_constant_schedule",
        schedule_args={"boundaries_and_scales": {"10": 0.1}},
    )
    np.testing.assert_allclose(steps, [0.1] * 10 + [0.01] * 10, rtol=1e-6)
    assert rates(schedule="cosine", schedule_args={"alpha": 0.5}).min() >= 0.05
    with pytest.raises(ValueError, match="lacks decay_rate, which optax:exponential_decay needs"):
        rates(schedule="optax:exponential_decay")
