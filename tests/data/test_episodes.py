"""Few-shot episodes: the asked sizes, no group on both sides, the same by number."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mclf_jax.data.episodes import episodes

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 8, 400)
ARTISTS = [f"{g}" for g in RNG.integers(0, 60, 400)]  # each in several classes


@settings(max_examples=40)
@given(number=st.integers(0, 10**6), seed=st.integers(0, 100), shots=st.integers(1, 4))
def test_an_episode(number, seed, shots):
    all_episodes = episodes(LABELS, ARTISTS, num_ways=4, num_shots=shots, num_queries=5, seed=seed)
    episode = all_episodes[number]
    support, query = episode["support"], episode["query"]
    assert (support.shape, query.shape) == ((4, shots), (4, 5))
    assert len(set(episode["classes"])) == 4
    for side in (support, query):
        np.testing.assert_array_equal(
            LABELS[side], np.tile(episode["classes"][:, None], side.shape[1])
        )
        assert len(set(side.ravel())) == side.size
    assert not {ARTISTS[i] for i in support.ravel()} & {ARTISTS[i] for i in query.ravel()}
    again = episodes(LABELS, ARTISTS, num_ways=4, num_shots=shots, num_queries=5, seed=seed)
    for name, array in again[number].items():
        np.testing.assert_array_equal(array, episode[name])


def test_all_classes_and_items_have_their_turn():
    drawn = list(episodes(LABELS, num_ways=3, num_shots=2, num_queries=2, seed=0))
    assert len(drawn) == 600
    counts = np.bincount(np.concatenate([e["classes"] for e in drawn]), minlength=8)
    assert counts.min() > 0.7 * counts.mean()
    for side in ("support", "query"):
        assert len(np.unique([e[side] for e in drawn])) == 400
    other = episodes(LABELS, num_ways=3, num_shots=2, num_queries=2, seed=1)[0]
    assert (other["support"] != drawn[0]["support"]).any()


def test_only_of_a_split():
    indices = np.arange(100, 300)
    drawn = episodes(
        LABELS, num_ways=3, num_shots=2, num_queries=2, seed=0, indices=indices, num_episodes=40
    )
    assert len(drawn) == len(list(drawn)) == 40
    assert {i for e in drawn for s in ("support", "query") for i in e[s].ravel()} <= set(indices)


def test_classes_that_cannot_have_two_sides_are_not_drawn():
    # Class 2 is all by one artist, class 3 has too few items.
    labels = np.repeat([0, 1, 2, 3], [10, 10, 10, 2])
    artists = [f"{i}" for i in range(20)] + ["one"] * 10 + ["x", "y"]
    drawn = episodes(labels, artists, num_ways=2, num_shots=1, num_queries=5, seed=0)
    assert {int(c) for e in drawn for c in e["classes"]} == {0, 1}
    with pytest.raises(ValueError, match="num_ways is 3, but 2 of 4 classes .* of other groups"):
        episodes(labels, artists, num_ways=3, num_shots=1, num_queries=5, seed=0)


def test_large_groups_may_be_asked_about():
    # Only with the large group in query is there enough of both.
    labels = np.repeat([0, 1], [12, 12])
    artists = ["a"] * 10 + ["b", "c"] + ["d"] * 10 + ["e", "f"]
    episode = episodes(labels, artists, num_ways=2, num_shots=2, num_queries=10, seed=0)[0]
    assert sorted(episode["support"].ravel()) == [10, 11, 22, 23]


def test_errors():
    with pytest.raises(ValueError, match=r"got {'num_shots': 0}"):
        episodes(LABELS, num_ways=2, num_shots=0, num_queries=1, seed=0)
    with pytest.raises(ValueError, match=r"\[N\], got shape \(4, 2\)"):
        episodes(np.zeros((4, 2)), num_ways=2, num_shots=1, num_queries=1, seed=0)
    # Each class alone has two sides, but both have the same two artists, and sizes that do not fit.
    labels = [0] * 6 + [1] * 6
    artists = ["a"] + ["b"] * 5 + ["a"] * 5 + ["b"]
    crossed = episodes(labels, artists, num_ways=2, num_shots=1, num_queries=5, seed=0)
    with pytest.raises(ValueError, match="too many groups are in several classes"):
        crossed[0]
