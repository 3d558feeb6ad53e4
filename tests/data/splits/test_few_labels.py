"""A few songs of each label: enough of each, no more than needed, nested, of many groups."""

import numpy as np
import pytest

from mclf_jax.data.splits.few_labels import few_of_each
from mclf_jax.data.synthesis import songs as synthetic
from mclf_jax.data.views.apply import apply

LABELS = np.repeat(np.arange(5), [2, 5, 10, 20, 40])
TAGS = (np.random.default_rng(0).random((300, 6)) < np.geomspace(0.02, 0.5, 6)).astype("f4")


@pytest.mark.parametrize("num_songs", [1, 3, 8])
def test_so_many_of_each_label(num_songs):
    chosen = few_of_each(LABELS, num_songs=num_songs, seed=0)
    expected = np.minimum(np.bincount(LABELS), num_songs)
    np.testing.assert_array_equal(np.bincount(LABELS[chosen]), expected)


@pytest.mark.parametrize("labels", [LABELS, TAGS, np.where(TAGS > 0, TAGS, np.nan)])
def test_nested_and_of_the_seed(labels):
    chosen = [set(few_of_each(labels, num_songs=n, seed=1).tolist()) for n in range(1, 9)]
    assert all(small < large for small, large in zip(chosen, chosen[1:], strict=False))
    assert chosen[2] == set(few_of_each(labels, num_songs=3, seed=1).tolist())
    assert chosen[2] != set(few_of_each(labels, num_songs=3, seed=2).tolist())


def test_tags_share_songs():
    chosen = few_of_each(TAGS, num_songs=4, seed=0)
    assert (TAGS[chosen].sum(axis=0) >= np.minimum(4, TAGS.sum(axis=0))).all()
    assert len(chosen) < 4 * TAGS.shape[1]


def test_other_groups_come_first():
    labels, groups = np.zeros(30, int), [f"album {i // 10}" for i in range(30)]
    chosen = few_of_each(labels, groups, num_songs=3, seed=0)
    assert len({groups[i] for i in chosen}) == 3


def test_none_is_refused():
    with pytest.raises(ValueError, match="num_songs is 0; it must be at least 1"):
        few_of_each(LABELS, num_songs=0, seed=0)


def test_the_view_hides_the_other_labels():
    source = synthetic.synthetic(task="instruments", num_songs=60, song_s=1.0)
    few = apply(source, songs_per_label=2, fraction_seed=3)
    used, hidden = few.info.splits["train"], few.info.splits["unlabelled"]
    assert sorted([*used, *hidden]) == sorted(source.info.splits["train"])
    labels = few.labels[used]
    there = source.labels[source.info.splits["train"]].any(axis=0)
    assert (labels.sum(axis=0)[there] >= 2).all()
    assert np.isnan(few.labels[hidden]).all()
    assert few.info.fingerprint != source.info.fingerprint
    with pytest.raises(ValueError, match="fraction and songs_per_label"):
        apply(source, songs_per_label=2, fraction=0.5)
