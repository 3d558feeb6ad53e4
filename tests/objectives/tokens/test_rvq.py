"""The residual quantizer against numpy, its stale codes, its training, and a layer in its place."""

import functools
import types
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax import models
from mclf_jax.models.layers.residual_quantizer import ResidualQuantizer
from mclf_jax.objectives.context import Context
from mclf_jax.objectives.tokens.rvq import rvq
from tests.objectives.material import judge, songs, train

KEY = jax.random.key(0)
FEATURES = {"n_mels": 16, "n_fft": 128, "hop_length": 64, "sample_rate_hz": 2000}
SMALL = {"stack": 2, "num_stages": 2, "num_codes": 8, "code_dim": 4, "stale_after": 5}
ENCODER = {"conv_channels": 2, "attention_dim": 8, "num_heads": 2, "kernel_size": 3}


def network(name, **arguments):
    settings = {"features": FEATURES, "window_s": 512 / 2000}
    return models.build(name, num_labels=1, **settings, **arguments)


def jitted(module):
    """(init, apply), which take seconds where each operation is compiled by itself."""
    init = jax.jit(functools.partial(module.init, train=False))
    return init, jax.jit(module.apply, static_argnames=("train", "mutable"))


def test_each_stage_quantizes_what_is_left_over():
    module = ResidualQuantizer(num_stages=3, num_codes=7, code_dim=4)
    x = np.asarray(jax.random.normal(KEY, (2, 5, 12)))
    init, apply = jitted(module)
    variables = init(jax.random.key(1), x)
    got = apply(variables, x, train=False)
    residual, quantized, distance = x.astype("f8"), 0.0, 0.0
    for stage in range(3):
        p = jax.tree.map(np.asarray, variables["params"][f"stages.{stage}"])
        direction = p["in_proj.direction"]
        kernel = direction / np.linalg.norm(direction, axis=0) * p["in_proj.length"]
        np.testing.assert_allclose(kernel, direction, rtol=1e-5)  # as it starts
        low = residual @ kernel + p["in_proj.bias"]
        cosine = (low / np.linalg.norm(low, axis=-1, keepdims=True)) @ (
            p["codes"] / np.linalg.norm(p["codes"], axis=1, keepdims=True)
        ).T
        codes = cosine.argmax(-1)
        np.testing.assert_array_equal(got["codes"][..., stage], codes)
        chosen = p["codes"][codes]
        distance = distance + ((low - chosen) ** 2).mean(axis=(1, 2))
        output = chosen @ p["out_proj"]["kernel"] + p["out_proj"]["bias"]
        residual, quantized = residual - output, quantized + output
    np.testing.assert_allclose(got["quantized"], quantized, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got["commitment"], distance, rtol=1e-4)
    np.testing.assert_allclose(got["codebook_loss"], distance, rtol=1e-4)


def test_gradients_pass_straight_through_and_each_loss_moves_its_own_side():
    module = ResidualQuantizer(num_stages=1, num_codes=7, code_dim=4)
    x = np.asarray(jax.random.normal(KEY, (2, 5, 12)))
    variables = jitted(module)[0](jax.random.key(1), x)

    @jax.jit
    def gradients(params):
        def totals(params):
            found: Any = module.apply({**variables, "params": params}, x, train=False)
            names = ("quantized", "commitment", "codebook_loss")
            return jnp.stack([jnp.sum(found[name]) for name in names])

        return jax.jacrev(totals)(params)

    found = gradients(variables["params"])["stages.0"]
    reached = {
        name: np.asarray(jnp.abs(found[name]).reshape(3, -1).max(axis=1) > 0)
        for name in ("in_proj.direction", "codes")
    }
    assert reached["in_proj.direction"].tolist() == [True, True, False]
    assert reached["codes"].tolist() == [False, False, True]


def test_codes_that_nothing_is_near_start_anew_where_something_is():
    module = ResidualQuantizer(num_stages=1, num_codes=6, code_dim=4, stale_after=3)
    x = np.ones((1, 1, 12), np.float32)
    init, apply = jitted(module)
    variables = init(jax.random.key(1), x)
    state = {"codebook": variables["codebook"]}
    for step in range(3):
        assert not np.asarray(state["codebook"]["stages.0"]["moved"]).any()
        found, state = apply(
            {"params": variables["params"], **state},
            x,
            train=True,
            rngs={"dropout": jax.random.key(step)},
            mutable=("codebook",),
        )
    used = int(found["codes"][0, 0, 0])
    moved = np.asarray(state["codebook"]["stages.0"]["moved"])
    others = [code for code in range(6) if code != used]
    assert not moved[used].any() and np.abs(moved[others]).max(axis=1).all()
    p = variables["params"]["stages.0"]
    low = np.ones(12) @ np.asarray(p["in_proj.direction"])
    np.testing.assert_allclose(np.asarray(p["codes"])[others] + moved[others], [low] * 5, rtol=1e-4)
    np.testing.assert_array_equal(state["codebook"]["stages.0"]["unused_steps"], 0)


def test_the_loss_is_error_commitment_and_codebook():
    model = network("rvq", **SMALL)
    objective = rvq(Context(model), commitment_weight=0.5, codebook_weight=2.0)
    initial = jax.jit(objective.init)(KEY)
    batch = songs(3, seed=0, num_views=1)
    batch = batch | {"audio": batch["audio"][:, 0], "valid": np.array([1, 1, 0], "f4")}
    got = jax.jit(objective.evaluate)(initial["params"], initial["state"], batch, KEY)
    variables = {"params": initial["params"]["model"], **initial["state"]["model"]}
    found = jitted(model.module)[1](variables, model.features(batch["audio"]), train=False)
    assert found["codes"].shape == (3, 4, 2) and found["target"].shape == (3, 4, 32)
    error = np.square(np.asarray(found["quantized"] - found["target"])).mean(axis=(1, 2))
    expected = error + 0.5 * found["commitment"] + 2 * found["codebook_loss"]
    np.testing.assert_allclose(got.per_example[:2], expected[:2], rtol=1e-5)
    assert got.per_example[2] == 0
    np.testing.assert_allclose(got.metrics["reconstruction_error"], error, rtol=1e-5)


@pytest.mark.slow
def test_learns_to_reconstruct_with_more_than_a_few_codes():
    objective = rvq(Context(network("rvq", **SMALL)))

    class OfOneView:
        init, evaluate = objective.init, objective.evaluate

        @staticmethod
        def loss(params, state, batch, key):
            return objective.loss(params, state, batch | {"audio": batch["audio"][:, 0]}, key)

    _, trained, _ = train(OfOneView, num_steps=150)
    batch = songs(128, seed=10**6, num_views=1)
    found = judge(objective, trained, batch | {"audio": batch["audio"][:, 0]})
    assert found["reconstruction_error"] < 0.5
    assert found["code_perplexity"] > 4 and found["code_perplexity_last"] > 3


@pytest.mark.slow
def test_a_hidden_layer_of_another_network_takes_the_place_of_frames():
    earlier = network("musicfm", num_layers=2, **ENCODER)
    teacher = types.SimpleNamespace(model=earlier, variables=earlier.init(jax.random.key(3)))
    model = network("rvq", **SMALL, encoder=ENCODER | {"num_layers": 1})
    objective = rvq(Context(model, teacher=teacher), teacher="runs/musicfm")
    initial = jax.jit(objective.init)(KEY)
    of_model = initial["params"]["model"]["encoder"]
    assert "conformer.layers.1" not in of_model
    for part in ("conv.linear", "conformer.layers.0", "conformer.layer_norm"):
        jax.tree.map(
            np.testing.assert_array_equal, of_model[part], teacher.variables["params"][part]
        )
    first = network("musicfm", num_layers=1, **ENCODER)
    x = model.features(songs(2, seed=0, num_views=1)["audio"][:, 0])
    encoder = {
        "params": of_model,
        **{k: v["encoder"] for k, v in initial["state"]["model"].items() if "encoder" in v},
    }
    tokens = jitted(first.module)[1](encoder, x, train=False)["tokens"]
    variables = {"params": initial["params"]["model"], **initial["state"]["model"]}
    found = jitted(model.module)[1](variables, x, train=False)
    assert found["codes"].shape == (*tokens.shape[:2], 2)
    np.testing.assert_allclose(found["target"], tokens / np.sqrt(1 + 1e-5), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (
            {},
            {"teacher": "runs/a"},
            "teacher is 'runs/a' and model.args.encoder {}; a hidden layer",
        ),
        ({"encoder": ENCODER}, {}, "teacher is '' and model.args.encoder {'conv_channels': 2"),
        ({"encoder": ENCODER}, {"teacher": "runs/a"}, "'runs/a', and nobody has opened it"),
        ({}, {"commitment_weight": -1}, "objective.args.commitment_weight is -1; it must be"),
    ],
)
def test_errors(arguments, settings, message):
    with pytest.raises(ValueError, match=message):
        rvq(Context(network("rvq", **SMALL, **arguments)), **settings)


def test_a_teacher_of_another_size_is_refused():
    earlier = network("musicfm", num_layers=1, **ENCODER)
    shapes = jax.eval_shape(earlier.init, KEY)
    variables = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    teacher = types.SimpleNamespace(model=earlier, variables=variables)
    model = network("rvq", **SMALL, encoder=ENCODER | {"num_layers": 2})
    objective = rvq(Context(model, teacher=teacher), teacher="runs/a")
    with pytest.raises(ValueError, match=r"'runs/a', a musicfm, whose conformer.layers.1.* is not"):
        jax.eval_shape(objective.init, KEY)
    other = types.SimpleNamespace(model=network("rvq", **SMALL), variables={})
    with pytest.raises(
        ValueError, match="teacher is 'runs/a', a rvq; the encoder of rvq is a musi"
    ):
        rvq(Context(model, teacher=other), teacher="runs/a")
    unknown = network("rvq", **SMALL, encoder={"depth": 3})
    with pytest.raises(ValueError, match="model.args.encoder.*depth"):
        jax.eval_shape(unknown.init, KEY)
    with pytest.raises(ValueError, match="model.name is 'musicfm'; for objective.name 'rvq' take"):
        rvq(Context(earlier))


def test_modules_with_an_encoder_have_a_hash():
    """They are static to jit."""
    module = network("rvq", **SMALL, encoder=ENCODER).module
    assert isinstance(module, nn.Module) and hash(module) == hash(module.clone())
