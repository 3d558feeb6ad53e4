"""ONNX says what the network says: every network, every way to store weights, any batch."""

import json
import sys

import jax
import numpy as np
import pytest

from mclf_jax.export import onnx, verify
from mclf_jax.export.bundle import Bundle, window_outputs
from tests.export.bundles import small_bundle, with_onnx
from tests.models.test_networks import SMALL, small

LABELS = tuple("abcdefghij")
pytestmark = with_onnx


def bundle_of(model, *, task="multi_label"):
    """With random weights and statistics, so that no part of the network is idle."""
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    draw = np.random.default_rng(0)

    def values(path, like):
        name = path[-1].key
        if name == "var":
            return draw.uniform(0.5, 2, like.shape).astype(np.float32)
        if name in ("low_hz_", "band_hz_", "bw_Q"):
            return draw.uniform(1, 2, like.shape).astype(np.float32)
        size = np.sqrt(np.prod(like.shape[:-1], dtype=float)) if len(like.shape) > 1 else 1
        return (draw.standard_normal(like.shape) / size).astype(np.float32)

    variables = jax.tree_util.tree_map_with_path(values, shapes)
    return Bundle((model,), (variables,), task, LABELS, "tile", num_windows=1, hop_s=None)


def live(bundle, audio):
    return jax.jit(lambda w, x: window_outputs(bundle, w, x))(bundle.weights, audio)


@pytest.mark.parametrize("name", SMALL)
def test_every_network_says_the_same(name, tmp_path):
    bundle = bundle_of(small(name))
    audio = verify.sample_windows(bundle)[::3]
    found = onnx.read_onnx(onnx.write_onnx(bundle, tmp_path / "model.onnx"))
    wanted, got, one = live(bundle, audio), found(audio), found(audio[1:2])
    assert set(got) == {"scores", "embedding", "logits"}
    for key, value in got.items():
        scale = max(1.0, float(np.abs(wanted[key]).max()))
        np.testing.assert_allclose(value, wanted[key], atol=1e-4 * scale, rtol=0)
        np.testing.assert_allclose(one[key], value[1:2], atol=1e-4 * scale, rtol=0)
    assert got["scores"].std() > 1e-3
    np.testing.assert_allclose(got["scores"], wanted["scores"], atol=1e-4, rtol=0)


def test_features_that_pad_and_transform_otherwise(tmp_path):
    features = {"compression": "pcen", "pad_mode": "edge", "n_fft": 400, "hop_length": 160}
    bundle = bundle_of(small("short_chunk_cnn", features=features, window_s=0.5, num_blocks=1))
    audio = verify.sample_windows(bundle)
    found = onnx.read_onnx(onnx.write_onnx(bundle, tmp_path / "model.onnx"))(audio)
    np.testing.assert_allclose(found["scores"], live(bundle, audio)["scores"], atol=1e-4)


def test_bfloat16_becomes_float32(tmp_path):
    half, full = (small("musicnn", dtype=dtype) for dtype in ("bfloat16", "float32"))
    bundle = bundle_of(half)
    audio = verify.sample_windows(bundle)[:1]
    found = onnx.read_onnx(onnx.write_onnx(bundle, tmp_path / "model.onnx"))(audio)
    np.testing.assert_allclose(found["scores"], live(bundle_of(full), audio)["scores"], atol=1e-4)


def test_what_jax2onnx_cannot_do_is_said(tmp_path):
    cqt = {"kind": "cqt", "sample_rate_hz": 8000, "num_bins": 24}
    bundle = bundle_of(small("short_chunk_cnn", features=cqt, window_s=0.5, num_blocks=1))
    with pytest.raises(ValueError, match="short_chunk_cnn with features cqt .* take --to mclf"):
        onnx.write_onnx(bundle, tmp_path / "model.onnx")


def test_smaller_weights_cost_little_of_the_scores(tmp_path):
    bundle, sizes = bundle_of(small("music_tagging_transformer")), {}
    audio = verify.sample_windows(bundle)
    wanted = live(bundle, audio)["scores"]
    for weights, most in (("float32", 1e-4), ("float16", 2e-3), ("int8", 4e-2)):
        path = onnx.write_onnx(bundle, tmp_path / f"{weights}.onnx", weights=weights)
        sizes[weights] = path.stat().st_size
        difference = np.abs(onnx.read_onnx(path)(audio)["scores"] - wanted).max()
        assert difference < most and (weights == "float32") == (difference < 1e-5)
    # What is not weights, such as the nodes, stays.
    saved = {weights: sizes["float32"] - size for weights, size in sizes.items()}
    assert saved["float16"] > 0.2 * sizes["float32"] and saved["int8"] > 1.4 * saved["float16"]


def test_ensembles_and_heads_and_what_has_no_labels(tmp_path):
    one, other = small_bundle(seed=0), small_bundle(seed=1)
    ensemble = Bundle(
        one.models + other.models,
        one.variables + other.variables,
        "multi_label",
        one.labels,
        "tile",
        num_windows=1,
        hop_s=None,
    )
    audio = verify.sample_windows(one)
    found = onnx.read_onnx(onnx.write_onnx(ensemble, tmp_path / "ensemble.onnx"))(audio)
    assert set(found) == {"scores", "embedding"}
    np.testing.assert_allclose(found["scores"], live(ensemble, audio)["scores"], atol=1e-4)
    found = onnx.read_onnx(onnx.write_onnx(small_bundle(labels=()), tmp_path / "none.onnx"))(audio)
    assert set(found) == {"embedding"}


def test_what_it_is_stands_in_it_and_beside_it(tmp_path):
    bundle = small_bundle(thresholds={"low": 0.25}, about={"licence": "CC0"}, card="# Card")
    path = onnx.write_onnx(bundle, tmp_path / "model.onnx")
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    kept = session.get_modelmeta().custom_metadata_map
    assert json.loads(kept["labels"]) == ["low", "high"]
    assert json.loads(kept["listening"])["short"] == "tile"
    assert [value.shape for value in session.get_inputs()] == [["B", bundle.window_samples]]
    described = json.loads((tmp_path / "model.json").read_text())
    assert described["classes"] == ["low", "high"] and described["license"] == "CC0"
    assert described["inference"]["sample_rate"] == bundle.sample_rate_hz
    assert described["inference"]["thresholds"] == {"low": 0.25}
    assert described["schema"]["inputs"] == [
        {"name": "audio", "type": "float", "shape": ["B", bundle.window_samples]}
    ]
    onnx.write_onnx(bundle, path)  # over its own


def test_refusals_name_what_is_wrong(tmp_path, monkeypatch):
    bundle = small_bundle()
    with pytest.raises(ValueError, match="must end in .onnx"):
        onnx.write_onnx(bundle, tmp_path / "model.txt")
    with pytest.raises(ValueError, match="weights is 'int4'; allowed: float32, float16, int8"):
        onnx.write_onnx(bundle, tmp_path / "model.onnx", weights="int4")
    (tmp_path / "songs.json").write_text('{"mine": 1}')
    with pytest.raises(ValueError, match=r"songs.json would be written .* something else"):
        onnx.write_onnx(bundle, tmp_path / "songs.onnx")
    monkeypatch.setattr(onnx, "_MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="take --weights float16 or int8, or --to mclf"):
        onnx.write_onnx(bundle, tmp_path / "model.onnx")
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    with pytest.raises(ImportError, match=r"jax2onnx, which is not .* 'mclf-jax\[onnx\]'"):
        onnx.write_onnx(bundle, tmp_path / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["songs.json"]
