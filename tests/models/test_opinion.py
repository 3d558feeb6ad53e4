"""A second opinion: statistics of what a network hears, and nothing before it is fitted."""

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from mclf_jax import models
from mclf_jax.audio.mel import cosine_transform
from mclf_jax.convert.to_torch import to_torch
from mclf_jax.models.layers.opinion import COLLECTION, window_statistics

SMALL = {"n_channels": 4, "num_blocks": 2, "n_mels": 16, "window_s": 0.5}


@pytest.fixture(scope="module")
def model():
    return models.build("short_chunk_cnn", num_labels=3, second_opinion=4, **SMALL)


@pytest.fixture(scope="module")
def variables(model):
    return model.init(jax.random.key(0))


def test_statistics_are_those_of_mfccs_and_of_their_deltas():
    x = np.random.default_rng(0).standard_normal((2, 30, 24)).astype(np.float32)
    found = window_statistics(x)
    mfcc = x[1] @ cosine_transform(24, 20)
    deltas = librosa.feature.delta(mfcc, axis=0, mode="nearest")
    expected = [f(y, axis=0) for y in (mfcc, deltas) for f in (np.mean, np.std)]
    np.testing.assert_allclose(found[1], np.concatenate(expected), atol=1e-5)
    np.testing.assert_allclose(window_statistics(jnp.asarray(x)), found, atol=1e-5)
    assert window_statistics(x[:, :1, :8]).shape == (2, 32)  # one frame, and fewer bands


def test_before_it_is_fitted_the_network_speaks_alone(model, variables):
    alone = models.build("short_chunk_cnn", num_labels=3, **SMALL)
    waveform = 0.1 * np.random.default_rng(1).standard_normal((2, 8000)).astype(np.float32)
    plain = {name: tree for name, tree in variables.items() if name != COLLECTION}
    expected, found = alone.apply(plain, waveform), model.apply(variables, waveform)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
    assert COLLECTION not in alone.init(jax.random.key(0))


def test_in_training_it_is_silent_and_stays_as_it_is(model, variables):
    loud = jax.tree.map(lambda x: x + 1.0, variables[COLLECTION])
    state = {"batch_stats": variables["batch_stats"]}
    x = np.random.default_rng(2).standard_normal((2, *model.input_shape)).astype(np.float32)
    key = jax.random.key(3)
    quiet, _ = model.apply_train(
        variables["params"], {**state, COLLECTION: variables[COLLECTION]}, x, key=key
    )
    found, after = model.apply_train(variables["params"], {**state, COLLECTION: loud}, x, key=key)
    np.testing.assert_array_equal(found["logits"], quiet["logits"])
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), after[COLLECTION], loud))
    heard = model.module.apply({**variables, COLLECTION: loud}, x, train=False)["logits"]
    assert not np.allclose(heard, model.module.apply(variables, x, train=False)["logits"])


def test_pytorch_gets_the_network_alone_and_that_is_said(model, variables):
    with pytest.warns(UserWarning, match="second opinion of the network is left out"):
        found = to_torch(model, variables)
    assert not [key for key in found if "opinion" in key]
