"""Frozen parts do not move while the rest trains, and behave as in evaluation."""

import dataclasses
import functools

import flax.linen as nn
import jax
import numpy as np
import pytest

from mclf_jax import models
from mclf_jax.common import keys, parallel
from mclf_jax.config import base
from mclf_jax.models import freezing
from mclf_jax.models.freezing import NEVER, Freezing
from mclf_jax.objectives.self_supervised.byol import byol
from mclf_jax.objectives.supervised import supervised
from mclf_jax.run import checkpoint, restore
from mclf_jax.train import optim
from mclf_jax.train.step import init_state, make_train_step
from tests.objectives.material import made

FEATURES = {"n_mels": 8, "n_fft": 64, "hop_length": 32, "sample_rate_hz": 1000}
NAME = "short_chunk_cnn"


@functools.cache
def network(**changes):
    arguments = {"n_channels": 4, "num_blocks": 2, "dropout_rate": 0.0} | changes
    return models.build(NAME, num_labels=3, features=FEATURES, window_s=0.5, **arguments)


def batch(seed):
    rng = np.random.default_rng(seed)
    return {
        "audio": rng.standard_normal((8, 500)).astype(np.float32),
        "label": rng.integers(0, 3, 8),
        "valid": np.ones(8, np.float32),
    }


def settings(plan, **changes):
    section = base().optim
    section.update({"name": "adamw", "weight_decay": 0.1, "grad_clip_norm": 1.0, **changes})
    return optim.build(section, total_steps=100, first_steps=plan.first_steps)


def train(plan, *, num_steps, model=None, **changes):
    """States before and after each step, with a compiled step for each stage."""
    model, optimizer = model or network(), settings(plan, **changes)
    common = {"optimizer": optimizer, "ema_decay": 0.9}
    objectives = [
        made(supervised, plan.apply(model, stage=stage), task="single_label")
        for stage in range(len(plan.stages))
    ]
    steps = [jax.jit(make_train_step(objective=o, seed=0, **common)) for o in objectives]

    @jax.jit
    def first():
        state = init_state(keys.stream(0, "init"), objective=objectives[0], **common)
        # As if something had been learnt before.
        stats = jax.tree.map(lambda leaf: leaf + 0.5, state.model_state)
        return state.replace(model_state=stats, ema={**state.ema, "model_state": stats})

    states = [first()]
    for number in range(num_steps):
        state, _ = steps[plan.stage(number)](states[-1], batch(number))
        states.append(state)
    return states


def moved(old, new):
    """Names of the variables of the model that are not bit-identical."""
    trees = [
        {"params": state.params["model"], **state.model_state["model"]} for state in (old, new)
    ]
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), *jax.device_get(trees))
    leaves = jax.tree_util.tree_leaves_with_path(changed)
    return {".".join(part.key for part in path[1:]) for path, yes in leaves if yes}


def everything(model=None):
    leaves = jax.tree_util.tree_leaves_with_path(
        jax.eval_shape((model or network()).init, jax.random.key(0))
    )
    return {".".join(part.key for part in path[1:]) for path, _ in leaves}


def below(*modules, names=None):
    return {name for name in names or everything() if name.startswith(tuple(modules))}


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("remat", ["none", "blocks"])
def test_what_is_frozen_is_bit_identical_and_the_rest_moves(remat):
    model = dataclasses.replace(network(), module=network().module.clone(remat=remat))
    plan = freezing.plan(model, freeze=("spec_bn", "layer1"))
    assert plan.stages == (0,) and plan.text().endswith(" never")
    states = train(plan, num_steps=3, model=model)
    assert moved(states[0], states[-1]) == everything() - below("spec_bn.", "layer1.")
    average = {
        name: [state.ema[section]["model"] for state in (states[0], states[-1])]
        for name, section in (("params", "params"), ("statistics", "model_state"))
    }
    for before, after in average.values():
        before, after = (tree.get("batch_stats", tree)["layer1"] for tree in (before, after))
        jax.tree.map(np.testing.assert_array_equal, before, after)
    # The rule remembers nothing of it: only what trains has moments.
    frozen = below("spec_bn.", "layer1.") & names_of(states[0].params["model"])
    trained = names_of(states[0].params["model"]) - frozen
    moments = [leaf for leaf in jax.tree.leaves(states[0].opt_state) if leaf.ndim]
    assert len(moments) == 2 * len(trained)


def names_of(tree):
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {".".join(part.key for part in path) for path, _ in leaves}


def outputs_of(model, variables, x, *, mode):
    """Outputs of every module, and the new state."""

    @jax.jit
    def run(variables, x):
        seen = {}

        def record(function, args, kwargs, context):
            seen[context.module.path] = function(*args, **kwargs)
            return seen[context.module.path]

        state = {name: tree for name, tree in variables.items() if name != "params"}
        with nn.intercept_methods(record):
            if mode == "evaluate":
                model.module.apply(variables, x, train=False)
            else:
                _, state = model.apply_train(variables["params"], state, x, key=jax.random.key(1))
        return seen, state

    return jax.device_get(run(variables, x))


def variables_of(model):
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    return jax.tree.map(lambda leaf: rng.uniform(0.5, 1, leaf.shape).astype("f4"), shapes)


@pytest.mark.slow
def test_frozen_modules_do_what_they_do_in_evaluation():
    model = network()
    variables = variables_of(model)
    x = model.inputs(batch(0))
    evaluated, _ = outputs_of(model, variables, x, mode="evaluate")
    names = frozenset(below("spec_bn.", "layer1.", "bn."))
    frozen = dataclasses.replace(model, frozen=names)
    seen, state = outputs_of(frozen, variables, x, mode="train")
    for path in (("spec_bn",), ("layer1", "bn"), ("layer1",), ("layer2", "conv")):
        np.testing.assert_array_equal(seen[path], evaluated[path])
    assert not np.allclose(seen[("layer2", "bn")], evaluated[("layer2", "bn")], atol=0.01)
    kept, old = state["batch_stats"], variables["batch_stats"]
    for module in ("spec_bn", "layer1", "bn"):
        jax.tree.map(np.testing.assert_array_equal, kept[module], old[module])
    assert (kept["layer2"]["bn"]["mean"] != old["layer2"]["bn"]["mean"]).all()
    # With all but the last layer frozen, training computes what evaluation does.
    plan = freezing.plan(model, freeze=("*", "!{head}"))
    seen, state = outputs_of(plan.apply(model, stage=0), variables, x, mode="train")
    np.testing.assert_array_equal(seen[()]["logits"], evaluated[()]["logits"])
    jax.tree.map(np.testing.assert_array_equal, state, {"batch_stats": old})


@pytest.mark.slow
def test_dropout_inside_frozen_modules_is_off():
    """And the one between modules is not: it is for what learns behind it."""
    model = models.build(
        "music_tagging_transformer",
        num_labels=2,
        features=FEATURES,
        window_s=0.5,
        conv_channels=4,
        attention_dim=8,
        num_heads=2,
        num_layers=2,
        dropout_rate=0.5,
    )
    variables, x = variables_of(model), model.inputs(batch(0))
    plan = freezing.plan(model, freeze=("transformer.layers.0",))
    assert not [name for name in plan.first_steps if not name.startswith("transformer.layers.0.")]

    @jax.jit
    def run(params, state):
        calls = {}

        def record(function, args, kwargs, context):
            result = function(*args, **kwargs)
            if isinstance(context.module, nn.Dropout):
                calls[context.module.path] = (result == args[0]).all()
            return result

        with nn.intercept_methods(record):
            plan.apply(model, stage=0).apply_train(params, state, x, key=jax.random.key(0))
        return calls

    calls = run(variables["params"], {"batch_stats": variables["batch_stats"]})
    off = {path for path, same in calls.items() if same}
    assert off == {path for path in calls if path[0] == "transformer.layers.0"} and off
    assert ("Dropout_0",) in calls


@pytest.mark.slow
def test_statistics_alone_can_be_frozen():
    model = network()
    plan = freezing.plan(model, freeze=("*.mean", "*.var"))
    states = train(plan, num_steps=2)
    statistics = {name for name in everything() if name.endswith((".mean", ".var"))}
    assert moved(states[0], states[-1]) == everything() - statistics
    variables, x = variables_of(model), model.inputs(batch(0))
    evaluated, _ = outputs_of(model, variables, x, mode="evaluate")
    seen, _ = outputs_of(plan.apply(model, stage=0), variables, x, mode="train")
    np.testing.assert_array_equal(seen[()]["logits"], evaluated[()]["logits"])


def test_statistics_go_with_their_parameters():
    plan = freezing.plan(
        network(), freeze=("*.kernel", "*.bias", "*.scale", "!{head}"), unfreeze=((5, "layer2"),)
    )
    assert plan.first_steps["layer1.bn.mean"] == plan.first_steps["layer1.bn.scale"] == NEVER
    assert plan.first_steps["layer2.bn.var"] == plan.first_steps["layer2.conv.kernel"] == 5
    # As long as one parameter of the module trains, they follow the batches.
    assert not freezing.plan(network(), freeze=("*.kernel",)).first_steps.get("layer1.bn.mean")


@pytest.mark.slow
def test_unfreezing_step_by_step(tmp_path):
    plan = freezing.plan(
        network(), freeze=("*", "!{head}"), unfreeze=((2, "layer2"), (4, "*"), (2, "dense1"))
    )
    assert plan.stages == (0, 2, 4)
    assert [plan.stage(step) for step in range(6)] == [0, 0, 1, 1, 2, 2]
    states = train(plan, num_steps=5)
    steps = [moved(old, new) for old, new in zip(states, states[1:], strict=False)]
    head, more = below("dense2."), below("dense2.", "layer2.", "dense1.")
    assert steps == [head, head, more, more, everything()]
    counts = plan.num_parameters
    assert set(counts) == {0, 2, 4}
    assert plan.text() == (
        f"{counts[0]} of {sum(counts.values())} parameters train from the start, "
        f"{counts[2]} after step 2, {counts[4]} after step 4"
    )
    # A stage that a run goes on in is found by the step, and its state by the checkpoint.
    checkpoints = checkpoint.open_checkpoints(tmp_path)
    checkpoint.save(checkpoints, 3, state=states[3], progress={})
    shardings = parallel.param_shardings(states[3], parallel.make_mesh(1), strategy="replicated")
    checkpoint.close(checkpoints)
    restored = restore.restore_latest(tmp_path, checkpoint.abstract_like(states[3], shardings))
    jax.tree.map(np.testing.assert_array_equal, restored["state"], states[3])


@pytest.mark.slow
def test_the_backward_pass_ends_at_what_trains():
    model, audio = network(), batch(0)["audio"]
    variables = variables_of(model)

    def flops(model):
        def loss(params):
            state = {"batch_stats": variables["batch_stats"]}
            x = model.inputs({"audio": audio})
            return model.apply_train(params, state, x, key=jax.random.key(0))[0]["logits"].sum()

        compiled = jax.jit(jax.grad(loss)).lower(variables["params"]).compile()
        return compiled.cost_analysis()["flops"]

    plan = freezing.plan(model, freeze=("*", "!{head}"))
    assert flops(plan.apply(model, stage=0)) < 0.6 * flops(model)


@pytest.mark.slow
def test_a_frozen_network_that_learns_without_labels():
    """What an objective trains beside the model is never frozen, and its followers stay too."""
    plan = freezing.plan(network(), freeze=("spec_bn", "layer*"))
    objective = made(
        byol, plan.apply(network(), stage=0), total_steps=10, projector=(8, 4), predictor=(8, 4)
    )
    common = {"objective": objective, "optimizer": settings(plan), "ema_decay": 0.0}
    first = jax.jit(lambda: init_state(keys.stream(0, "init"), **common))()
    views = np.stack([batch(seed)["audio"] for seed in (0, 1)], axis=1)
    state, _ = jax.jit(make_train_step(seed=0, **common))(first, batch(0) | {"audio": views})
    # No gradient reaches the last layer; its decoupled weight decay does.
    assert moved(first, state) & below("layer", "spec_bn") == set()
    assert moved(first, state) >= below("dense1.", "bn.")
    for part in ("projector", "predictor"):
        kernels = [s.params[part]["0"]["kernel"] for s in (first, state)]
        assert (kernels[0] != kernels[1]).any()
    targets = [s.model_state["target"] for s in (first, state)]
    jax.tree.map(
        np.testing.assert_array_equal,
        *[target["params"]["model"]["layer1"] for target in targets],
    )
    jax.tree.map(
        np.testing.assert_array_equal,
        *[target["model"]["batch_stats"]["layer1"] for target in targets],
    )


def test_nothing_frozen_is_nothing_changed():
    plan = freezing.plan(network())
    assert plan == Freezing({}, {0: plan.num_parameters[0]}) and plan.stages == (0,)
    assert plan.apply(network(), stage=0) == network()
    total = plan.num_parameters[0]
    assert plan.text() == f"{total:,} of {total:,} parameters train from the start"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"freeze": ("layer3",)}, "init.freeze has 'layer3', which is no part of short_chunk_cnn;"),
        ({"freeze": ("layr1",)}, "did you mean .*layer1.* its parts are spec_bn, layer1, layer2"),
        ({"freeze": ("layer1", "!layer")}, "init.freeze has '!layer', which is no part"),
        ({"freeze": "layer1"}, r"init.freeze is 'layer1'; it must be a tuple.*\('layer1',\)"),
        ({"freeze": ("*",)}, r"nothing of short_chunk_cnn would train.*\('\*', '!{head}'\)"),
        ({"unfreeze": ((3, "layer1"),)}, r"init.unfreeze\[0\] has 'layer1', of which init.freeze"),
        (
            {"freeze": ("layer1",), "unfreeze": ((0, "layer1"),)},
            r"init.unfreeze\[0\] starts after 0 steps; it must be at least 1",
        ),
    ],
)
def test_errors(changes, message):
    with pytest.raises(ValueError, match=message):
        freezing.plan(network(), **changes)
