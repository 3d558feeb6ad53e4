"""Fitted probes on disk: they find their run, know its weights, and are refused where damaged."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mclf_jax.api import load
from mclf_jax.common import parallel
from mclf_jax.export import huggingface
from mclf_jax.export.heads import Head, read_head, write_head
from mclf_jax.run.weights import digest, load_variables, open_run
from tests.export.bundles import RATE_HZ, song
from tests.small_run import write_run

LABELS = ("a", "b", "c")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A probe of three labels within a run of two."""
    run = Path(write_run(tmp_path_factory.mktemp("runs") / "run", song().reshape(2, 600)))
    best = load_variables(run, open_run(run).model, parallel.make_mesh(1))
    width = load(run).embed(song(), sample_rate_hz=RATE_HZ).size
    kernel = np.random.default_rng(0).standard_normal((3, width)).astype(np.float32).T
    head = Head(
        kind="linear",
        run=run,
        step=best["step"],
        weights=digest(best["variables"]),
        task="multi_label",
        labels=LABELS,
        short="pad",
        num_windows=None,
        hop_s=0.3,
        thresholds={"b": 0.25},
        about={"data": {"name": "others"}, "metrics": {"test": {"roc_auc_macro": float("nan")}}},
        layers=({"kernel": kernel, "bias": np.array([0.0, 1.0, -1.0], np.float32)},),
    )
    return write_head(head, run / "probe" / "others" / "heads" / "linear.safetensors")


@pytest.fixture
def moved(kept, tmp_path):
    """Its run, with everything in it, is somewhere else now."""
    run = shutil.copytree(kept.parents[3], tmp_path / "moved")
    return run / kept.relative_to(kept.parents[3])


def test_it_is_used_like_a_run(kept, moved, tmp_path):
    tagger = load(moved)
    assert tagger.labels == LABELS and tagger.thresholds == {"b": 0.25}
    assert (tagger.bundle.hop_s, tagger.bundle.num_windows, tagger.bundle.short) == (
        0.3,
        None,
        "pad",
    )
    about = tagger.bundle.about
    assert about["data"] == {"name": "others"} and about["encoder"]["run"] == "moved"
    assert about["metrics"] == {"test": {"roc_auc_macro": None}}
    found = tagger.predict(song(num_samples=500), sample_rate_hz=RATE_HZ)
    embedding = tagger.embed(song(num_samples=500), sample_rate_hz=RATE_HZ)
    (layer,) = read_head(kept).layers
    wanted = 1 / (1 + np.exp(-(embedding @ layer["kernel"] + layer["bias"])))
    np.testing.assert_allclose(list(found.values()), wanted, atol=1e-5)
    # The network has a layer for two labels of its own, which other layouts take along.
    huggingface.write_huggingface(tagger.bundle, tmp_path / "hub")
    again = load(tmp_path / "hub").predict(song(num_samples=500), sample_rate_hz=RATE_HZ)
    np.testing.assert_allclose(list(again.values()), wanted, atol=1e-5)


def test_a_run_that_was_trained_on_is_noticed(moved):
    run = moved.parents[3]
    shutil.rmtree(run / "checkpoints")
    write_run(run, song().reshape(2, 600), seed=1)
    with pytest.raises(ValueError, match="was fitted on step 3 of .*other weights.*probe the run"):
        load(moved)
    elsewhere = shutil.move(moved, run.parent / "linear.safetensors")
    with pytest.raises(FileNotFoundError, match="needs the network of .*move the probe with its"):
        load(elsewhere)


def test_what_is_no_probe_is_refused(moved, tmp_path):
    with pytest.raises(FileNotFoundError, match="knn.safetensors: no such file; .*linear, mlp and"):
        load(moved.with_name("knn.safetensors"))
    (moved.parents[1] / "probe.json").write_text("{}")
    with pytest.raises(ValueError, match="folder of `mclf probe`; take .*heads/linear.safetensors"):
        load(moved.parents[1])
    content = moved.read_bytes()
    for damaged in (content[:-1], content[:-1] + bytes([content[-1] ^ 1]), b""):
        moved.write_bytes(damaged)
        with pytest.raises(ValueError, match="linear.safetensors is damaged"):
            load(moved)
    save_file({"x": np.ones(1)}, tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match="weights.safetensors holds weights, but is no probe"):
        load(tmp_path / "weights.safetensors")
