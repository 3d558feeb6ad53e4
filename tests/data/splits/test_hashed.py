"""Splits by a hash: nothing moves but what must."""

import numpy as np
import pytest

from mclf_jax.data.splits.hashed import split_by_hash

FRACTIONS = {"train": 0.7, "valid": 0.15, "test": 0.15}


def splits(groups, labels=None, *, seed=0, fractions=FRACTIONS):
    """The split of each item."""
    found = split_by_hash(groups, labels, fractions=fractions, seed=seed)
    names = np.empty(len(groups), object)
    for name, items in found.items():
        names[items] = name
    assert all(len(items) for items in found.values())
    return names


def songs(count, num_labels, *, seed=0):
    rng = np.random.default_rng(seed)
    return [f"{seed}/song{i}" for i in range(count)], rng.integers(num_labels, size=count)


@pytest.mark.parametrize("seed", range(5))
def test_a_corrected_label_and_an_added_song_move_no_other(seed):
    """100 songs, 6 labels: each corrected once, and each left out once."""
    names, labels = songs(100, 6, seed=seed)
    before = splits(names, labels)
    moved = []
    for song in range(100):
        corrected = labels.copy()
        corrected[song] = (labels[song] + 1 + song % 5) % 6
        moved.append((np.delete(splits(names, corrected) != before, song)).sum())
        without = np.delete(np.arange(100), song)
        there = splits([names[i] for i in without], labels[without])
        moved.append((there != before[without]).sum())
    # Only where a label would be left without a song in a split, one of it takes the place.
    assert max(moved) <= 2 and np.count_nonzero(moved) <= 20
    assert np.count_nonzero(moved) == 0 or any(
        np.count_nonzero((before == split) & (labels == label)) <= 2
        for split in FRACTIONS
        for label in range(6)
    )


def test_shares_are_near_what_was_asked_for():
    names, labels = songs(10_000, 10)
    split_of = splits(names, labels)
    for split, share in FRACTIONS.items():
        assert (split_of == split).mean() == pytest.approx(share, abs=0.01)
        for label in range(10):
            of_label = split_of[labels == label]
            bound = 3 * np.sqrt(share * (1 - share) / len(of_label))
            assert (of_label == split).mean() == pytest.approx(share, abs=bound)


@pytest.mark.parametrize("seed", range(8))
def test_groups_stay_together_and_large_ones_do_not_fill_a_small_split(seed):
    rng = np.random.default_rng(seed)
    sizes = np.concatenate([[60, 40], rng.integers(1, 10, size=20)])
    groups = np.repeat([f"artist{i}" for i in range(22)], sizes)
    split_of = splits(groups, seed=seed)
    for name in np.unique(groups):
        assert len(set(split_of[groups == name])) == 1
    share = {name: (split_of == name).mean() for name in FRACTIONS}
    assert share["train"] >= 0.35 and 0.075 <= share["valid"] <= 0.31 and share["test"] <= 0.31


def test_every_label_is_learnt_and_the_usual_ones_are_everywhere():
    for seed in range(30):
        names, labels = songs(60, 5, seed=seed)
        labels[:3] = 5  # a rare one
        split_of = splits(names, labels)
        assert set(labels[split_of == "train"]) == set(range(6))
        usual = {label for label in range(5) if (labels == label).sum() >= 5}
        for split in FRACTIONS:
            assert usual <= set(labels[split_of == split])


def test_tags_and_what_is_not_known_of_them():
    rng = np.random.default_rng(0)
    tags = (rng.random((80, 4)) < 0.3).astype("f4")
    tags[rng.random((80, 4)) < 0.2] = np.nan
    split_of = splits([f"song{i}" for i in range(80)], tags)
    for split in FRACTIONS:
        assert (np.nansum(tags[split_of == split], axis=0) > 0).all()


def test_the_same_everywhere_and_by_its_seed():
    names = [f"song{i}" for i in range(12)]
    assert "".join(s[:2] for s in splits(names)) == "trtevatrvatrtrtetrtrvate"
    assert (splits(names, seed=1) != splits(names)).any()
    order = np.random.default_rng(0).permutation(12)
    assert (splits([names[i] for i in order]) == splits(names)[order]).all()


def test_as_few_groups_as_splits():
    assert sorted(splits(["a", "b", "c"])) == ["test", "train", "valid"]
    with pytest.raises(
        ValueError, match="3 splits .* need at least 3 groups, got 2 .* for 3 items"
    ):
        splits(["a", "b", "b"])
    with pytest.raises(ValueError, match="must be positive and sum to 1"):
        splits(["a", "b", "c"], fractions={"train": 0.7, "valid": 0.7})
