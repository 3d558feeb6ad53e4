"""What the numbers of labels say."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from mclf_jax.data import check
from mclf_jax.data.check import labels
from tests.data.check.made import labelled, verdicts


def _check(source):
    return check.check(source, audio="skip")


def _splits(*sizes):
    stops = np.cumsum(sizes)
    ranges = (np.arange(stop - size, stop) for stop, size in zip(stops, sizes, strict=True))
    return dict(zip(("train", "valid", "test"), ranges, strict=False))


def test_counts_by_split_and_pair():
    values = [[1, 0, np.nan], [1, 1, 0], [0, 1, 1], [1, 1, 1]]
    counts = _check(labelled(values, splits=_splits(2, 1, 1))).counts
    assert counts.splits == ("train", "valid", "test")
    np.testing.assert_array_equal(counts.positives, [[2, 1, 0], [0, 1, 1], [1, 1, 1]])
    np.testing.assert_array_equal(counts.observed, [[2, 2, 1], [1, 1, 1], [1, 1, 1]])
    np.testing.assert_array_equal(counts.together.toarray(), [[3, 2, 1], [2, 3, 2], [1, 2, 2]])
    np.testing.assert_allclose(counts.share()[0], [1.0, 0.5, 0.0])


def test_unlabelled_items_are_not_counted():
    splits = {**_splits(2, 1, 1), "unlabelled": np.arange(4, 6)}
    values = [0, 1, 0, 1, 0, 0]
    counts = _check(labelled(values, splits=splits, task="single_label")).counts
    assert counts.positives.sum() == 4


def test_absent_and_rare_labels():
    values = np.zeros((100, 3), np.float32)
    values[:, 0] = np.arange(100) % 2
    values[::7, 1] = 1
    values[:50, 2] = np.arange(50) % 2  # only in train
    result = _check(labelled(values, splits=_splits(50, 25, 25)))
    absent = [found for found in result.warnings if "without a positive" in found.message]
    assert [found.details for found in absent] == [("label2",), ("label2",)]
    (few,) = [f for f in result.warnings if "fewer than 10" in f.message and "test" in f.message]
    assert few.details == ("label1 (4)",)
    good = _check(labelled(values[:, :1].repeat(2, 1), splits=_splits(50, 25, 25)))
    assert verdicts(good.findings, "at least 10 positives") == ["passed"]


def test_divergence_is_that_of_scipy():
    p, q = np.array([3, 1, 0, 6]), np.array([2, 5, 3, 0])
    assert labels.divergence(p, q) == pytest.approx(jensenshannon(p, q, base=2) ** 2)
    assert labels.divergence(p, 7 * p) == pytest.approx(0)
    assert labels.divergence(np.array([1, 0]), np.array([0, 1])) == pytest.approx(1)


@pytest.mark.parametrize(("skewed", "verdict"), [(False, "passed"), (True, "warning")])
def test_mismatch_of_splits(skewed, verdict):
    rng = np.random.default_rng(0)
    values = (rng.random((600, 4)) < 0.3).astype(np.float32)
    if skewed:
        values[450:, 1] = rng.random(150) < 0.9  # three times as frequent in test
    findings = _check(labelled(values, splits=_splits(300, 150, 150))).findings
    (found,) = [f for f in findings if f.message.startswith("train and test")]
    assert found.verdict == verdict
    assert any("label1" in line for line in found.details) == skewed
    assert verdicts(findings, "train and valid") == ["passed"]


def test_mismatch_is_held_against_splits_by_group():
    """Few large groups differ by much; that is not the fault of the split."""
    rng = np.random.default_rng(0)
    genre = rng.integers(4, size=12)
    values = np.repeat(genre, 50)
    groups = [f"artist{i // 50}" for i in range(600)]
    splits = _splits(300, 150, 150)
    source = labelled(values, splits=splits, task="single_label", groups=groups)
    assert verdicts(_check(source).findings, "train and test") == ["passed"]
    alone = labelled(values, splits=splits, task="single_label")
    assert verdicts(_check(alone).findings, "train and test") == ["warning"]


def test_partial_labels_say_how_much_is_known():
    values = np.full((20, 2), np.nan, np.float32)
    values[:, 0] = np.arange(20) % 2
    values[:5, 1] = [0, 1, 0, 1, 1]
    result = _check(labelled(values, splits=_splits(10, 5, 5)))
    (found,) = [f for f in result.findings if "partial" in f.message]
    assert "62.5%" in found.message and "25.0% to 100.0%" in found.message
    assert "label1 25.0%" in found.details[0]


def test_children_without_their_parent():
    values = np.array([[1, 1], [1, 0], [0, 0], [1, 1]], np.float32)
    parents = {"label0": "label1"}
    result = _check(labelled(values, splits=_splits(2, 1, 1), parents=parents))
    (found,) = [f for f in result.warnings if "parent" in f.message]
    assert found.details == ("label0 without label1: 1 item",)
    values[1, 1] = 1
    result = _check(labelled(values, splits=_splits(2, 1, 1), parents=parents))
    assert verdicts(result.findings, "parents") == ["passed"]


def test_regression_targets():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((90, 3)).astype(np.float32)
    values[60:, 1] += 1
    values[:, 2] = 4
    values[:10, 0] = np.nan
    source = labelled(values, splits=_splits(30, 30, 30), task="regression")
    result = _check(source)
    assert result.counts is None
    assert verdicts(result.findings, "label0:") == ["passed"]
    assert verdicts(result.findings, "label1:") == ["warning"]
    assert verdicts(result.findings, "label2 has no two") == ["warning"]


def test_majority_guess_of_one_label_of_many():
    values = [0] * 6 + [1] * 2 + [0, 0, 0, 1]
    source = labelled(values, splits=_splits(6, 2, 4), task="single_label")
    assert verdicts(_check(source).findings, "right for 75.0% of the test split") == ["note"]


def test_json_holds_everything(tmp_path):
    import json

    values = [[1, 0, np.nan], [1, 1, 0], [0, 1, 1], [1, 1, 1]]
    result = _check(labelled(values, splits=_splits(2, 1, 1)))
    read = json.loads(result.json())
    assert read["labels"]["train"]["label2"] == {"positives": 0, "observed": 1}
    assert len(read["findings"]) == len(result.findings)
    assert "audio" not in read


def test_an_unknown_option():
    with pytest.raises(ValueError, match="audio is .*; allowed: decode, skip"):
        check.check(labelled([[1], [0]], splits=_splits(1, 1)), audio="listen")
