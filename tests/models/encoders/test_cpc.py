"""Networks of latents and contexts: who hears what, sizes as published, and the quantiser."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax import models
from mclf_jax.losses.contrastive import unit
from mclf_jax.models.encoders.cpc import CPC
from mclf_jax.models.encoders.wav2vec import Wav2Vec
from mclf_jax.models.layers.quantizer import VectorQuantizer, nearest, usage
from mclf_jax.objectives.diagnostics import embedding_std

SMALL = {"cpc": {"n_channels": 4, "context_dim": 3}, "wav2vec": {"n_channels": 4}}


def run(module, x, variables=None, *, train=False):
    """(variables, outputs) of a small network."""
    x = jnp.asarray(x, jnp.float32)
    if variables is None:
        variables = jax.jit(lambda k, x: module.init(k, x, train=False))(jax.random.key(0), x)
    return variables, jax.jit(lambda v, x: module.apply(v, x, train=train))(variables, x)


def without_norm(call, args, kwargs, context):
    return args[0] if isinstance(context.module, nn.GroupNorm) else call(*args, **kwargs)


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(
    ("name", "length", "num_latents"),
    [
        ("cpc", 59_049, 124),
        ("cpc", 48_000, 101),
        ("cpc", 48_480, 102),  # 480 samples more are one latent more
        ("wav2vec", 150_000, 935),
        ("wav2vec", 465, 1),  # what the first latent hears
        ("wav2vec", 624, 1),
        ("wav2vec", 625, 2),
    ],
)
def test_number_of_latents(name, length, num_latents):
    model = models.build(name, num_labels=5, **SMALL[name])
    variables = jax.eval_shape(model.init, jax.random.key(0))
    x = jax.ShapeDtypeStruct((2, length), "float32")
    shapes = jax.tree.map(lambda s: s.shape, jax.eval_shape(model.apply, variables, x))
    context_dim = {"cpc": 3, "wav2vec": 4}[name]
    assert shapes == {
        "logits": (2, 5),
        "embedding": (2, context_dim),
        "latents": (2, num_latents, 4),
        "context": (2, num_latents, context_dim),
    }


def test_sizes_by_hand():
    def parameters(name, **arguments):
        model = models.build(name, num_labels=50, **arguments)
        params = jax.eval_shape(model.init, jax.random.key(0))["params"]
        return sum(leaf.size for leaf in jax.tree.leaves(params))

    kernels = 10 * 1 + (6 + 4 + 4 + 4 + 2 + 2) * 512
    encoder = 512 * kernels + 7 * 512
    assert encoder == 5_775_872
    gru = 3 * 256 * (512 + 256 + 2)
    assert parameters("cpc") == encoder + gru + (256 + 1) * 50
    projection, gru = (512 + 1) * 64, 3 * 256 * (64 + 256 + 2)
    assert parameters("cpc", num_codes=512) == encoder + projection + gru + (256 + 1) * 50
    encoder = 512 * (10 + (8 + 4 + 4 + 4) * 512) + 5 * 2 * 512  # no biases, but group norms
    context = 9 * (512 * 512 * 3 + 3 * 512)
    assert parameters("wav2vec") == encoder + context + (512 + 1) * 50


@pytest.mark.slow
def test_contexts_of_cpc_know_nothing_of_later_samples():
    x = noise(2, 9600)
    module = CPC(num_labels=2, n_channels=4, context_dim=3)
    variables, before = run(module, x)
    step = 11
    end = 480 * step + 188  # of what the latent hears: 710 samples from 480 * step - 522
    # A copy: what was computed of x may still be reading it.
    changed = x.copy()
    changed[:, end:] += 1
    _, after = run(module, changed, variables)
    for key in ("latents", "context"):
        np.testing.assert_array_equal(before[key][:, : step + 1], after[key][:, : step + 1])
        assert (before[key][:, step + 1] != after[key][:, step + 1]).any(axis=-1).all()
    np.testing.assert_allclose(before["embedding"], before["context"].mean(axis=1), rtol=1e-5)


@pytest.mark.slow
def test_contexts_of_wav2vec_hear_the_last_210_ms():
    x = np.abs(noise(2, 8000))
    module = Wav2Vec(num_labels=2, n_channels=4)
    step = 30
    first, end = 160 * (step - 18), 160 * step + 465
    with nn.intercept_methods(without_norm):
        # Without negative numbers no ReLU shuts anything off.
        variables = jax.tree.map(jnp.abs, run(module, x)[0])

        def of_step(x):
            return jnp.square(module.apply(variables, x, train=False)["context"][:, step]).sum()

        gradient = np.asarray(jax.jit(jax.grad(of_step))(x))
    assert not gradient[:, :first].any() and not gradient[:, end:].any()
    assert gradient[:, first].any() and gradient[:, end - 1].any()
    assert (end - first) / 16 == pytest.approx(210, abs=1)  # ms


def test_group_norm_of_wav2vec_is_over_channels_and_time():
    module = Wav2Vec(
        num_labels=2, n_channels=4, kernel_sizes=(10,), strides=(5,), context_kernel_sizes=()
    )
    x = noise(2, 500)
    variables, outputs = run(module, x)
    kernel = np.asarray(variables["params"]["feature_extractor.conv_layers.0"]["0"]["kernel"])
    frames = np.lib.stride_tricks.sliding_window_view(x, 10, axis=1)[:, ::5]
    y = frames @ kernel[:, 0]
    y = (y - y.mean(axis=(1, 2), keepdims=True)) / y.std(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(outputs["latents"], np.maximum(y, 0), atol=1e-3)


@pytest.mark.slow
def test_shortcuts_and_compression_of_the_large_wav2vec():
    x = noise(1, 4000)
    plain = Wav2Vec(num_labels=2, n_channels=4, context_kernel_sizes=(3,))
    variables, outputs = run(plain, x)
    _, compressed = run(plain.clone(compression="log"), x, variables)
    np.testing.assert_allclose(compressed["latents"], np.log1p(outputs["latents"]), rtol=1e-5)
    _, summed = run(plain.clone(shortcuts="residual"), x, variables)
    expected = (outputs["context"] + outputs["latents"]) / np.sqrt(2)
    np.testing.assert_allclose(summed["context"], expected, rtol=1e-5)


@pytest.mark.slow
def test_layer_norm_makes_latents_independent_of_the_level():
    x = noise(1, 4800)
    module = CPC(num_labels=2, n_channels=8, context_dim=3, norm="layer")
    variables, loud = run(module, 10 * x)
    _, louder = run(module, 100 * x, variables)
    np.testing.assert_allclose(loud["latents"], louder["latents"], atol=0.1)
    assert (
        np.abs(loud["latents"] - run(module, np.zeros_like(x), variables)[1]["latents"]).max() > 0.5
    )


@pytest.mark.slow
def test_with_batch_norm_latents_start_apart():
    x = 0.1 * noise(4, 4800)

    def spread(norm):
        module = CPC(num_labels=2, n_channels=16, context_dim=3, norm=norm)

        @jax.jit
        def run(x):
            outputs, _ = module.init_with_output(jax.random.key(0), x, train=True)
            latents = unit(outputs["latents"].reshape(-1, 16))
            return embedding_std(latents, valid=np.ones(len(latents)))

        return float(run(x))

    assert 2 * spread("layer") < spread("batch")


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("cpc", {"norm": "group"}, "model.args.norm is 'group'; allowed: none, layer, batch"),
        ("cpc", {"strides": (5, 3)}, "kernel_sizes, strides and paddings have 7, 2, 7 numbers"),
        ("cpc", {"window_s": 0.001}, "not one latent is left; raise model.window_s"),
        ("wav2vec", {"window_s": 0.02}, "not one latent is left; raise model.window_s"),
        ("wav2vec", {"strides": (5, 3)}, "kernel_sizes and strides have 5 and 2 numbers"),
        ("wav2vec", {"shortcuts": "dense"}, "model.args.shortcuts is 'dense'; allowed: none, res"),
        ("wav2vec", {"compression": "db"}, "model.args.compression is 'db'; allowed: none, log"),
    ],
)
def test_what_cannot_be_is_refused_in_words(name, arguments, message):
    model = models.build(name, num_labels=2, **SMALL[name] | arguments)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(model.init, jax.random.key(0))


@pytest.mark.parametrize("name", ["cpc", "wav2vec"])
@pytest.mark.slow_beyond(1)
def test_bfloat16_and_remat_compute_the_same_roughly(name):
    x = noise(2, 4000)
    arguments = {**SMALL[name], "num_labels": 2}
    module = {"cpc": CPC, "wav2vec": Wav2Vec}[name](**arguments)
    variables, expected = run(module, x)
    _, again = run(module.clone(remat="blocks"), x, variables, train=True)
    np.testing.assert_allclose(again["logits"], expected["logits"], rtol=1e-5)
    _, rough = run(module.clone(dtype="bfloat16"), x, variables)
    for key, value in rough.items():
        assert value.dtype == jnp.float32
        np.testing.assert_allclose(value, expected[key], atol=0.05 * np.abs(expected[key]).max())


# The quantiser.


@functools.partial(jax.jit, static_argnames=("train", "decay", "restart_below"))
def quantize(x, codebook, *, train=False, **arguments):
    """(outputs, new codebook); `codebook` of {"embedding", "ema_count", "ema_weight"}."""
    module = VectorQuantizer(len(codebook["embedding"]), **arguments)
    return module.apply(
        {"codebook": codebook},
        jnp.asarray(x),
        train=train,
        rngs={"dropout": jax.random.key(0)},
        mutable=["codebook"],
    )


def codebook(embedding):
    embedding = np.asarray(embedding, np.float32)
    return {
        "embedding": embedding,
        "ema_count": np.zeros(len(embedding), np.float32),
        "ema_weight": np.zeros_like(embedding),
    }


def test_codes_are_the_nearest():
    x, codes = noise(2, 5, 3), np.random.default_rng(1).standard_normal((7, 3))
    outputs, _ = quantize(x, codebook(codes))
    distance = np.square(x[:, :, None] - codes).sum(axis=-1)
    np.testing.assert_array_equal(outputs["codes"], distance.argmin(axis=-1))
    np.testing.assert_array_equal(outputs["codes"], nearest(x, codes))
    quantized = codes[outputs["codes"]]
    np.testing.assert_allclose(outputs["quantized"], quantized, atol=1e-6)
    expected = np.square(x - quantized).mean(axis=(1, 2))
    np.testing.assert_allclose(outputs["commitment"], expected, rtol=1e-5)


@pytest.mark.slow
def test_gradients_go_straight_through_and_commitment_pulls_to_the_code():
    x, book = noise(1, 4, 2), codebook([[1.0, 0.0], [-1.0, 0.5]])
    target = noise(1, 4, 2) + 1

    def match(x):
        return jnp.square(quantize(x, book)[0]["quantized"] - target).sum()

    def commitment(x):
        return quantize(x, book)[0]["commitment"].sum()

    slopes = jax.jit(lambda x: (jax.grad(match)(x), jax.grad(commitment)(x), quantize(x, book)[0]))
    along, pull, outputs = jax.device_get(slopes(x))
    np.testing.assert_allclose(along, 2 * (outputs["quantized"] - target), rtol=1e-5)
    np.testing.assert_allclose(pull, 2 * (x - outputs["quantized"]) / x.size, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_codes_follow_what_falls_on_them_and_dead_ones_stay():
    book = codebook([[0.0, 1.0], [0.0, -1.0], [100.0, 100.0]])
    counts, sums = np.zeros(3), np.zeros((3, 2))
    for step in range(3):
        x = np.random.default_rng(step).standard_normal((2, 6, 2)).astype(np.float32)
        outputs, state = quantize(x, book, train=True, decay=0.9)
        codes = np.asarray(outputs["codes"]).ravel()
        assert set(codes) <= {0, 1}
        one_hot = np.eye(3)[codes]
        counts = 0.9 * counts + 0.1 * one_hot.sum(axis=0)
        sums = 0.9 * sums + 0.1 * one_hot.T @ x.reshape(-1, 2)
        book = state["codebook"]
        np.testing.assert_allclose(book["ema_count"], counts, rtol=1e-5)
        np.testing.assert_allclose(book["embedding"][:2], sums[:2] / counts[:2, None], rtol=1e-4)
        np.testing.assert_array_equal(book["embedding"][2], [100, 100])
    _, state = quantize(x, book, train=False)
    jax.tree.map(np.testing.assert_array_equal, state["codebook"], book)


def test_dead_codes_start_again_where_there_is_something():
    x = noise(2, 6, 2)
    book = codebook([[0.0, 1.0], [0.0, -1.0], [100.0, 100.0]])
    _, state = quantize(x, book, train=True, restart_below=0.1)
    found = np.asarray(state["codebook"]["embedding"][2])
    assert np.abs(x.reshape(-1, 2) - found).sum(axis=1).min() < 1e-6
    # and have an equal share of the count, so that they stay for a while
    for step in range(3):
        x = np.random.default_rng(step).standard_normal((2, 6, 2)).astype(np.float32) + 50
        _, state = quantize(x, state["codebook"], train=True, restart_below=0.1)
    still = np.asarray(state["codebook"]["ema_weight"][2] / state["codebook"]["ema_count"][2])
    np.testing.assert_allclose(still, state["codebook"]["embedding"][2], rtol=1e-4)


def test_usage_counts_valid_rows():
    codes = np.array([[0, 0, 1, 1], [2, 2, 3, 3], [7, 7, 7, 7]])
    counted = jax.jit(usage, static_argnames="num_codes")
    found = counted(codes, np.array([1.0, 1.0, 0.0]), num_codes=8)
    assert float(found["code_perplexity"]) == pytest.approx(4)
    assert float(found["unused_codes"]) == pytest.approx(0.5)
    alike = counted(np.zeros((3, 4), int), np.ones(3), num_codes=8)
    assert float(alike["code_perplexity"]) == pytest.approx(1)
    assert float(alike["unused_codes"]) == pytest.approx(7 / 8)


@pytest.mark.slow
def test_latents_of_the_quantised_network_are_codes_and_its_encoder_learns():
    model = models.build("cpc", num_labels=2, num_codes=16, code_dim=5, n_channels=4, context_dim=3)
    variables = jax.jit(model.init)(jax.random.key(0))
    assert set(variables) == {"params", "codebook"}
    embedding = variables["codebook"]["codebook"]["embedding"]
    assert embedding.shape == (16, 5) and np.abs(embedding).max() <= 1 / 16
    x = noise(2, 4800)
    outputs = jax.jit(lambda v, x: model.module.apply(v, x, train=False))(variables, x)
    codes = np.asarray(embedding)[outputs["codes"]]
    np.testing.assert_allclose(outputs["latents"], codes, atol=1e-6)
    state = {"codebook": variables["codebook"]}

    def loss(params):
        outputs, new_state = model.apply_train(params, state, x, key=jax.random.key(1))
        return jnp.square(outputs["logits"]).sum(), new_state

    gradient, new_state = jax.jit(jax.grad(loss, has_aux=True))(variables["params"])
    assert np.abs(gradient["encoder.seq.layer-0"]["0"]["kernel"]).max() > 0
    new = np.asarray(new_state["codebook"]["codebook"]["embedding"])
    assert (new != np.asarray(embedding)).any()
