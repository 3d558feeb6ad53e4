"""`pooling=blocks`: the last layer reads means and deviations of what every block makes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax import config as config_lib
from mclf_jax.api import Tagger, load
from mclf_jax.train.transfer import initialise
from tests import ROOT
from tests.small_run import small_model, write_run

SHAPE = {"num_blocks": 3, "features": {"n_mels": 16, "n_fft": 64, "hop_length": 32}}


@pytest.fixture(scope="module")
def model():
    return small_model(pooling="blocks", **SHAPE)


@pytest.fixture(scope="module")
def variables(model):
    return model.init(jax.random.key(0))


def test_the_embedding_is_means_and_deviations_of_every_block(model, variables):
    x = np.random.default_rng(0).standard_normal((3, *model.input_shape)).astype(np.float32)
    outputs, seen = model.module.apply(
        variables, x, train=False, capture_intermediates=True, mutable=["intermediates"]
    )
    blocks = [seen["intermediates"][f"layer{i}"]["__call__"][0] for i in (1, 2, 3)]
    expected = [f(np.asarray(y), (1, 2)) for y in blocks for f in (np.mean, np.std)]
    # Of a batch norm that has seen nothing: the mean is 0 and the deviation sqrt(1 + 1e-5).
    found = outputs["embedding"] * np.sqrt(1 + 1e-5)
    np.testing.assert_allclose(found, np.concatenate(expected, 1), atol=4e-3)
    kernel = variables["params"]["dense2"]["kernel"]
    np.testing.assert_allclose(
        outputs["logits"],
        outputs["embedding"] @ kernel + variables["params"]["dense2"]["bias"],
        atol=1e-5,
    )


def test_silence_has_gradients(model, variables):
    """Nothing varies in it, and a deviation of 0 alone would have none."""
    x = jnp.zeros((2, *model.input_shape))
    state = {"batch_stats": variables["batch_stats"]}

    def loss(params):
        outputs, _ = model.apply_train(params, state, x, key=jax.random.key(1))
        return jnp.square(outputs["logits"]).sum()

    found = jax.jit(jax.grad(loss))(variables["params"])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))


def test_the_convolutions_are_those_of_a_network_that_pools_otherwise(model, variables, tmp_path):
    audio = np.random.default_rng(0).standard_normal((3, 500)).astype(np.float32)
    run = write_run(tmp_path / "run", audio, **SHAPE)
    how = {"task": "single_label", "labels": ("low", "high")}
    started = initialise(variables, run, model=model, **how)
    became = {(part.module, part.outcome) for part in started.report}
    assert {("spec_bn", "loaded"), ("layer3", "loaded"), ("blocks_bn", "new")} < became
    assert ("dense2", "skipped") in became  # it read something else
    # Half of the embedding of each block is the layer that the other network has.
    of_other = load(run, layer="layer2").embed(list(audio), sample_rate_hz=1000)
    embedding = Tagger(model, started.variables, task="single_label", labels=how["labels"]).embed(
        list(audio), sample_rate_hz=1000
    )
    np.testing.assert_allclose(embedding[:, 8:12] * np.sqrt(1 + 1e-5), of_other, rtol=1e-4)


def test_the_recipe_keeps_the_convolutions():
    config = config_lib.load(f"{ROOT}/configs/made_music.py:path=made,start=runs/small,steps=10")
    assert config.init.path == "runs/small" and config.model.args.pooling == "blocks"
    plain = config_lib.load(f"{ROOT}/configs/made_music.py:path=made")
    assert not plain.init.path and plain.model.args.pooling == "mean_max"
