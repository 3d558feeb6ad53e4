"""Two towers: any network as the one for songs, and words in place of a last layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax import models
from mclf_jax.common.text.vectors import vectors_of
from mclf_jax.models import two_towers
from mclf_jax.models.hidden import layer_widths

LOG_MEL = {"n_mels": 16, "n_fft": 128, "hop_length": 64, "sample_rate_hz": 2000}
SMALL = {"encoder_args": {"n_channels": 4, "num_blocks": 2}, "hidden_size": 16, "dim": 8}


def small(num_labels=2, **changes):
    settings = {"features": LOG_MEL, "window_s": 0.256, "text_size": 32}
    return models.build("two_towers", num_labels=num_labels, **settings | SMALL | changes)


@pytest.fixture(scope="module")
def model():
    return small()


@pytest.fixture(scope="module")
def variables(model):
    found = jax.device_get(model.init(jax.random.key(0)))
    centre = np.linspace(-0.2, 0.3, 8).astype(np.float32)
    return found | {"batch_stats": found["batch_stats"] | {"centre": centre}}


WAVES = np.random.default_rng(0).standard_normal((3, 512)).astype(np.float32)


def test_a_network_is_made_again_from_its_arguments(model):
    used = models.used_arguments(model)
    assert set(used) == set(models.arguments_of("two_towers")) and "tower" not in used
    again = models.build("two_towers", num_labels=2, features=LOG_MEL, window_s=0.256, **used)
    assert again == model and hash(again) == hash(model)
    assert layer_widths(model) == {"tower": 16, "audio": 8, "embedding": 8}


@pytest.mark.slow
def test_the_tower_is_the_network_that_it_is_named_by(model, variables):
    alone = models.build(
        "short_chunk_cnn", num_labels=1, features=LOG_MEL, window_s=0.256, **SMALL["encoder_args"]
    )
    of_tower = {name: part["tower"] for name, part in variables.items()}
    inside = alone.apply(of_tower, WAVES)["embedding"]
    first, last = variables["params"]["audio"]["0"], variables["params"]["audio"]["2"]
    hidden = np.maximum(inside @ first["kernel"] + first["bias"], 0)
    expected = np.asarray(hidden @ last["kernel"] + last["bias"])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = jax.jit(model.apply)(variables, WAVES)["embedding"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(("task", "scale"), [("multi_label", 10.0), ("single_label", 40.0)])
def test_words_become_the_last_layer(model, variables, task, scale):
    params = variables["params"] | {"log_scale": np.float32(np.log(40))}
    variables = variables | {"params": params}
    words = ("slow piano", "sad", "drums")
    asking, found = two_towers.with_words(model, variables, words, task=task)
    assert asking.module.num_labels == 3
    outputs = jax.jit(asking.apply)(found, WAVES)
    vectors = jnp.asarray(vectors_of(words, size=32))
    said = np.asarray(model.module.apply(variables, vectors, method="say"))
    np.testing.assert_allclose(np.linalg.norm(said, axis=1), 1, rtol=1e-5)
    centred = np.asarray(outputs["embedding"]) - variables["batch_stats"]["centre"]
    np.testing.assert_allclose(outputs["logits"], scale * centred @ said.T, atol=1e-4)


@pytest.mark.slow
def test_the_centre_follows_what_is_heard(model, variables):
    x = model.inputs({"audio": WAVES})
    state = {"batch_stats": variables["batch_stats"]}
    outputs, new = model.apply_train(variables["params"], state, x, key=jax.random.key(0))
    old = variables["batch_stats"]["centre"]
    expected = 0.99 * old + 0.01 * outputs["embedding"].mean(axis=0)
    np.testing.assert_allclose(new["batch_stats"]["centre"], expected, atol=1e-6)


def test_temperature_has_an_end(model, variables):
    params = variables["params"] | {"log_scale": np.float32(9)}
    found = model.module.apply(variables | {"params": params}, method="scale")
    assert found == pytest.approx(100)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": "two_towers"}, "model.args.encoder is 'two_towers'; it must be another net"),
        ({"encoder": "fnc"}, "model.args.encoder is 'fnc'; allowed: clmr_sample_cnn"),
        ({"encoder_args": {"depth": 3}}, "model.args.encoder_args has depth; short_chunk_cnn take"),
        ({"width": 3}, "model.args has width; two_towers takes dim, encoder"),
    ],
)
def test_errors(changes, message):
    with pytest.raises(ValueError, match=message):
        small(**changes)


def test_words_that_are_refused(model, variables):
    for words in ((), ("sad", "sad")):
        with pytest.raises(ValueError, match="they must be one or more, each once"):
            two_towers.with_words(model, variables, words)
