"""Folds: everything once, no group twice, labels in proportion."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mclf_jax.data.splits.folds import k_folds
from mclf_jax.data.splits.fractions import label_fraction
from mclf_jax.data.splits.grouped import split_by_group
from mclf_jax.data.splits.strata import strata
from tests import SHARED

MOODS = SHARED / "metadata" / "mtg_jamendo"


def _labels(kind, num_items, rng):
    tags = (rng.random((num_items, 6)) < 0.2).astype(np.float32)
    return {
        "single": rng.integers(0, 5, num_items),
        "tags": tags,
        "partial": np.where(rng.random(tags.shape) < 0.5, tags, np.nan),
        "numbers": rng.standard_normal((num_items, 2)),
    }[kind]


@settings(max_examples=40)
@given(
    kind=st.sampled_from(["single", "tags", "partial", "numbers"]),
    num_folds=st.integers(2, 10),
    num_groups=st.integers(40, 100),
    seed=st.integers(0, 1000),
)
def test_disjoint_and_all(kind, num_folds, num_groups, seed):
    rng = np.random.default_rng(seed)
    groups = [f"artist {g}" for g in [*range(num_groups), *rng.integers(0, num_groups, 150)]]
    labels = _labels(kind, len(groups), rng)
    folds = k_folds(groups, labels, num_folds=num_folds, seed=seed)
    assert len(folds) == num_folds
    assert sorted(np.concatenate(folds)) == list(range(len(groups)))
    members = [{groups[i] for i in fold} for fold in folds]
    assert all(members)
    assert sum(map(len, members)) == num_groups
    again = k_folds(groups, labels, num_folds=num_folds, seed=seed)
    assert all(map(np.array_equal, folds, again))


def test_labels_in_proportion():
    rng = np.random.default_rng(0)
    groups = [f"{i // 3}" for i in range(1500)]
    tags = (rng.random((1500, 8)) < np.geomspace(0.01, 0.4, 8)).astype(np.float32)
    folds = k_folds(groups, tags, num_folds=5, seed=0)
    counts = np.stack([tags[fold].sum(axis=0) for fold in folds])
    assert np.ptp(counts, axis=0).max() <= 5
    assert np.ptp([len(fold) for fold in folds]) <= 12


def test_one_label_as_even_as_scikit_learns():
    from sklearn.model_selection import StratifiedGroupKFold

    rng = np.random.default_rng(0)
    labels = rng.choice(10, 2000, p=rng.dirichlet(np.full(10, 2.0)))
    groups = [f"{g}" for g in rng.integers(0, 300, 2000)]

    def unevenness(folds):
        counts = np.stack([np.bincount(labels[fold], minlength=10) for fold in folds])
        return np.abs(counts / counts.sum(axis=1, keepdims=True) - counts.sum(0) / 2000).mean()

    theirs = StratifiedGroupKFold(5, shuffle=True, random_state=0).split(labels, labels, groups)
    ours = k_folds(groups, labels, num_folds=5, seed=0)
    assert unevenness(ours) <= 1.1 * unevenness([test for _, test in theirs])


def test_order_of_items_and_seed():
    rng = np.random.default_rng(1)
    groups = np.array([f"{g}" for g in rng.integers(0, 80, 300)])
    labels, order = rng.integers(0, 4, 300), rng.permutation(300)
    folds = k_folds(groups, labels, num_folds=4, seed=0)
    moved = k_folds(groups[order], labels[order], num_folds=4, seed=0)
    assert [set(f) for f in folds] == [set(order[f]) for f in moved]
    other = k_folds(groups, labels, num_folds=4, seed=1)
    assert any(set(a) != set(b) for a, b in zip(folds, other, strict=True))


def test_unobserved_is_no_stratum():
    nan = np.nan
    np.testing.assert_array_equal(
        strata(np.array([[1, 0], [nan, 1], [0, 0]]), num_items=3).dense(),
        # has the first, has the second, is known not to have the first
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    )
    quarters = strata(np.array([[4.0], [nan], [1.5], [2], [3]]), num_items=5).dense()
    np.testing.assert_array_equal(quarters.argmax(axis=1)[[2, 3, 4, 0]], range(4))
    assert not quarters[1].any()


def test_partial_labels_are_split_by_what_is_observed():
    rng = np.random.default_rng(0)
    labels = np.full((1000, 4), np.nan)
    labels[np.arange(1000), rng.integers(0, 4, 1000)] = rng.random(1000) < 0.3
    groups = [f"{i}" for i in range(1000)]
    for split, items in split_by_group(groups, labels, seed=0).items():
        for known in (labels == 1, labels == 0):
            share = known[items].sum(axis=0) / known.sum(axis=0)
            np.testing.assert_allclose(share, {"train": 0.7}.get(split, 0.15), atol=0.01)


@pytest.mark.skipif(not MOODS.is_dir(), reason="no metadata of MTG-Jamendo")
def test_real_tags_by_artist():
    tracks = []
    for split in ("train", "validation", "test"):
        with (MOODS / f"autotagging_moodtheme-{split}.tsv").open() as file:
            tracks += list(csv.reader(file, delimiter="\t"))[1:]
    artists = [track[1] for track in tracks]
    names = sorted({tag for track in tracks for tag in track[5:]})
    tags = np.array([[name in track[5:] for name in names] for track in tracks], np.float32)
    assert tags.shape[1] == 56
    folds = k_folds(artists, tags, num_folds=5, seed=0)
    assert len({(artists[i], f) for f, fold in enumerate(folds) for i in fold}) == len(set(artists))
    share = np.stack([tags[fold].sum(axis=0) / tags.sum(axis=0) for fold in folds])
    # One artist has a third of some moods, so no fold can have exactly its fifth.
    assert share.min() > 0.02
    assert np.median(np.abs(share - 0.2)) < 0.03
    part = tags[label_fraction(tags, fraction=0.01, seed=0)]
    assert part.any(axis=0).all()
    assert abs(len(part) - 0.01 * len(tags)) <= 5


def test_errors():
    with pytest.raises(ValueError, match="num_folds is 1; it must be at least 2"):
        k_folds(["a", "b"], None, num_folds=1, seed=0)
    with pytest.raises(ValueError, match="at least 3 groups, got 2"):
        k_folds(["a", "b", "b"], None, num_folds=3, seed=0)
