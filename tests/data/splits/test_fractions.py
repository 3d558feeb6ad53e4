"""Fractions of labels: nested, in proportion, with an item of every label, always the same."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mclf_jax.data.splits.fractions import label_fraction

TAGS = (np.random.default_rng(0).random((2000, 12)) < np.geomspace(0.002, 0.4, 12)).astype(
    np.float32
)


@settings(max_examples=40)
@given(
    kind=st.sampled_from(["single", "tags", "partial", "numbers"]),
    unit=st.sampled_from(["item", "group"]),
    num_items=st.integers(1, 300),
    fractions=st.lists(st.floats(0.001, 1), min_size=2, max_size=4),
    seed=st.integers(0, 1000),
)
def test_nested_with_every_label(kind, unit, num_items, fractions, seed):
    rng = np.random.default_rng(seed)
    tags = (rng.random((num_items, 5)) < 0.15).astype(np.float32)
    labels = {
        "single": rng.integers(0, 7, num_items),
        "tags": tags,
        "partial": np.where(rng.random(tags.shape) < 0.4, tags, np.nan),
        "numbers": rng.standard_normal((num_items, 2)),
    }[kind]
    groups = [f"{g}" for g in rng.integers(0, 40, num_items)] if unit == "group" else None
    before = set()
    for fraction in sorted(fractions):
        chosen = label_fraction(labels, groups, fraction=fraction, seed=seed)
        assert list(chosen) == sorted(set(chosen))
        assert before <= set(chosen)
        before = set(chosen)
        if groups:
            inside = {groups[i] for i in chosen}
            assert before == {i for i in range(num_items) if groups[i] in inside}
        if kind == "single":
            assert set(labels[chosen]) == set(labels)
        elif kind != "numbers":
            partial = np.isnan(labels).any(axis=0)
            for known in (labels == 1, (labels == 0) & partial):
                np.testing.assert_array_equal(known[chosen].any(axis=0), known.any(axis=0))
    everything = label_fraction(labels, groups, fraction=1, seed=seed)
    assert list(everything) == list(range(num_items))


def test_one_label_in_proportion():
    labels = np.repeat([0, 1, 2], [700, 200, 100])
    for fraction, atol in ((0.1, 0), (0.01, 0), (0.37, 3), (0.5, 3)):
        chosen = label_fraction(labels, fraction=fraction, seed=0)
        counts = np.bincount(labels[chosen])
        np.testing.assert_allclose(counts, fraction * np.array([700, 200, 100]), atol=atol)
        assert len(chosen) == fraction * 1000


def test_tags_in_proportion():
    for fraction in (0.1, 0.3):
        chosen = label_fraction(TAGS, fraction=fraction, seed=0)
        assert len(chosen) == fraction * 2000
        np.testing.assert_allclose(
            TAGS[chosen].sum(axis=0), fraction * TAGS.sum(axis=0), atol=1.5 + fraction * 10
        )


def test_rare_labels_make_it_larger():
    labels = np.repeat([0, 1, 2], [998, 1, 1])
    assert len(label_fraction(labels, fraction=0.01, seed=0)) in (10, 11, 12)
    assert set(labels[label_fraction(labels, fraction=0.001, seed=0)]) == {0, 1, 2}


def test_large_groups_do_not_fill_small_fractions():
    groups = ["prolific"] * 500 + [f"{i}" for i in range(500)]
    labels = np.arange(1000) % 2
    chosen = label_fraction(labels, groups, fraction=0.1, seed=0)
    assert len(chosen) == 100
    assert "prolific" not in {groups[i] for i in chosen}


def test_seed_decides():
    same = [label_fraction(TAGS, fraction=0.1, seed=3) for _ in range(2)]
    np.testing.assert_array_equal(*same)
    assert set(same[0]) != set(label_fraction(TAGS, fraction=0.1, seed=4))


def test_same_in_another_process():
    code = (
        "import hashlib, numpy as np; from mclf_jax.data.splits.fractions import label_fraction\n"
        "labels, groups = np.arange(999) % 7, [f'artist {i // 3}' for i in range(999)]\n"
        "chosen = label_fraction(labels, groups, fraction=0.07, seed=5)\n"
        "print(hashlib.sha256(chosen.astype(np.int64).tobytes()).hexdigest())"
    )
    there = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    labels, groups = np.arange(999) % 7, [f"artist {i // 3}" for i in range(999)]
    here = label_fraction(labels, groups, fraction=0.07, seed=5)
    assert there.stdout.strip() == hashlib.sha256(here.astype(np.int64).tobytes()).hexdigest()


def test_errors():
    for fraction in (0, -0.1, 1.1):
        with pytest.raises(ValueError, match=rf"fraction is {fraction}; it must be in \(0, 1\]"):
            label_fraction(np.zeros(3), fraction=fraction, seed=0)
    with pytest.raises(ValueError, match="one length"):
        label_fraction(np.zeros(3), ["a"], fraction=0.5, seed=0)
