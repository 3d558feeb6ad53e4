"""Weights of MATPAC, whose encoder is M2D's, against what its authors' code makes of them.

`parity/layers/matpac.npz` holds what `matpac_wrapper` computes in float64 from
`reference.state_dict` and `reference.waveform`: the mean over time of each row of patches, and
every eighth frame of its spectrogram.
"""

import json

import jax
import numpy as np
import pytest

from mclf_jax import models
from mclf_jax.convert.from_torch import from_torch
from mclf_jax.models import presets
from tests.models.reference import FIXTURES, state_dict, waveform

pytestmark = pytest.mark.usefixtures("quick_compiles")


def test_embeddings_and_spectrogram_are_those_of_its_authors():
    with np.load(FIXTURES / "layers" / "matpac.npz", allow_pickle=False) as arrays:
        fixture = dict(arrays)
    weights = state_dict(json.loads(str(fixture["shapes"]))) | {"pos_embed": fixture["pos_embed"]}
    teacher = {k.replace("student", "teacher"): w for k, w in weights.items() if "student" in k}
    variables = from_torch("vit", weights | teacher, preset="matpac", last_layer="fresh")
    sizes = {"attention_dim": 64, "num_layers": 2}
    model = models.build("vit", num_labels=1, **presets.preset("vit", "matpac") | sizes)
    assert model.input_shape == (608, 80)
    audio = waveform(num_samples=95 * 160 + 400, batch=2, sample_rate_hz=16000)
    np.testing.assert_allclose(model.features(audio)[:, ::8], fixture["features"], atol=1e-3)
    outputs = jax.jit(model.apply)(variables, audio)
    np.testing.assert_allclose(outputs["embedding"], fixture["embedding"], atol=5e-4)
