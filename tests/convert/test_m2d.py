"""Weights of M2D under the keys of its code, against what PyTorch's layers make of them.

`parity/layers/m2d.npz` holds what `torch.nn.TransformerEncoderLayer` and its like compute in
float64 from `reference.state_dict`, with a class token and the fixed sines of MAE: the mean over
time of each row of patches.
"""

import json

import jax
import numpy as np
import pytest

from mclf_jax import models
from mclf_jax.convert.from_torch import from_torch
from mclf_jax.convert.unwrap import unwrap
from mclf_jax.models import presets
from tests.models.reference import FIXTURES, state_dict

pytestmark = pytest.mark.usefixtures("quick_compiles")


@pytest.fixture
def checkpoint():
    """(fixture, weights as training saved them)."""
    with np.load(FIXTURES / "layers" / "m2d.npz", allow_pickle=False) as arrays:
        fixture = dict(arrays)
    weights = state_dict(json.loads(str(fixture["shapes"])))
    beside = {key.replace("blocks", "target_blocks"): w for key, w in weights.items()}
    beside = {key: w for key, w in beside.items() if key.startswith("target_")}
    beside |= {"target_norm.weight": np.ones(128), "mask_token": np.zeros((1, 1, 64))}
    beside |= {"decoder_pos_embed": np.zeros((1, 31, 64)), "decoder_pred.bias": np.zeros(128)}
    beside |= {"decoder_blocks.0.norm1.weight": np.ones(64)}
    return fixture, {"model": weights | beside | {"pos_embed": fixture["pos_embed"]}}


def test_embeddings_are_those_of_pytorch(checkpoint):
    fixture, weights = checkpoint
    sizes = {"attention_dim": 128, "num_layers": 2}
    variables = from_torch("vit", weights, preset="m2d", last_layer="fresh")
    model = models.build("vit", num_labels=1, **presets.preset("vit", "m2d") | sizes)
    assert model.input_shape == (609, 80) and "batch_stats" not in variables
    x = np.random.default_rng(0).standard_normal((2, 96, 80)).astype(np.float32)
    outputs = jax.jit(lambda v, x: model.module.apply(v, x, train=False))(variables, x)
    np.testing.assert_allclose(outputs["embedding"], fixture["embedding"], atol=2e-4)
    assert set(unwrap("vit", weights).left_out) >= {"decoder_*", "target_*"}


def test_other_positions_are_refused(checkpoint):
    _, weights = checkpoint
    weights["model"]["pos_embed"] = weights["model"]["pos_embed"] + 0.1
    message = r"pos_embed \(1, 31, 128\) that are not the fixed sines of 5 rows"
    with pytest.raises(ValueError, match=message):
        from_torch("vit", weights, preset="m2d", last_layer="fresh")
