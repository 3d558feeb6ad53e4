"""No group in two splits, labels in proportion, the same for any order of the items."""

import numpy as np
import pytest

from mclf_jax.data.splits.grouped import split_by_group


def _labels(kind, num_items, rng):
    return {
        "single": rng.integers(0, 5, num_items),
        "tags": (rng.random((num_items, 7)) < 0.2).astype(np.float32),
        "numbers": rng.standard_normal((num_items, 2)),
        "none": None,
    }[kind]


@pytest.mark.parametrize("kind", ["single", "tags", "numbers", "none"])
@pytest.mark.parametrize("seed", range(20))
def test_every_item_once_and_no_group_in_two_splits(kind, seed):
    rng = np.random.default_rng(seed)
    num_items = int(rng.integers(3, 300))
    groups = [f"artist {g}" for g in rng.integers(0, rng.integers(3, 100), num_items)]
    groups[:3] = ["artist a", "artist b", "artist c"]  # enough of them
    labels = _labels(kind, num_items, rng)
    result = split_by_group(groups, labels, seed=seed)
    assert list(result) == ["train", "valid", "test"]
    assert sorted(np.concatenate(list(result.values()))) == list(range(num_items))
    members = [{groups[i] for i in indices} for indices in result.values()]
    assert all(members)
    assert sum(map(len, members)) == len(set(groups))

    order = rng.permutation(num_items)
    again = split_by_group(
        [groups[i] for i in order], None if labels is None else labels[order], seed=seed
    )
    for split, indices in result.items():
        assert sorted(order[again[split]]) == list(indices)


def test_fractions_and_labels_in_proportion():
    labels = np.repeat([0, 1, 2], [700, 200, 100])
    result = split_by_group([f"{i}" for i in range(1000)], labels, seed=0)
    for split, fraction in (("train", 0.7), ("valid", 0.15), ("test", 0.15)):
        counts = np.bincount(labels[result[split]], minlength=3)
        np.testing.assert_allclose(counts, fraction * np.array([700, 200, 100]), atol=1)


def test_tags_and_numbers_in_proportion():
    rng = np.random.default_rng(0)
    groups = [f"{i // 3}" for i in range(1200)]
    tags = (rng.random((1200, 10)) < 0.1).astype(np.float32)
    numbers = rng.standard_normal((1200, 2)) * [1, 50]
    for split, indices in split_by_group(groups, tags, seed=0).items():
        share = tags[indices].sum(axis=0) / tags.sum(axis=0)
        np.testing.assert_allclose(share, {"train": 0.7}.get(split, 0.15), atol=0.02)
    for indices in split_by_group(groups, numbers, seed=0).values():
        high = (numbers[indices] > np.median(numbers, axis=0)).mean(axis=0)
        np.testing.assert_allclose(high, 0.5, atol=0.02)


def test_seed_decides():
    groups, labels = [f"{i}" for i in range(100)], np.arange(100) % 4
    first = split_by_group(groups, labels, seed=0)
    same = split_by_group(groups, labels, seed=0)
    other = split_by_group(groups, labels, seed=1)
    np.testing.assert_array_equal(first["test"], same["test"])
    assert set(first["test"]) != set(other["test"])


def test_no_split_is_empty():
    # one group holds nearly everything, and all labels agree
    groups = ["big"] * 97 + ["a", "b"]
    result = split_by_group(groups, np.zeros(99, int), seed=0)
    assert sorted(map(len, result.values())) == [1, 1, 97]
    assert len(result["train"]) == 97


def test_other_fractions():
    result = split_by_group(
        [f"{i}" for i in range(20)], None, fractions={"train": 0.85, "valid": 0.15}, seed=0
    )
    assert {split: len(indices) for split, indices in result.items()} == {"train": 17, "valid": 3}


def test_errors():
    with pytest.raises(ValueError, match=r"at least 3 groups, got 2 \(a, b\) for 3 items"):
        split_by_group(["a", "b", "b"], None, seed=0)
    with pytest.raises(ValueError, match="sum to 1"):
        split_by_group(["a", "b"], None, fractions={"train": 0.7, "valid": 0.2}, seed=0)
    with pytest.raises(ValueError, match="one length"):
        split_by_group(["a", "b", "c"], np.zeros(2), seed=0)
