"""The patch transformer: any subset, in any order, at any length. Its parity: test_parity.py."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax import models
from mclf_jax.models.hidden import layer_widths
from mclf_jax.models.patches import grid as grid_lib
from mclf_jax.models.patches.positions import POSITIONS

KEY = jax.random.key(0)
LOG_MEL = {"sample_rate_hz": 2000, "n_fft": 64, "hop_length": 32, "n_mels": 16}
SMALL = {"patch": (4, 8), "attention_dim": 16, "head_dim": 8, "num_layers": 1}


def small(**arguments):
    """Of 7 columns and 2 rows of patches."""
    settings = {"features": LOG_MEL, "window_s": 0.46, **SMALL} | arguments
    return models.build("vit", num_labels=2, **settings)


def heard(model, batch_size=3):
    shape = (batch_size, *model.input_shape)
    return np.random.default_rng(0).standard_normal(shape).astype("f4")


@functools.cache
def _apply(model):
    return jax.jit(functools.partial(model.module.apply, train=False))


def start(**arguments):
    """(variables, what it says of (variables, x), x)."""
    model = small(**arguments)
    return jax.jit(model.init)(KEY), _apply(model), heard(model)


@pytest.mark.slow_beyond(2)
@pytest.mark.parametrize("positions", ("rotary", "learned", "sinusoidal", "none"))
def test_the_order_in_which_patches_come_is_nothing_to_it(positions):
    variables, apply, x = start(positions=positions)
    whole = apply(variables, x)
    assert whole["tokens"].shape == (3, 14, 16) and whole["embedding"].shape == (3, 16)
    order = grid_lib.shuffled(KEY, 3, 14)
    mixed = apply(variables, x, visible=order)
    np.testing.assert_allclose(mixed["embedding"], whole["embedding"], atol=1e-5)
    expected = grid_lib.take(whole["tokens"], order)
    np.testing.assert_allclose(mixed["tokens"], expected, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "bands", "cls"])
def test_what_is_not_visible_is_not_heard(pooling):
    variables, apply, x = start(pooling=pooling)
    visible = np.array([[0, 8], [3, 12], [13, 1]])
    seen = apply(variables, x, visible=visible)
    assert seen["tokens"].shape == (3, 2, 16)
    masked = np.zeros_like(x)
    for row, numbers in enumerate(visible):
        for number in numbers:
            frames = slice(number % 7 * 4, number % 7 * 4 + 4)
            bands = slice(number // 7 * 8, number // 7 * 8 + 8)
            masked[row, frames, bands] = x[row, frames, bands]
    alone = apply(variables, masked, visible=visible)
    jax.tree.map(np.testing.assert_array_equal, seen, alone)
    assert np.abs(seen["embedding"] - apply(variables, x)["embedding"]).max() > 1e-3


def test_bands_are_the_means_of_their_rows():
    variables, apply, x = start(pooling="bands")
    outputs = apply(variables, x)
    tokens = np.asarray(outputs["tokens"]).reshape(3, 2, 7, 16)
    expected = tokens.mean(axis=2).reshape(3, 32)
    np.testing.assert_allclose(outputs["embedding"], expected, atol=1e-6)
    some = apply(variables, x, visible=np.array([[0, 1]] * 3))
    expected = np.asarray(some["tokens"]).mean(axis=1)
    np.testing.assert_allclose(some["embedding"][:, :16], expected, atol=1e-6)
    assert not np.asarray(some["embedding"][:, 16:]).any()  # a row of which nothing is visible


@pytest.mark.parametrize("positions", POSITIONS)
def test_takes_other_lengths_than_it_was_made_for(positions):
    variables = jax.eval_shape(small(positions=positions, pooling="cls").init, KEY)
    for window_s, columns in ((0.2, 3), (1.5, 23)):
        model = small(positions=positions, pooling="cls", window_s=window_s)
        x = jax.ShapeDtypeStruct((2, *model.input_shape), "float32")
        outputs = jax.eval_shape(_apply(model), variables, x)
        assert outputs["tokens"].shape == (2, 2 * columns, 16)


def test_patches_are_left_out_in_training_alone():
    model = small(patchout=(2, 0), patchout_rate=0.5)
    variables = jax.eval_shape(model.init, KEY)
    params = variables.pop("params")
    x = heard(model)
    apply_train = functools.partial(model.apply_train, key=KEY)
    outputs, _ = jax.eval_shape(apply_train, params, variables, x)
    assert outputs["tokens"].shape == (3, 5, 16)  # half of 5 columns of 2
    visible = jnp.zeros((3, 1), int)
    outputs, _ = jax.eval_shape(apply_train, params, variables, x, visible=visible)
    assert outputs["tokens"].shape == (3, 1, 16)
    outputs = jax.eval_shape(_apply(model), {"params": params, **variables}, x)
    assert outputs["tokens"].shape == (3, 14, 16)


def test_layers_have_names():
    names = list(layer_widths(small(num_layers=2)))
    assert names == ["patch_embed.proj", "blocks.0", "blocks.1", "embedding"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pooling": "max"}, "model.args.pooling is 'max'; allowed: mean, bands, cls"),
        ({"positions": "alibi"}, "model.args.positions is 'alibi'; allowed: sinusoidal, learned"),
        ({"patchout_rate": 1.0}, r"model.args.patchout_rate is 1.0; it must be in \[0, 1\)"),
        ({"positions": "rotary", "head_dim": 2}, "head_dim is 2; .* multiple of 4"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(small(**arguments).init, KEY)
