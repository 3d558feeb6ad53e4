"""Residual branches that are left out in training: how often, what is left, and what stays."""

import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax import models
from mclf_jax.models.layers.blocks import ResBlock, stochastic_depth

KEY = jax.random.key(0)
QUARTER = {"window_s": 0.25, "features": {"n_mels": 32}}
SMALL = {
    "short_chunk_resnet": {"n_channels": 4, "num_blocks": 3} | QUARTER,
    "sample_cnn_se": {"n_channels": 2},
    "harmonic_cnn": {"n_channels": 2},
    "cnnsa": {"n_channels": 4, "num_heads": 2, "window_s": 0.25},
    "music_tagging_transformer": {
        "conv_channels": 4,
        "attention_dim": 8,
        "num_heads": 2,
        "num_layers": 1,
    }
    | QUARTER,
    "vit": {"patch": (8, 16), "attention_dim": 8, "head_dim": 4, "num_layers": 2} | QUARTER,
    "musicfm": {"conv_channels": 4, "attention_dim": 16, "num_heads": 2, "num_layers": 2} | QUARTER,
    "mobilenet": {"hidden_size": 128} | QUARTER,
}
# Residual blocks, and branches of each.
BRANCHES = {
    "short_chunk_resnet": [1] * 3,
    "sample_cnn_se": [1] * 11,
    "harmonic_cnn": [1] * 5,
    "cnnsa": [1] * 7 + [2] * 2,
    "music_tagging_transformer": [1] * 3 + [2],
    "vit": [2] * 2,
    "musicfm": [4] * 2,
    "mobilenet": [1, 0, 1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 0, 1, 1],  # those that keep their shape
}


def small(name, rate=0.0, **arguments):
    dropout = {key: 0.0 for key in models.arguments_of(name) if key.endswith("dropout_rate")}
    return models.build(
        name, num_labels=3, **SMALL[name] | dropout | {"stochastic_depth_rate": rate} | arguments
    )


def inputs(model, batch_size=4):
    shape = (batch_size, *model.input_shape)
    return np.random.default_rng(1).standard_normal(shape).astype("f4")


def train(model, key=KEY, batch_size=4):
    """Gradients of the squared embeddings, and these, in training mode."""
    variables = jax.jit(model.init)(KEY)
    state = {"batch_stats": variables["batch_stats"]}

    def loss(params):
        outputs, _ = model.apply_train(params, state, inputs(model, batch_size), key=key)
        return jnp.square(outputs["embedding"]).sum(), outputs["embedding"]

    return jax.device_get(jax.jit(jax.grad(loss, has_aux=True))(variables["params"]))


def branches_of(model):
    """(rate, dtype) of the branches, in the order in which they are computed."""
    found = []

    def note(call, args, kwargs, context):
        result = call(*args, **kwargs)
        if isinstance(context.module, nn.Dropout) and context.module.broadcast_dims:
            found.append((context.module.rate, result.dtype.name))
        return result

    variables = jax.eval_shape(model.init, KEY)
    params = variables.pop("params")
    x = jax.ShapeDtypeStruct((2, *model.input_shape), "float32")
    with nn.intercept_methods(note):
        jax.eval_shape(lambda p, s, x: model.apply_train(p, s, x, key=KEY), params, variables, x)
    return found


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", SMALL)
def test_rates_rise_from_the_first_block_to_the_last(name):
    blocks = BRANCHES[name]
    expected = [
        0.5 * (i + 1) / len(blocks) for i, branches in enumerate(blocks) for _ in range(branches)
    ]
    rates, dtypes = zip(*branches_of(small(name, 0.5, dtype="bfloat16")), strict=True)
    np.testing.assert_allclose(rates, expected)
    assert set(dtypes) == {"bfloat16"}
    assert branches_of(small(name)) == []


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, float("nan")])
def test_other_rates_are_refused(rate):
    message = rf"model.args.stochastic_depth_rate is {rate}; it must be in \[0, 1\)"
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(small("short_chunk_resnet", rate).init, KEY)


def test_networks_without_residual_blocks_do_not_take_it():
    taking = {n for n in models.ARCHITECTURES if "stochastic_depth_rate" in models.arguments_of(n)}
    assert taking == SMALL.keys()


@pytest.mark.parametrize(("rate", "draws"), [(0.0, False), (0.5, True)])
def test_nothing_is_drawn_at_rate_0(rate, draws):
    """So that what was computed before there were rates is computed still."""
    model = small("short_chunk_resnet", rate)
    variables = jax.eval_shape(model.init, KEY)

    def step(params, state):
        return model.apply_train(params, state, inputs(model), key=KEY)

    params, state = variables["params"], {"batch_stats": variables["batch_stats"]}
    assert ("random_bits" in str(jax.make_jaxpr(step)(params, state))) == draws


@pytest.mark.slow
def test_parameters_and_evaluation_know_nothing_of_it():
    """They are the same programs."""
    plain, deep = (small("short_chunk_resnet", rate) for rate in (0.0, 0.9))
    variables = jax.eval_shape(plain.init, KEY)

    def programs(model):
        def evaluate(variables, x):
            return model.module.apply(variables, x, train=False)

        x = jax.ShapeDtypeStruct((2, *model.input_shape), "float32")
        texts = (jax.make_jaxpr(model.init)(KEY), jax.make_jaxpr(evaluate)(variables, x))
        return [re.sub(" at 0x[0-9a-f]+", "", str(text)) for text in texts]

    assert programs(deep) == programs(plain)


def test_examples_lose_a_branch_whole_and_keep_its_expectation():
    class Branch(nn.Module):
        @nn.compact
        def __call__(self, y):
            return stochastic_depth(y, 0.3, train=True)

    y = jnp.asarray([[1.0, -2.0], [4.0, 0.5]]) * jnp.ones((20_000, 1, 1))
    rows = np.asarray(Branch().apply({}, y, rngs={"dropout": KEY})) / np.asarray(y)
    kept = rows[:, 0, 0] > 0
    np.testing.assert_array_equal(rows, np.broadcast_to(rows[:, :1, :1], rows.shape))
    np.testing.assert_allclose(rows[kept, 0, 0], 1 / 0.7, rtol=1e-6)
    # Four standard deviations.
    assert abs(kept.mean() - 0.7) < 4 * np.sqrt(0.3 * 0.7 / 20_000)
    assert rows.mean() == pytest.approx(1, abs=4 * np.sqrt(0.3 / 0.7 / 20_000))


@pytest.mark.slow
def test_a_block_without_its_branch_is_its_shortcut():
    x = np.random.default_rng(0).standard_normal((3, 8, 8, 4)).astype("f4")
    block = ResBlock(4, pool=(2, 2), stochastic_depth_rate=1.0)
    variables = jax.jit(lambda x: block.init(KEY, x, train=False))(x)

    def apply(params, train):
        rest = {"batch_stats": variables["batch_stats"]}
        return block.apply(
            {"params": params, **rest},
            x,
            train=train,
            mutable=["batch_stats"],
            rngs={"dropout": KEY},
        )[0]

    @jax.jit
    def run(params):
        grads = jax.grad(lambda params: apply(params, True).sum())(params)
        return apply(params, True), apply(params, False), grads

    without, whole, grads = jax.device_get(run(variables["params"]))
    pooled = np.maximum(x, 0).reshape(3, 4, 2, 4, 2, 4).max(axis=(2, 4))
    np.testing.assert_array_equal(without, pooled)
    assert np.abs(whole - pooled).max() > 0.1
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(grads))


@pytest.mark.slow
def test_no_gradient_reaches_branches_that_are_left_out():
    # Of the four rows none is kept in the last block.
    grads, embedding = train(small("music_tagging_transformer", 1 - 1e-6))
    assert np.isfinite(embedding).all()
    largest = {
        ".".join(part.key for part in path): float(np.abs(leaf).max())
        for path, leaf in jax.tree_util.tree_leaves_with_path(grads)
    }
    last = [value for key, value in largest.items() if key.startswith("transformer.layers.0.")]
    assert len(last) == 11 and set(last) == {0.0}
    assert largest["cls_token"] > 0


@pytest.mark.slow
def test_the_same_branches_are_left_out_when_blocks_are_computed_again():
    plain, again = (
        train(small("short_chunk_resnet", 0.5, num_blocks=1, remat=remat))
        for remat in ("none", "blocks")
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), plain, again)
