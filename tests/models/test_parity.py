"""The networks compute the same functions as their published PyTorch versions, in float64."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax import losses, models
from mclf_jax.audio.features import log_mel
from mclf_jax.convert.from_torch import from_torch
from tests.models.reference import load_fixture, state_dict, waveform

NAMES = ("short_chunk_cnn", "tutorial_cnn")
# Of max(1, |value|). What is left comes from the reference's float32 mel filter banks and
# windows: with those in place of ours every difference is below 1e-5. They also decide a few
# near-ties of the max-pooling, which shows in gradients of the longest input by 1 %.
TOLERANCE = 2e-4
NO_DROPOUT = {
    "short_chunk_cnn": {"dropout_rate": 0.0},
    "tutorial_cnn": {"dropout_rate": 0.0, "block_dropout_rate": 0.0},
}


@pytest.fixture(scope="module", params=NAMES)
def case(request):
    """Fixture, model, variables and waveform of a network, all in float64."""
    name = request.param
    fixture = load_fixture(name)
    with jax.enable_x64(True):
        model = models.build(name, num_labels=fixture["eval_logits"].shape[1], **NO_DROPOUT[name])
        audio = waveform(
            num_samples=int(fixture["n_samples"]),
            batch=int(fixture["batch"]),
            sample_rate_hz=int(fixture["sample_rate"]),
        ).astype(np.float64)
        assert model.features.sample_rate_hz == fixture["sample_rate"]
        assert model.window_samples == fixture["n_samples"]
        yield fixture, model, from_torch(name, state_dict(fixture["keys"])), audio


def assert_close(got, expected, tolerance=TOLERANCE):
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.dtype == np.float64
    error = np.abs(got - expected) / np.maximum(1, np.abs(expected))
    assert error.max() < tolerance, error.max()


def test_spectrogram(case):
    fixture, model, _, audio = case
    spectrogram = log_mel(audio, model.features)
    assert spectrogram.swapaxes(1, 2).shape == tuple(fixture["spec_shape"])
    np.testing.assert_allclose(spectrogram.mean(), fixture["spec_mean"], atol=1e-3)
    np.testing.assert_allclose(spectrogram.std(), fixture["spec_std"], atol=1e-3)
    np.testing.assert_allclose(
        spectrogram[:, :8].swapaxes(1, 2), fixture["spec_first_frames"], atol=1e-2
    )


def test_evaluation_mode(case):
    fixture, model, variables, audio = case
    with jax.enable_x64(True):
        outputs = jax.jit(model.apply)(variables, audio)
        assert_close(outputs["logits"], fixture["eval_logits"])
        assert_close(outputs["embedding"], fixture["eval_embedding"])


def test_training_mode(case):
    fixture, model, variables, audio = case

    def mean_loss(params):
        outputs, state = model.module.apply(
            variables | {"params": params},
            model.inputs({"audio": jnp.asarray(audio)}),
            train=True,
            mutable=["batch_stats"],
        )
        loss = losses.sigmoid_cross_entropy(outputs["logits"], fixture["train_labels"]).mean()
        return loss, (outputs["logits"], state["batch_stats"])

    rows = {}  # values per channel that each batch norm averages over

    def count_rows(call, args, kwargs, context):
        if isinstance(context.module, nn.BatchNorm):
            rows[context.module.path] = args[0].size // args[0].shape[-1]
        return call(*args, **kwargs)

    with jax.enable_x64(True):
        with nn.intercept_methods(count_rows):
            gradient = jax.jit(jax.value_and_grad(mean_loss, has_aux=True))
            (loss, (logits, stats)), grads = gradient(variables["params"])
        assert_close(logits, fixture["train_logits"])
        assert_close(loss, fixture["train_loss"])

        norms = dict(zip(fixture["grad_keys"], fixture["grad_norms"], strict=True))
        assert len(norms) == len(jax.tree.leaves(grads))
        for key, expected in norms.items():
            path, leaf = key_path(key)
            node = at(grads, path)
            gradient = node["bias"] if leaf == "bias" else node.get("kernel", node.get("scale"))
            # Biases before a batch norm have no gradient but rounding: compare with the largest.
            error = abs(float(jnp.linalg.norm(gradient)) - expected)
            assert error < 1e-2 * expected + 5e-5 * max(norms.values()), key

        sums = dict(zip(fixture["bn_after_keys"], fixture["bn_after_sums"], strict=True))
        for key, expected in sums.items():
            path, leaf = key_path(key)
            leaf = leaf.removeprefix("running_")
            new, old = (at(tree, path)[leaf] for tree in (stats, variables["batch_stats"]))
            if leaf == "var":
                # PyTorch keeps the unbiased variance, N/(N-1) of the batch's.
                new = 0.9 * old + (new - 0.9 * old) * rows[path] / (rows[path] - 1)
            assert abs(float(new.sum()) - expected) <= 1e-4 * max(1, abs(expected)), key


def key_path(key):
    """("layer1", "bn"), "weight" of "layer1.bn.weight"."""
    *path, leaf = key.split(".")
    return tuple(path), leaf


def at(tree, path):
    for part in path:
        tree = tree[part]
    return tree


def test_wrong_weights_are_listed():
    weights = state_dict(load_fixture("tutorial_cnn")["keys"])
    weights["layer2.conv.weight"] = weights["layer2.conv.weight"][:, :3]
    weights["surplus.weight"] = weights.pop("dense1.bias")
    with pytest.raises(ValueError) as error:
        from_torch("tutorial_cnn", weights)
    message = str(error.value)
    assert "layer2.conv.weight: got (16, 3, 3, 3), need (16, 16, 3, 3)" in message
    assert "missing: dense1.bias" in message
    assert "unknown: surplus.weight" in message
