"""From config to parts: level of training, place of the features, errors that name the field."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax import models
from mclf_jax.audio.features import preset
from mclf_jax.data.pipeline import training_batches
from mclf_jax.run import experiment
from tests.tiny import tiny_config


def first_batch(**changes):
    config = tiny_config(**changes)
    parts = experiment.build(config)
    batches = training_batches(
        parts.source, parts.indices("train"), inputs=parts.inputs, batch_size=4, seed=0
    )
    return parts, batches[0]


def test_window_level_and_song_level():
    parts, batch = first_batch()
    assert parts.model.window_samples == 500
    assert batch["features"].shape == (4, *parts.model.input_shape)
    # Songs are 2 to 3 s: every example is a whole one, and what is missing is padded.
    parts, batch = first_batch(data__level="song", data__song_s=3.5, data__short="pad")
    assert parts.model.window_samples == 3500
    assert batch["features"].shape == (4, 1 + 3500 // 32, 8)
    assert (batch["features"][:, -10:] == batch["features"].min()).all()


@pytest.mark.slow
def test_features_on_the_device_are_those_of_the_pipeline():
    _, host = first_batch()
    parts, device = first_batch(features__on="device")
    assert "features" not in device and device["audio"].shape == (4, 500)
    on_device = parts.model.inputs({"audio": jnp.asarray(device["audio"])})
    np.testing.assert_allclose(on_device, host["features"], atol=1e-3)


def test_overridden_features_reach_model_and_source():
    parts, batch = first_batch(features__n_mels=6, features__hop_length=64)
    assert parts.model.features.n_mels == 6
    assert batch["features"].shape == (4, 1 + 500 // 64, 6)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(
    ("kind", "changes", "num_bins"),
    [
        ("mfcc", {"features__n_mels": 16, "features__n_mfcc": 12}, 12),
        ("spectrogram", {"features__power": 1.0, "features__compression": "log"}, 33),
        ("cqt", {"features__num_bins": 24, "features__norm": "amplitude"}, 24),
        ("log_mel", {"features__compression": "pcen", "features__window": "hamming"}, 8),
    ],
)
def test_another_representation_is_a_config_choice(kind, changes, num_bins):
    if kind == "cqt":  # has no frame length and no mel bands
        changes = {**changes, "features__n_fft": None, "features__n_mels": None}
    elif kind == "spectrogram":
        changes = {**changes, "features__n_mels": None}
    parts, batch = first_batch(features__kind=kind, **changes)
    assert parts.model.features.kind == kind
    assert parts.model.features.hop_length == 32
    assert batch["features"].shape == (4, *parts.model.input_shape) == (4, 16, num_bins)

    @jax.jit
    def outputs_of(x):
        variables = parts.model.init(jax.random.key(0))
        return parts.model.module.apply(variables, x, train=False)

    outputs = outputs_of(batch["features"])
    assert np.isfinite(outputs["logits"]).all()


def test_a_whole_representation_is_taken_by_build():
    features = preset("librosa", n_mels=64)
    assert models.build("short_chunk_cnn", num_labels=2, features=features).features == features
    assert models.build("fcn", num_labels=2, features=features, n_mels=96).features.n_mels == 96
    mfcc = models.build("vgg_ish", num_labels=2, features={"kind": "mfcc", "n_mfcc": 40}).features
    # What both have stays as published.
    assert (mfcc.mel_scale, mfcc.compression, mfcc.n_mfcc) == ("slaney", "log10_10000", 40)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features__kind": "chroma"}, "features.kind is 'chroma'.*allowed: spectrogram, log_mel"),
        ({"features__kind": "waveform"}, "features.kind is 'waveform', but short_chunk_cnn takes"),
        ({"features__n_mfcc": 12}, "features.n_mfcc is set, but short_chunk_cnn takes a log_mel"),
        (
            {"features__n_mfcc": 12, "features__bins_per_octave": 12},
            "None is wanted for bins_per_octave, n_mfcc",
        ),
        ({"model__name": "resnet"}, "model.name is 'resnet'; allowed: clmr_sample_cnn, cnnsa"),
        ({"data__name": "radio"}, "data.name is 'radio'; allowed: audioset, deam, "),
        ({"features__mel_scale": "bark"}, "features.mel_scale is 'bark'; allowed: htk, slaney"),
        ({"model__args__num_blocks": 9}, r"model.args.num_blocks is 9; it must be in \[1, 7\]"),
        ({"model__window_s": 0.05}, "raise model.window_s"),
    ],
)
def test_errors_name_the_field(changes, message):
    with pytest.raises(ValueError, match=message):
        parts, _ = first_batch(**changes)
        parts.model.init(jax.random.key(0))


def test_unknown_arguments_are_listed():
    config = tiny_config()
    with config.unlocked():
        config.model.args.depth = 3
    with pytest.raises(
        ValueError, match="model.args has depth; short_chunk_cnn takes .*n_channels"
    ):
        experiment.build(config)
    config = tiny_config()
    with config.unlocked():
        config.data.args.speed = 3
    with pytest.raises(ValueError, match="data.args has speed; songs takes count"):
        experiment.build(config)
