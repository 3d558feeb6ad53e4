"""From windows to songs: what each way is, and that a song in which anyone sings is vocal."""

import json
import shutil
import subprocess

import numpy as np
import pytest

from mclf_jax.api import Tagger, load
from mclf_jax.evaluation import aggregation
from mclf_jax.evaluation.aggregation import combine, song_scores
from mclf_jax.export import settings
from mclf_jax.export.bundle import with_aggregation
from tests import ROOT
from tests.export.bundles import small_bundle
from tests.small_run import write_run

STATIC = ROOT / "mclf_jax" / "export" / "static"
SCORES = np.float32([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])


@pytest.mark.parametrize(
    ("how", "tags", "classes"),
    [
        ("mean", [1.7 / 3, 1.3 / 3], [1.7 / 3, 1.3 / 3]),
        ("max", [0.9, 0.8], [0.9 / 1.7, 0.8 / 1.7]),
        ("median", [0.6, 0.4], [0.6, 0.4]),
        ("vote", [2 / 3, 1 / 3], [2 / 3, 1 / 3]),
        ("noisy_or", [1 - 0.1 * 0.8 * 0.4, 1 - 0.9 * 0.2 * 0.6], None),
    ],
)
def test_each_way_from_windows_to_a_song(how, tags, classes):
    for task, expected in (("multi_label", tags), ("single_label", classes)):
        if expected is None:
            with pytest.raises(ValueError, match="exactly one is true; for task single_label all"):
                aggregation.check(how, task=task, field="eval.aggregation")
            continue
        aggregation.check(how, task=task, field="eval.aggregation")
        np.testing.assert_allclose(combine({"scores": SCORES}, how, task=task), expected, rtol=1e-6)
        # Windows of two songs, in batches, and a song that could not be read.
        batches = [
            {"index": np.array([2, 0]), "scores": SCORES[:2]},
            {"index": np.array([0, 0]), "scores": SCORES[[0, 2]]},
        ]
        found = song_scores(batches, num_songs=3, how=how, task=task)
        np.testing.assert_array_equal(found["counts"], [3, 0, 1])
        assert np.isnan(found["means"][1]).all()
        np.testing.assert_allclose(
            found["means"][0], combine({"scores": SCORES[[1, 0, 2]]}, how, task=task)
        )


def test_attention_weighs_windows_for_each_label_or_for_all():
    weights = np.log(np.float32([[1, 3], [1, 0.5], [2, 0.5]]))
    found = combine({"scores": SCORES, "attention": weights}, "attention", task="multi_label")
    np.testing.assert_allclose(found, [(0.9 + 0.2 + 1.2) / 4, (0.3 + 0.4 + 0.2) / 4], rtol=1e-6)
    rows = {"scores": SCORES, "attention": weights[:, :1]}
    assert combine(rows, "attention", task="single_label").sum() == pytest.approx(1)


def test_a_tagger_and_its_export_say_what_was_asked_for(tmp_path):
    audio = np.random.default_rng(0).standard_normal((6, 500)).astype(np.float32)
    audio *= np.linspace(0.1, 1, 6)[:, None] ** 2
    run = write_run(tmp_path / "run", audio, task="multi_label")
    mean, loudest = load(run), load(run, aggregation="max")
    song = audio.ravel()
    windows = mean.score_windows(np.stack([song[:500], song[-500:]]))  # two windows a song
    for tagger, expected in ((mean, windows.mean(axis=0)), (loudest, windows.max(axis=0))):
        found = tagger.predict(song, sample_rate_hz=1000)
        np.testing.assert_allclose(list(found.values()), expected, rtol=1e-5)
    assert mean.identity != loudest.identity
    # What is exported says it, and is read with it.
    known = settings.to_json(loudest.bundle)
    assert known["listening"]["aggregation"] == "max_scores" and known["format"] == 1
    settings.check(known, name="max.mclf")
    arrays = settings.flatten(loudest.bundle.weights)
    again = Tagger.of(settings.from_json(known, arrays=arrays, name="max.mclf"))
    assert again.predict(song, sample_rate_hz=1000) == loudest.predict(song, sample_rate_hz=1000)
    with pytest.raises(ValueError, match="aggregation is 'loudest'; allowed: mean, max, median"):
        load(run, aggregation="loudest")


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_a_page_without_a_server_puts_windows_together_alike():
    rows = np.random.default_rng(0).random((5, 3)).round(3)
    rows /= rows.sum(axis=1, keepdims=True)
    weights = np.random.default_rng(1).normal(0, 20, (5, 3))
    names = ["mean", "max", "median", "vote", "noisy_or", "attention"]
    given = {"rows": rows.tolist(), "attention": weights.tolist(), "names": names}
    script = f"""
    import {{ combine }} from "{STATIC}/combine.js";
    const given = {json.dumps(given)};
    const all = [true, false].map((classes_exclude) => given.names.map((name) =>
      combine(given.rows, given.attention, {{ aggregation: name + "_scores", classes_exclude }})));
    console.log(JSON.stringify(all));
    """
    ran = subprocess.run(
        ["node", "--input-type=module", "-e", script], check=True, capture_output=True
    )
    for found, task in zip(json.loads(ran.stdout), ("single_label", "multi_label"), strict=True):
        for how, scores in zip(names, found, strict=True):
            expected = combine({"scores": rows, "attention": weights}, how, task=task)
            np.testing.assert_allclose(scores, expected, rtol=1e-12, err_msg=f"{how} {task}")


def test_what_was_fitted_to_another_way_is_left_out_with_a_word():
    bundle = small_bundle(thresholds={"low": 0.25})
    with pytest.warns(UserWarning, match="thresholds and calibration are left out, .* to 'mean'"):
        assert with_aggregation(bundle, "max").thresholds == {}
    assert with_aggregation(bundle, "mean") is bundle
