"""From a config's `augment` section to chains, and errors that name the field."""

import numpy as np
import pytest
import soundfile

from mclf_jax import augment
from mclf_jax import config as config_lib
from mclf_jax.audio.features import LogMel
from mclf_jax.config import base

FEATURES = LogMel(sample_rate_hz=16000)


def build(**changes):
    config = base()
    config.train.num_steps = config.eval.every_steps = 1
    named = {f"augment.{name}": value for name, value in changes.items()}
    config = config_lib.override(config, named)
    chains = augment.build(config.augment, features=FEATURES)
    # As from a run directory, where tuples have become lists.
    saved = config_lib.from_json(config_lib.to_json(config))
    assert augment.build(saved.augment, features=FEATURES) == chains
    return chains


def test_nothing_is_asked_for_by_default():
    assert build() == augment.Chains(None, None, None)


@pytest.mark.parametrize("name", augment.PRESETS)
def test_presets_by_name_at_the_rate_of_the_features(name):
    assert build(waveform=name).waveform == augment.PRESETS[name](16000)


def test_a_chain_of_ones_own():
    chain = (
        ("gain", 1, {"min_db": -6.0, "max_db": 0.0}),
        ("delay", 0.5, {"delays_s": (0.1, 0.2)}),
        ("noise", 0.25, {"color": (-3.0, 3.0)}),
    )
    assert build(chain=chain).waveform == augment.compose(
        [
            augment.Gain(-6.0, 0.0),
            augment.random_apply(augment.Delay(16000, delays_s=(0.1, 0.2)), p=0.5),
            augment.random_apply(augment.Noise(color=(-3.0, 3.0)), p=0.25),
        ]
    )


@pytest.mark.parametrize("name", augment.AUGMENTATIONS)
def test_every_name_of_a_chain_keeps_the_length(name, tmp_path):
    soundfile.write(tmp_path / "noise.wav", np.sin(np.arange(500.0)) / 2, 8000)
    arguments = {
        "background_mix": {"background": str(tmp_path)},
        "impulse_response": {"responses": str(tmp_path / "noise.wav")},
    }
    config = base()
    config.augment.chain = ((name, 1.0, arguments.get(name, {})),)
    chain = augment.build(config.augment, features=FEATURES).waveform
    x = np.random.default_rng(0).uniform(-1, 1, 8000).astype(np.float32)
    y = chain(np.random.default_rng(1), x)
    assert y.shape == x.shape and y.dtype == x.dtype
    assert not np.array_equal(x, y)


def test_recordings_are_read_at_the_rate_of_the_features(tmp_path):
    for i in (1, 2):
        tone = np.sin(2 * np.pi * 500 * np.arange(1000 * i) / 8000) / 2
        soundfile.write(tmp_path / f"{i}.wav", tone, 8000)
    (tmp_path / "licence.txt").write_text("none")
    config = base()
    config.augment.chain = (("background_mix", 0.5, {"background": str(tmp_path)}),)
    (link,) = augment.build(config.augment, features=FEATURES).waveform.augmentations
    assert link.augmentations[0].background.shape == (2, 4000)  # the shorter one is repeated
    (tmp_path / "1.wav").write_text("no audio")
    with pytest.raises(ValueError, match=r"augment.chain\[0\], background_mix: .*1.wav"):
        augment.build(config.augment, features=FEATURES)
    config.augment.chain = (("background_mix", 0.5, {}),)
    with pytest.raises(ValueError, match=r"augment.chain\[0\], background_mix: .*'background'"):
        augment.build(config.augment, features=FEATURES)
    (tmp_path / "empty").mkdir()
    config.augment.chain = (("background_mix", 1, {"background": str(tmp_path / "empty")}),)
    with pytest.raises(ValueError, match="no audio files in this folder"):
        augment.build(config.augment, features=FEATURES)


def test_across_the_batch():
    assert build(mixup_alpha=0.4).batch == augment.Mixup(0.4)
    assert build(cutmix_alpha=1.0).batch == augment.Cutmix(1.0)
    both = augment.MixupOrCutmix(augment.Mixup(0.4), augment.Cutmix(1.0))
    assert build(mixup_alpha=0.4, cutmix_alpha=1.0).batch == both


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"waveform": "loud"},
            "augment.waveform is 'loud'; allowed: '', clmr, musicnn_noisy_student",
        ),
        (
            {"chain": (("echo", 1, {}),)},
            r"augment.chain\[0\] is 'echo'; allowed: background_mix, band_drop, ch",
        ),
        (
            {"chain": (("gain", 1),)},
            r"augment.chain\[0\] is \('gain', 1\); it must be \(name, prob",
        ),
        ({"chain": ("gain",)}, r"augment.chain\[0\] is 'gain'; it must be"),
        (
            {"chain": (("gain", 1, {}), ("noise", 1, {"snr": 3}))},
            r"augment.chain\[1\] has snr; noise takes color, max_snr_db, min_snr_db",
        ),
        (
            {"chain": (("gain", 2, {}),)},
            r"augment.chain\[0\], gain: p is 2; it must be in \[0, 1\]",
        ),
        (
            {"chain": (("gain", 1, {"min_db": 3.0, "max_db": 1.0}),)},
            r"augment.chain\[0\], gain: Gain.min_db .* 3.0 .* max_db .* 1.0",
        ),
        ({"waveform": "clmr", "chain": (("gain", 1, {}),)}, "one of them must be empty"),
        (
            {"waveform": "clmr", "on": "device"},
            "features.on is 'pipeline'; as augment.on is 'device'",
        ),
        ({"on": "gpu"}, "augment.on is 'gpu'; allowed: pipeline, device"),
        ({"mixup_alpha": -1.0}, "augment.mixup_alpha is -1.0; it must be in"),
    ],
)
def test_errors_name_the_field(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)


def test_a_chain_can_be_typed_on_the_command_line():
    config = config_lib.apply_overrides(
        base(),
        ["--config.augment.chain=(('noise', 0.5, {'min_snr_db': 10.0}),)"],
        origin="the test",
    )
    (link,) = augment.build(config.augment, features=FEATURES).waveform.augmentations
    assert link == augment.random_apply(augment.Noise(min_snr_db=10.0), p=0.5)
