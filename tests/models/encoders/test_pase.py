"""PASE's encoder: its filters, its hop, its size counted by hand, its recurrence and its skips."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax import models
from mclf_jax.convert.to_torch import to_torch
from mclf_jax.models.encoders import pase
from mclf_jax.models.layers.qrnn import QRNN, forget_mult
from mclf_jax.models.layers.sinc import SincConv, sinc_filters

RATE_HZ = 16000
SMALL = {"n_channels": 2, "embedding_dim": 6, "hidden_size": 5, "window_s": 0.1}


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def encoder(**arguments):
    """Parameters by layer, by name, without the last layer."""
    model = models.build("pase", num_labels=50, **arguments)
    params = jax.eval_shape(model.init, jax.random.key(0))["params"]
    return {name: count(layer) for name, layer in params.items() if name != "fc"}


def test_size_is_that_of_a_count_by_hand():
    sizes = encoder()
    # Two cut-offs a filter; scale and bias of the norm; a slope.
    assert sizes["blocks.0"] == 64 * (2 + 2 + 1)
    channels, kernels = [64, 64, 128, 128, 256, 256, 512, 512], [20] + [11] * 6
    for i, (before, after, kernel) in enumerate(
        zip(channels[:-1], channels[1:], kernels, strict=True), start=1
    ):
        assert sizes[f"blocks.{i}"] == before * after * kernel + after * (1 + 2 + 1)
    assert sizes["W"] == 512 * 100 + 100
    assert sum(sizes.values()) == 5_818_020


def test_size_of_pase_plus():
    sizes = encoder(**pase.PLUS)
    assert [sizes[f"denseskips.{i}"] for i in range(7)] == [
        256 * channels for channels in (64, 64, 128, 128, 256, 256, 512)
    ]
    assert sizes["rnn"] == 2 * 512 * 3 * 512 + 3 * 512
    assert sizes["W"] == 512 * 256 + 256
    assert sum(sizes.values()) == 7_832_896


@pytest.mark.parametrize(
    ("samples", "latents"), [(16000, 100), (32000, 200), (100_000, 625), (160, 1), (8080, 50)]
)
def test_hop(samples, latents):
    model = models.build("pase", num_labels=3, **pase.PLUS)
    assert model.module.hop_length == 160
    variables = jax.eval_shape(model.init, jax.random.key(0))
    outputs = jax.eval_shape(model.apply, variables, jax.ShapeDtypeStruct((2, samples), "float32"))
    assert outputs["latents"].shape == (2, latents, 256)
    assert outputs["embedding"].shape == (2, 256)


@pytest.mark.slow
def test_embedding_is_the_mean_of_normalized_latents():
    model = models.build("pase", num_labels=3, **SMALL)
    variables = jax.jit(model.init)(jax.random.key(0))
    x = np.random.default_rng(0).standard_normal((4, model.window_samples)).astype("f4")
    apply_train = jax.jit(
        lambda v, x: model.apply_train(
            v["params"], {"batch_stats": v["batch_stats"]}, x, key=jax.random.key(1)
        )
    )
    outputs, state = apply_train(variables, x)
    latents = np.asarray(outputs["latents"])
    np.testing.assert_allclose(outputs["embedding"], latents.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(latents.mean(axis=(0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(latents.std(axis=(0, 1)), 1, atol=1e-2)
    moved = state["batch_stats"]["norm_out"]["mean"]
    assert np.abs(moved).max() > 0


@pytest.mark.slow
def test_filters_pass_their_band_and_nothing_else():
    layer = SincConv()
    params = jax.jit(layer.init)(jax.random.key(0), np.zeros((1, 300), "f4"))["params"]
    # The lowest starts 50 Hz above 30 Hz, and all reach 50 Hz further than the next one's start.
    np.testing.assert_allclose(params["low_hz_"][0], 30, rtol=1e-5)
    assert params["low_hz_"][-1] + params["band_hz_"][-1] == pytest.approx(7900, rel=1e-5)
    click = np.zeros((1, 2 * 8000), np.float32)
    click[0, 8000] = 1
    response = np.asarray(jax.jit(layer.apply)({"params": params}, click))[0].T
    assert response.shape == (64, 16000)
    gain = np.abs(np.fft.rfft(response))  # bins of 1 Hz
    low_hz = 50 + np.asarray(params["low_hz_"])[:, 0]
    high_hz = low_hz + 50 + np.asarray(params["band_hz_"])[:, 0]
    hertz = np.arange(8001)
    for i in (0, 10, 40, 63):
        peak = gain[i].max()
        away = (hertz < low_hz[i] - 150) | (hertz > high_hz[i] + 150)
        assert 20 * np.log10(gain[i][away].max() / peak) < -40
        assert low_hz[i] - 1 <= hertz[gain[i].argmax()] <= high_hz[i] + 1
    # Where the band is wider than the window blurs, the gain is that of an ideal filter.
    middle = round((low_hz[63] + high_hz[63]) / 2)
    assert gain[63, middle] == pytest.approx(RATE_HZ / (2 * (high_hz[63] - low_hz[63])), rel=0.02)


def test_filters_are_symmetric_and_one_in_the_middle():
    filters = sinc_filters(
        jnp.array([100.0, 2000.0]), jnp.array([400.0, 2100.0]), kernel_size=51, sample_rate_hz=8000
    )
    np.testing.assert_array_equal(filters, filters[:, ::-1])
    np.testing.assert_array_equal(filters[:, 25], 1)


@pytest.mark.slow
def test_cut_offs_learn_and_stay_within_the_spectrum():
    layer = SincConv(num_filters=3, kernel_size=51, sample_rate_hz=8000)
    x = np.random.default_rng(0).standard_normal((2, 200)).astype("f4")
    params = jax.device_get(jax.jit(layer.init)(jax.random.key(0), x)["params"])
    apply = jax.jit(lambda p: layer.apply({"params": p}, x))
    gradient = jax.jit(jax.grad(lambda p: jnp.square(apply(p)).sum()))(params)
    assert all((np.abs(leaf) > 0).all() for leaf in jax.tree.leaves(gradient))
    lost = {"low_hz_": params["low_hz_"] + 9000, "band_hz_": params["band_hz_"]}
    assert np.isfinite(apply(lost)).all()


def test_an_even_sinc_kernel_is_refused():
    with pytest.raises(ValueError, match="it must be odd"):
        jax.eval_shape(SincConv(kernel_size=50).init, jax.random.key(0), jnp.zeros((1, 300)))


@pytest.mark.slow
def test_qrnn_is_its_recurrence():
    x = np.random.default_rng(0).standard_normal((2, 13, 4)).astype("f4")
    module = QRNN(hidden_size=3)
    params = jax.jit(module.init)(jax.random.key(0), x)["params"]
    linear = {k: np.asarray(v, "f8") for k, v in params["layers.0.linear"].items()}
    state, before, expected = np.zeros((2, 3)), np.zeros((2, 4)), []
    for t in range(13):
        gates = np.concatenate([x[:, t], before], axis=1) @ linear["kernel"] + linear["bias"]
        z, f, o = np.tanh(gates[:, :3]), 1 / (1 + np.exp(-gates[:, 3:6])), gates[:, 6:]
        state = f * z + (1 - f) * state
        expected.append(state / (1 + np.exp(-o)))
        before = x[:, t]
    found = jax.jit(module.apply)({"params": params}, x)
    np.testing.assert_allclose(found, np.stack(expected, axis=1), atol=1e-5)


@pytest.mark.slow
def test_forgetting_everything_is_the_newest():
    new = jnp.arange(6.0).reshape(1, 6, 1)
    np.testing.assert_array_equal(forget_mult(jnp.ones_like(new), new), new)
    np.testing.assert_array_equal(forget_mult(jnp.zeros_like(new), new), 0 * new)


def test_skips_are_means_over_the_steps_of_a_latent():
    x = jnp.arange(22.0).reshape(1, 11, 2)
    np.testing.assert_array_equal(pase._averaged(x, 5)[0, :, 0], [1, 5, 9, 13, 17])
    np.testing.assert_array_equal(pase._averaged(x, 11), x)


@pytest.mark.slow
def test_skips_reach_the_latents():
    model = models.build("pase", num_labels=3, skips="sum", **SMALL)
    variables = jax.device_get(jax.jit(model.init)(jax.random.key(0)))
    x = np.random.default_rng(0).standard_normal((2, model.window_samples)).astype("f4")
    apply = jax.jit(lambda v: model.apply(v, x)["latents"])

    def latents(variables):
        return np.asarray(apply(variables))

    whole = latents(variables)
    for i in range(7):
        params = dict(variables["params"])
        params[f"denseskips.{i}"] = jax.tree.map(np.zeros_like, params[f"denseskips.{i}"])
        assert np.abs(latents(variables | {"params": params}) - whole).max() > 1e-4


def test_names_are_those_of_the_published_checkpoint():
    model = models.build("pase", num_labels=3, skips="sum", recurrent="qrnn", **SMALL)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    arrays = to_torch(model, jax.tree.map(lambda leaf: np.zeros(leaf.shape), shapes))
    expected = {
        "blocks.0.conv.low_hz_": (2, 1),
        "blocks.0.conv.band_hz_": (2, 1),
        "blocks.0.norm.running_var": (2,),
        "blocks.0.act.weight": (2,),
        "blocks.1.conv.weight": (2, 2, 20),
        "blocks.1.conv.bias": (2,),
        "denseskips.6.weight": (6, 16, 1),
        "rnn.layers.0.linear.weight": (15, 32),
        "W.weight": (6, 5, 1),
        "norm_out.running_mean": (6,),
    }
    assert expected.items() <= {key: array.shape for key, array in arrays.items()}.items()
    assert "denseskips.0.bias" not in arrays and "norm_out.weight" not in arrays


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"skips": "concat"}, "model.args.skips is 'concat'; allowed: none, sum"),
        ({"recurrent": "gru"}, "model.args.recurrent is 'gru'; allowed: none, qrnn"),
        ({"strides": (1, 10)}, "model.args.strides has 2 numbers; it must have 8"),
        ({"strides": (2, 5, 2, 1, 2, 1, 2, 2)}, "begins with 2; the sinc layer must have 1"),
        ({"window_s": 0.009}, "not one latent is left; raise model.window_s"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        model = models.build("pase", num_labels=3, **SMALL | arguments)
        jax.eval_shape(model.init, jax.random.key(0))
