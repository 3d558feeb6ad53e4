"""Runs, several of them, and exported files are opened alike."""

import dataclasses

import numpy as np
import pytest

from mclf_jax.api import Tagger, load
from mclf_jax.evaluation.result import Report
from mclf_jax.export import archive, huggingface
from mclf_jax.export.collect import bundle_of, with_card
from tests.export.bundles import RATE_HZ, small_bundle, song
from tests.small_run import write_run


def scores(tagger):
    return np.array(list(tagger.predict(song(), sample_rate_hz=RATE_HZ).values()))


def test_scores_of_an_ensemble_are_means(tmp_path):
    paths = [tmp_path / "a.mclf", tmp_path / "b.mclf"]
    for seed, path in enumerate(paths):
        archive.write_archive(small_bundle(seed=seed), path)
    single = [scores(load(path)) for path in paths]
    assert np.abs(single[0] - single[1]).max() > 1e-3
    tagger = load(paths)
    np.testing.assert_allclose(scores(tagger), np.mean(single, axis=0), atol=1e-6)
    together = archive.write_archive(tagger.bundle, tmp_path / "both.mclf")
    np.testing.assert_allclose(scores(load(together)), scores(tagger), atol=1e-6)
    sizes = [load(path).embed(song(), sample_rate_hz=RATE_HZ).size for path in (*paths, together)]
    assert sizes[2] == sizes[0] + sizes[1]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"labels": ("high", "low")}, "their labels are"),
        ({"task": "single_label"}, "their task are"),
        ({"short": "pad"}, "their data.short are"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path, other, said):
    archive.write_archive(small_bundle(), tmp_path / "a.mclf")
    archive.write_archive(small_bundle(**other), tmp_path / "b.mclf")
    with pytest.raises(ValueError, match=said):
        bundle_of([tmp_path / "a.mclf", tmp_path / "b.mclf"])
    with pytest.raises(ValueError, match="paths is empty"):
        bundle_of([])


def test_thresholds_come_from_the_valid_split_of_these_weights(tmp_path):
    run = tmp_path / "run"
    write_run(run, song(num_samples=2000).reshape(4, 500), task="multi_label")
    assert bundle_of(run).thresholds == {}
    report = Report(
        run_name="run",
        dataset="none",
        split="valid",
        task="multi_label",
        labels=("low", "high"),
        items=("a", "b", "c"),
        scores=np.array([[0.9, 0.5], [0.6, 0.5], [0.2, 0.5]]),
        targets=np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]),
        metrics={"roc_auc_macro": 1.0},
        per_label={"low": {}, "high": {}},
        undefined=("high",),
        intervals={},
        num_windows=6,
        skipped=(),
        meta={"step": 3},
    )
    report.save(run / "report")
    assert bundle_of(run).thresholds == {"low": pytest.approx(0.4)}
    told = with_card(bundle_of(run), run)
    assert told.about["metrics"] == {"valid": {"roc_auc_macro": 1.0}}
    assert told.card.startswith("# Model card: ")
    for other in ({"asked": {"eval.aggregation": "max"}}, {"same_data_as_trained_on": False}):
        dataclasses.replace(report, meta=report.meta | other).save(run / "report")
        assert bundle_of(run).thresholds == {}
    report.meta["step"] = 2  # of other weights
    report.save(run / "report")
    assert bundle_of(run).thresholds == {}
    assert with_card(bundle_of(run), run).about["metrics"] == {}


def test_the_layout_of_the_hub_is_written_and_read(tmp_path):
    bundle = small_bundle(card="# A card", about={"metrics": {"test": {"roc_auc_macro": 0.5}}})
    out = huggingface.write_huggingface(bundle, tmp_path / "hub")
    tagger = load(out)
    np.testing.assert_allclose(scores(tagger), scores(Tagger.of(bundle)), atol=1e-6)
    assert tagger.bundle.card == "# A card"
    readme = (out / "README.md").read_text()
    assert '"type": "roc_auc"' in readme and readme.endswith("---\n\n# A card")
    huggingface.write_huggingface(bundle, out, weights="float16")
    assert 0 < np.abs(scores(load(out)) - scores(tagger)).max() < 0.01

    config = (out / "config.json").read_text()
    (out / "config.json").write_text('{"model_type": "wav2vec2"}')
    with pytest.raises(ValueError, match="is of model_type 'wav2vec2'"):
        load(out)
    (out / "config.json").write_text(config.replace('"1": "high"', '"1": "hihg"'))
    with pytest.raises(ValueError, match="id2label are not the labels"):
        load(out)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="holds other things"):
        huggingface.write_huggingface(bundle, tmp_path / "other")


def test_what_is_for_other_programs_is_told_so(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"not read")
    with pytest.raises(ValueError, match=r"x.onnx is for onnxruntime .* take the run"):
        load(tmp_path / "x.onnx")
