"""Predictions as labels: which songs are kept, how often, and what their labels are then."""

import numpy as np
import pytest

from mclf_jax.data.pipeline import Input, training_batches
from mclf_jax.data.views.pseudo_labelled import pseudo_labelled
from tests.data.labelled import labelled

NAMES = ("a", "b", "c")
GENRES = labelled(
    np.zeros(30), names=NAMES, splits={"train": range(10), "unlabelled": range(10, 30)}
)
TAGS = labelled(np.full((30, 3), np.nan), names=NAMES)
SONGS = np.arange(10, 30)
# Song 10 is the most certain; 15 are predicted "a", 5 "b", none "c".
CERTAIN = np.linspace(0.95, 0.4, 20, dtype=np.float32)
REST = ((1 - CERTAIN) / 2).astype(np.float32)
P = np.stack([CERTAIN, REST, REST], axis=1)
P[::4] = P[::4][:, [1, 0, 2]]
SETTINGS = {"task": "single_label", "label_names": NAMES}


def test_soft_labels_of_confident_songs():
    found = pseudo_labelled(GENRES, SONGS, P, threshold=0.6, **SETTINGS)
    kept = P.max(axis=1) >= 0.6
    np.testing.assert_array_equal(found.indices, SONGS[kept])
    info, source = found.source.info, found.source
    np.testing.assert_array_equal(info.splits["unlabelled"], SONGS[kept])
    for index in SONGS[kept]:
        label = source[index]["label"]
        assert label.dtype == np.float32
        np.testing.assert_array_equal(label, P[index - 10])
        np.testing.assert_array_equal(source[index]["audio"], GENRES[index]["audio"])
    # What a song really is, or was taken for, is nowhere to be seen.
    others = np.setdiff1d(np.arange(30), SONGS[kept])
    assert np.isnan(source.labels[others]).all()
    note = f"soft pseudo-labels of {kept.sum()} of 20 unlabelled songs, of confidence 0.6 and more"
    assert note in info.notes[-1] and "predicted: a 9, b 4" in info.notes[-1]


def test_hard_labels():
    found = pseudo_labelled(GENRES, SONGS, P, targets="hard", **SETTINGS)
    labels = found.source.labels[SONGS]
    np.testing.assert_array_equal(labels, np.eye(3)[P.argmax(axis=1)])
    assert labels.dtype == np.float32


@pytest.mark.parametrize("targets", ["soft", "hard"])
def test_tags_are_kept_one_by_one(targets):
    p = np.array([[0.95, 0.5, 0.2], [0.6, 0.5, 0.4], [0.05, 0.1, 0.99]], np.float32)
    found = pseudo_labelled(
        TAGS,
        np.array([4, 7, 2]),
        p,
        task="multi_label",
        label_names=NAMES,
        targets=targets,
        threshold=0.8,
    )
    np.testing.assert_array_equal(found.indices, [4, 2])
    expected = {
        4: [0.95, np.nan, 0.2] if targets == "soft" else [1, np.nan, 0],
        2: [0.05, 0.1, 0.99] if targets == "soft" else [0, 0, 1],
    }
    for index, label in expected.items():
        np.testing.assert_array_equal(found.source.labels[index], np.float32(label))
    assert "of 2 of 3 unlabelled songs" in found.source.info.notes[-1]
    assert "and 83.3% of their tags" in found.source.info.notes[-1]


def test_classes_are_balanced():
    found = pseudo_labelled(GENRES, SONGS, P, per_class=8, seed=3, **SETTINGS)
    times = np.bincount(found.indices, minlength=30)[10:]
    predicted = P.argmax(axis=1)
    # Of 15, the 8 most certain; 5 songs 8 times: each once, and 3 of them again.
    of_a, of_b = np.flatnonzero(predicted == 0), np.flatnonzero(predicted == 1)
    np.testing.assert_array_equal(times[of_a], [1] * 8 + [0] * 7)
    assert sorted(times[of_b]) == [1, 1, 2, 2, 2]
    assert len(found.indices) == 16
    note = found.source.info.notes[-1]
    assert "predicted: a 15, b 5" in note and "balanced to 8 of each predicted class" in note
    assert "only the most confident of a; some more than once of b; none is predicted as c" in note
    drawn = [
        tuple(pseudo_labelled(GENRES, SONGS, P, per_class=8, seed=seed, **SETTINGS).indices)
        for seed in (3, 4, 5)
    ]
    assert drawn[0] == tuple(found.indices) and len(set(drawn)) > 1
    # The threshold comes first: "b" has 4 songs left.
    found = pseudo_labelled(GENRES, SONGS, P, per_class=9, threshold=0.6, **SETTINGS)
    times = np.bincount(found.indices, minlength=30)[10:]
    assert sorted(times[of_b]) == [0, 2, 2, 2, 3] and times[of_b][-1] == 0


def test_the_fingerprint_is_of_the_predictions():
    def fingerprint(p=P, **settings):
        return pseudo_labelled(GENRES, SONGS, p, **SETTINGS | settings).source.info.fingerprint

    other = P.copy()
    other[3, 0] -= 0.01
    found = [
        fingerprint(),
        fingerprint(other),
        fingerprint(targets="hard"),
        fingerprint(threshold=0.7),
        fingerprint(per_class=4),
        fingerprint(per_class=4, seed=1),
        GENRES.info.fingerprint,
    ]
    assert len(set(found)) == len(found) and fingerprint() == found[0]


def test_in_the_pipeline():
    found = pseudo_labelled(GENRES, SONGS, P, per_class=6, **SETTINGS)
    dataset = training_batches(
        found.source,
        found.indices,
        inputs=Input(num_samples=50, short="tile", features=None),
        batch_size=6,
        seed=0,
    )
    rows = [dataset[step] for step in range(2)]
    index = np.concatenate([row["index"] for row in rows])
    np.testing.assert_array_equal(np.sort(index), np.sort(found.indices))
    for row in rows:
        np.testing.assert_array_equal(row["label"], P[row["index"] - 10])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"targets": "sharp"}, "targets is 'sharp'; allowed: soft, hard"),
        ({"threshold": 1.0}, r"threshold is 1.0; it must be in \[0, 1\)"),
        ({"threshold": 0.99}, "no prediction is that confident: the largest confidence is 0.950"),
        ({"per_class": -1}, "per_class is -1; it must be at least 0"),
        ({"per_class": 2, "task": "multi_label"}, "a song with several tags is of no one class"),
        ({"task": "regression"}, "task is 'regression'; allowed: single_label, multi_label"),
        ({"label_names": ("a", "b")}, r"must be of shape \(20, 2\), got \(20, 3\)"),
    ],
)
def test_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        pseudo_labelled(GENRES, SONGS, P, **SETTINGS | settings)


def test_what_is_no_prediction_is_refused():
    with pytest.raises(ValueError, match="each item once"):
        pseudo_labelled(GENRES, np.zeros(20), P, **SETTINGS)
    with pytest.raises(ValueError, match=r"must be in \[0, 1\]"):
        pseudo_labelled(GENRES, SONGS, np.where(P > 0.9, np.nan, P), **SETTINGS)
