"""State_dicts in and out: the keys of every network, wrappings, and weights that do not fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mclf_jax as mclf
from mclf_jax import models
from mclf_jax.convert.from_torch import from_torch
from mclf_jax.convert.shapes import sizes_of
from mclf_jax.convert.to_torch import to_torch
from mclf_jax.convert.weights import write_weights
from tests.convert.networks import SMALL, is_learnt, small_model, small_weights
from tests.models.reference import FIXTURES, WITHOUT_FIXTURE, load_fixture, state_dict

PUBLISHED = sorted(path.stem for path in FIXTURES.glob("*.npz"))


def test_every_published_network_has_a_fixture():
    with_fixture = {name.removesuffix("_msd") for name in PUBLISHED}
    assert with_fixture == set(models.ARCHITECTURES) - WITHOUT_FIXTURE


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("fixture", PUBLISHED)
def test_published_keys_and_values_come_out_as_they_went_in(fixture):
    name = fixture.removesuffix("_msd")
    weights = state_dict(load_fixture(fixture)["keys"])
    with jax.enable_x64(True):
        variables = from_torch(name, weights)
        num_labels = int(load_fixture(fixture)["eval_logits"].shape[1])
        model = models.build(name, num_labels=num_labels, **sizes_of(name, weights))
        out = to_torch(model, variables)
    assert {key for key in out if is_learnt(key)} == weights.keys()
    for key, array in weights.items():
        assert out[key].dtype == np.float64 and out[key].flags.c_contiguous
        np.testing.assert_array_equal(out[key], array)
    means = {key.removesuffix("running_mean") for key in out if key.endswith("running_mean")}
    counters = {key for key in out if key.endswith("num_batches_tracked")}
    assert counters == {f"{module}num_batches_tracked" for module in means}
    assert all(out[key].shape == () and out[key].dtype == np.int64 for key in counters)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(
    ("name", "constants"),
    [
        ("short_chunk_cnn", {"spec.spectrogram.window": (512,), "spec.mel_scale.fb": (257, 128)}),
        (
            "music_tagging_transformer",
            {"spec.spectrogram.window": (1024,), "spec.mel_scale.fb": (513, 128)},
        ),
        (
            "tutorial_cnn",
            {"melspec.spectrogram.window": (1024,), "melspec.mel_scale.fb": (513, 128)},
        ),
        ("harmonic_cnn", {"hstft.spec.window": (512,)}),
        ("sample_cnn", {}),
        ("vgg_ish", {}),
    ],
)
def test_constants_of_the_front_end_go_out_and_are_left_out_again(name, constants):
    variables = from_torch(name, small_weights(name))
    out = to_torch(small_model(name), variables)
    found = {key: array for key, array in out.items() if key.endswith((".window", ".fb"))}
    assert {key: array.shape for key, array in found.items()} == constants
    assert all(array.dtype == np.float32 for array in found.values())
    assert_equal(from_torch(name, out), variables)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", models.ARCHITECTURES)
def test_widths_and_depths_are_read_off_the_shapes(name):
    assert sizes_of(name, small_weights(name)).items() >= SMALL[name].items()
    variables = from_torch(name, small_weights(name))
    expected = jax.eval_shape(small_model(name).init, jax.random.key(0))
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, expected)


def test_other_depths_are_read_off_too():
    for name, arguments in (
        ("short_chunk_cnn", {"n_channels": 2, "num_blocks": 4}),
        ("short_chunk_resnet", {"n_channels": 2, "num_blocks": 5}),
        ("cnnsa", {"n_channels": 4, "num_layers": 1}),
        ("crnn", {"n_channels": 2, "hidden_size": 6, "num_layers": 3}),
        ("harmonic_cnn", {"n_channels": 2, "num_harmonics": 4}),
    ):
        model = models.build(name, num_labels=3, **arguments)
        shapes = jax.eval_shape(model.init, jax.random.key(0))
        weights = to_torch(model, jax.tree.map(lambda leaf: np.zeros(leaf.shape), shapes))
        assert sizes_of(name, weights).items() >= arguments.items()


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        *(("fcn", prefix) for prefix in ("network.", "model.", "module.", "encoder.")),
        ("fcn", "model.module."),
        # Whose own keys begin as prefixes do.
        ("cnnsa", "encoder."),
        ("music_tagging_transformer", "model.module."),
    ],
)
@pytest.mark.slow_beyond(4)
def test_prefixes_of_training_code_are_taken_off(name, prefix):
    weights = small_weights(name)
    wrapped = {prefix + key: array for key, array in weights.items()}
    wrapped[f"{prefix}spec.mel_scale.fb"] = np.zeros((0,), np.float32)
    wrapped[f"{prefix}spec_bn.num_batches_tracked"] = np.array(3)
    assert_equal(from_torch(name, wrapped), from_torch(name, weights))


def test_a_teacher_beside_the_network_is_left_aside():
    weights = small_weights("music_tagging_transformer")
    both = {f"network.{key}": array for key, array in weights.items()}
    both |= {f"teacher_network.{key}": array + 1 for key, array in weights.items()}
    found = from_torch("music_tagging_transformer", {"epoch": 9, "state_dict": both})
    assert_equal(found, from_torch("music_tagging_transformer", weights))
    both["projector.weight"] = np.zeros(3)
    with pytest.raises(ValueError, match="unknown: projector.weight"):
        from_torch("music_tagging_transformer", both)


def test_a_file_will_do(tmp_path):
    # safetensors sorts its keys: the last dense layer is found by its name.
    weights = small_weights("sample_cnn_se")
    write_weights(tmp_path / "weights.safetensors", weights)
    found = mclf.from_torch("sample_cnn_se", tmp_path / "weights.safetensors")
    assert_equal(found, from_torch("sample_cnn_se", weights))


def test_weights_keep_their_precision():
    weights = {key: array.astype(np.float16) for key, array in small_weights("fcn").items()}
    assert {leaf.dtype for leaf in jax.tree.leaves(from_torch("fcn", weights))} == {
        jnp.dtype("float16")
    }


def test_everything_that_does_not_fit_is_listed_at_once():
    weights = {f"network.{key}": array for key, array in small_weights("fcn").items()}
    weights["network.layer2.conv.weight"] = weights["network.layer2.conv.weight"][:, :3]
    weights["network.surplus.weight"] = weights.pop("network.layer5.bn.bias")
    del weights["network.dense.weight"]
    weights["loss.weight"] = np.zeros(3)
    with pytest.raises(ValueError) as error:
        from_torch("fcn", weights)
    assert str(error.value).splitlines() == [
        "these weights do not fit 'fcn':",
        "  missing: dense.weight",
        "  layer2.conv.weight: got (8, 3, 3, 3), need (8, 4, 3, 3)",
        "  missing: layer5.bn.bias",
        "  unknown: loss.weight",
        "  unknown: surplus.weight",
        "The size of dense depends on features and model.window_s.",
    ]
    with pytest.raises(ValueError, match=r"layer1.conv.weight: got \(4, 1, 3, 3\), need \(8,"):
        from_torch("fcn", small_weights("fcn"), n_channels=8)
    with pytest.raises(ValueError, match="model.name is 'resnet'; allowed: .*fcn"):
        from_torch("resnet", weights)


def test_another_number_of_labels_is_refused():
    with pytest.raises(ValueError, match=r"3 outputs \(dense\) and 50 labels"):
        from_torch("fcn", small_weights("fcn"), num_labels=50)
    from_torch("fcn", small_weights("fcn"), num_labels=3)


def test_a_filter_bank_of_other_features_is_refused():
    """FCN takes 96 and 128 mel bands: weights for one would load for the other, and be wrong."""
    variables = from_torch("fcn", small_weights("fcn"))
    model = models.build("fcn", num_labels=3, n_mels=128, n_channels=4)
    weights = to_torch(model, variables)
    for arguments in ({"n_mels": 128}, {"features": {"n_mels": 128}}):
        assert_equal(from_torch("fcn", weights, **arguments), variables)
    with pytest.raises(ValueError, match="features.n_mels=128 and features.n_fft=512.*96 and 512"):
        from_torch("fcn", weights)
    with pytest.raises(ValueError, match="features.n_fft=512.*128 and 1024"):
        from_torch("fcn", weights, features={"n_mels": 128, "n_fft": 1024})
    for changes in ({"mel_scale": "slaney"}, {"f_max_hz": 7000.0}, {"mel_norm": "slaney"}):
        with pytest.raises(ValueError, match="mel filter bank of these weights differs"):
            from_torch("fcn", weights, features={"n_mels": 128} | changes)


def assert_equal(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)
