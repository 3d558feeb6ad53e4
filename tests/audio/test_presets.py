"""Presets against the libraries they are named after, and the table that describes them."""

import re

import librosa
import numpy as np
import pytest

from mclf_jax import models
from mclf_jax.audio.features import PRESETS, LogMel, log_mel, preset
from tests import ROOT

PAGE = ROOT / "docs" / "representations.md"
# What essentia 2.1-beta6 computes with the script of the MTG-Jamendo baseline: frames 0, 7 and 20
# of the chirp below, bands 0, 10, 40, 70 and 95.
ESSENTIA = [
    [-0.351, -29.012, -50.306, -79.592, -93.635],
    [-135.382, -83.593, -127.016, -200.0, -200.0],
    [-136.753, -84.008, -163.613, -168.877, -200.0],
]


def chirp(sample_rate_hz):
    t = np.arange(sample_rate_hz // 2) / sample_rate_hz
    sweep = 0.4 * np.sin(2 * np.pi * (200 * t + 2000 * t**2))
    return (sweep + 0.2 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)


def test_librosa():
    audio = chirp(22050)
    expected = librosa.power_to_db(librosa.feature.melspectrogram(y=audio, sr=22050))
    np.testing.assert_allclose(log_mel(audio, preset("librosa")), expected.T, atol=1e-3)


def test_essentia():
    found = log_mel(chirp(12000), preset("essentia"))
    np.testing.assert_allclose(found[[0, 7, 20]][:, [0, 10, 40, 70, 95]], ESSENTIA, atol=0.01)


def test_musicnn():
    audio = chirp(16000)
    mel = librosa.feature.melspectrogram(
        y=audio, sr=16000, n_fft=512, hop_length=256, n_mels=96, pad_mode="reflect"
    )
    found = log_mel(audio, preset("musicnn"))
    np.testing.assert_allclose(found, np.log10(10000 * mel.T + 1), atol=1e-4)
    assert models.build("vgg_ish", num_labels=2).features == preset("musicnn")


def test_torchaudio_is_the_default():
    # Against torchaudio itself: the spectrograms of tests/models/test_parity.py.
    assert preset("torchaudio") == LogMel()
    assert preset("torchaudio", n_mels=128) == LogMel(n_mels=128)


def test_an_unknown_preset_lists_the_choices():
    with pytest.raises(ValueError, match="'kapre'; allowed: torchaudio, librosa, musicnn"):
        preset("kapre")


def test_the_page_has_their_settings():
    table, *_ = re.findall(
        r"^\| \|(?: `\w+` \|)+\n(?:\|.*\n)+", PAGE.read_text("utf-8"), re.MULTILINE
    )
    head, _, *rows = [
        [cell.strip(" `") for cell in row.strip("|").split("|")] for row in table.splitlines()
    ]
    assert head[1:] == list(PRESETS)
    for field, *cells in rows:
        for name, cell in zip(PRESETS, cells, strict=True):
            assert str(getattr(PRESETS[name], field)) == cell, (name, field)
    defaults = LogMel()
    differing = {
        field
        for settings in PRESETS.values()
        for field, value in vars(settings).items()
        if value != getattr(defaults, field)
    }
    assert differing <= {row[0] for row in rows}
