"""Hidden layers: named in the order of calls, averaged over time, and whatever the run computed."""

import functools

import jax
import numpy as np
import pytest

from mclf_jax import models
from mclf_jax.api import load
from mclf_jax.export import settings
from mclf_jax.models.hidden import find_layers, layer_widths
from tests.small_run import small_model, write_run


def test_layers_have_stable_names_and_a_wrong_one_lists_them():
    model = small_model(num_blocks=2, features={"n_mels": 16, "n_fft": 64, "hop_length": 32})
    assert layer_widths(model) == {"layer1": 4, "layer2": 4, "embedding": 16}
    assert find_layers(model, "2", field="--layer") == ("layer2",)
    assert find_layers(model, "layer1", field="--layer") == ("layer1",)
    assert find_layers(model, "all", field="--layer") == ("layer1", "layer2", "embedding")
    expected = "--layer is '4'; short_chunk_cnn has 1 layer1, 2 layer2, 3 embedding: give a name"
    with pytest.raises(ValueError, match=expected):
        find_layers(model, "4", field="--layer")
    names = layer_widths(models.build("music_tagging_transformer", num_labels=2, remat="blocks"))
    assert list(names)[2:5] == ["frontend.layer3", "transformer.layers.0", "transformer.layers.1"]


def test_a_layer_of_a_run_is_what_its_block_makes(tmp_path):
    audio = np.random.default_rng(0).standard_normal((3, 500)).astype(np.float32)
    run = write_run(tmp_path / "run", audio)
    plain, block, both = (load(run, layer=layer) for layer in (None, "layer1", "all"))
    variables, model = plain.variables, plain.model
    captured = {"train": False, "capture_intermediates": True, "mutable": ["intermediates"]}
    _, seen = jax.jit(functools.partial(model.module.apply, **captured))(
        variables, model.features(audio)
    )
    expected = np.asarray(seen["intermediates"]["layer1"]["__call__"][0]).mean(axis=(1, 2))
    songs = list(audio)
    np.testing.assert_allclose(block.embed(songs, sample_rate_hz=1000), expected, rtol=1e-4)
    np.testing.assert_allclose(
        both.embed(songs, sample_rate_hz=1000),
        np.concatenate([expected, plain.embed(songs, sample_rate_hz=1000)], axis=1),
        rtol=1e-4,
        atol=1e-6,
    )
    assert block.predict(songs[0], sample_rate_hz=1000) == pytest.approx(
        plain.predict(songs[0], sample_rate_hz=1000)
    )
    known = settings.to_json(block.bundle)
    assert known["hidden"] == ["layer1"] and known["format"] == 2  # earlier versions refuse it
    arrays = settings.flatten(block.bundle.weights)
    assert settings.from_json(known, arrays=arrays, name="layer1.mclf").hidden == ("layer1",)
