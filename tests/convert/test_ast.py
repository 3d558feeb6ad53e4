"""Weights of AST by both of its spellings, against what Hugging Face's module makes of them.

`parity/layers/ast.npz` holds what transformers 4.57 computes in float64 from
`reference.state_dict`, with eager attention, and torchaudio 2.11's `compliance.kaldi.fbank` of
`reference.waveform` with an offset, normalised as AST is.
"""

import json

import jax
import numpy as np
import pytest

from mclf_jax import models
from mclf_jax.convert.from_torch import from_torch
from mclf_jax.convert.unwrap import unwrap
from mclf_jax.models import presets
from tests.models.reference import FIXTURES, state_dict, waveform

pytestmark = pytest.mark.usefixtures("quick_compiles")

SIZES = {"attention_dim": 64, "num_layers": 2}
BANDS = {"n_mels": 40}
AUTHORS = {
    "embeddings.distillation_token": "dist_token",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.patch_embeddings.projection": "patch_embed.proj",
    "embeddings.": "",
    "encoder.layer": "blocks",
    "layernorm_before": "norm1",
    "layernorm_after": "norm2",
    "attention.output.dense": "attn.proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
    "layernorm": "norm",
}


@pytest.fixture(scope="module")
def fixture():
    with np.load(FIXTURES / "layers" / "ast.npz", allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def of_hugging_face(fixture):
    return state_dict(json.loads(str(fixture["shapes"])))


def of_authors(weights):
    """Written out by hand for what this file needs, with what DeiT leaves behind."""
    found, queries = {}, {}
    for key, array in weights.items():
        own = key.removeprefix("audio_spectrogram_transformer.")
        if own.startswith("classifier"):
            found[f"module.mlp_head.{'01'['dense' in own]}.{own.rpartition('.')[2]}"] = array
            continue
        for theirs, name in AUTHORS.items():
            own = own.replace(theirs, name)
        if ".attention.attention." in own:
            layer, _, rest = own.partition(".attention.attention.")
            queries.setdefault(f"{layer}.attn.qkv.{rest.partition('.')[2]}", []).append(array)
        else:
            found[f"module.v.{own}"] = array
    found |= {f"module.v.{key}": np.concatenate(parts) for key, parts in queries.items()}
    deit = {"head.weight": np.ones((5, 64)), "head_dist.bias": np.ones(5)}
    return found | {f"module.v.{key}": array for key, array in deit.items()}


def test_outputs_are_those_of_pytorch(fixture, of_hugging_face):
    variables = from_torch("vit", of_hugging_face, preset="ast", features=features(), window_s=0.48)
    model = models.build("vit", num_labels=3, **settings())
    x = np.random.default_rng(0).standard_normal((2, 48, 40)).astype(np.float32)
    outputs = jax.jit(lambda v, x: model.module.apply(v, x, train=False))(variables, x)
    for name in ("logits", "embedding"):
        np.testing.assert_allclose(outputs[name], fixture[name], atol=2e-4)


def test_both_spellings_are_the_same_weights(of_hugging_face):
    one, other = (unwrap("vit", w) for w in (of_hugging_face, of_authors(of_hugging_face)))
    assert one.arrays.keys() == other.arrays.keys() and not one.left_out
    for key, array in one.arrays.items():
        np.testing.assert_array_equal(array, other.arrays[key])
    assert other.left_out == tuple(
        f"{name}.* (which AST does not use)" for name in ("head", "head_dist")
    )
    alone = {k: w for k, w in of_hugging_face.items() if not k.startswith("classifier")}
    alone = {k.removeprefix("audio_spectrogram_transformer."): w for k, w in alone.items()}
    assert unwrap("vit", alone).arrays.keys() == {
        key for key in one.arrays if not key.startswith("head")
    }


def test_an_export_of_ours_is_read_as_it_is(of_hugging_face):
    ours = unwrap("vit", of_hugging_face).arrays
    again = unwrap("vit", ours).arrays
    assert again.keys() == ours.keys()
    np.testing.assert_array_equal(again["pos_embed"], ours["pos_embed"])


def test_the_spectrogram_is_kaldis(fixture):
    model = models.build("vit", num_labels=1, **presets.preset("vit", "ast"))
    grid = model.module.grid(model.input_shape)
    assert model.input_shape == (1022, 128) and (grid.columns, grid.rows) == (101, 12)
    audio = waveform(num_samples=4000, batch=1, sample_rate_hz=16000) + 0.1
    for found in (model.features(audio), jax.jit(model.features)(audio)):
        np.testing.assert_allclose(found[0], fixture["features"], atol=2e-4)


def features():
    return models.features_of("vit", {**presets.preset("vit", "ast")["features"], **BANDS})


def settings():
    return presets.preset("vit", "ast") | SIZES | {"features": features(), "window_s": 0.48}
