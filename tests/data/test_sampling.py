"""Weighted draws: in the asked proportion, and by seed and step alone."""

import itertools

import numpy as np
import pytest

from mclf_jax.audio.decode import AudioError
from mclf_jax.data import sampling
from mclf_jax.data.pipeline import Input, iterate, training_batches
from tests.data.labelled import labelled
from tests.songs import Songs

INPUT = Input(num_samples=100, short="tile", features=None)
RARE = np.repeat([0, 1, 2], [80, 15, 5])


def _shares(weights, values):
    return [weights[np.asarray(values) == v].sum() for v in np.unique(values)]


@pytest.mark.parametrize(
    "balance, shares", [(1.0, [1 / 3, 1 / 3, 1 / 3]), (0.5, np.sqrt([80, 15, 5]))]
)
def test_one_label(balance, shares):
    weights = sampling.weights(labelled(RARE), np.arange(100), by="label", balance=balance)
    np.testing.assert_allclose(_shares(weights, RARE), shares / np.sum(shares))


def test_nothing_asked():
    source = labelled(RARE)
    assert sampling.weights(source, np.arange(100), by="", balance=1.0) is None
    assert sampling.weights(source, np.arange(100), by="label", balance=0.0) is None


def test_only_the_given_songs_count():
    weights = sampling.weights(labelled(RARE), np.arange(70, 95), by="label")
    np.testing.assert_allclose(_shares(weights, RARE[70:95]), [0.5, 0.5])


def test_columns_and_groups_and_what_is_unknown():
    years = ["1970"] * 2 + ["1990"] * 6 + [""] * 2
    source = labelled(np.zeros(10), names="ab", groups=["x"] * 9 + ["y"], columns={"year": years})
    weights = sampling.weights(source, np.arange(10), by="year")
    # The two of an unknown year are a fifth, as without weights.
    np.testing.assert_allclose(_shares(weights, years), [0.2, 0.4, 0.4])
    by_group = sampling.weights(source, np.arange(10), by="group")
    np.testing.assert_allclose(_shares(by_group, source.info.groups), [0.5, 0.5])


def test_tags():
    nan = np.nan
    tags = np.array([[1, 0], [1, 0], [1, 0], [1, 1], [0, 0], [nan, nan]])
    indices = np.arange(6)
    mean = sampling.weights(labelled(tags), indices, by="label") * 6
    np.testing.assert_allclose(mean[4:], 1)  # no tag: as often as without weights
    np.testing.assert_allclose(mean[3] / mean[0], (1 + 1 / 4) / 2 / (1 / 4))
    rarest = sampling.weights(labelled(tags), indices, by="label", tag_rule="max") * 6
    np.testing.assert_allclose(rarest[3] / rarest[0], 4)
    np.testing.assert_allclose(rarest.sum(), 6)


def test_errors():
    source = labelled(RARE, columns={"year": [""] * 100, "artist": ["a"] * 100})
    indices = np.arange(100)
    with pytest.raises(ValueError, match="label, group, year, artist. Did you mean 'artist'"):
        sampling.weights(source, indices, by="artists")
    with pytest.raises(ValueError, match=r"balance is 2; it must be in \[0, 1\]"):
        sampling.weights(source, indices, by="label", balance=2)
    with pytest.raises(ValueError, match="tag_rule is 'min'; allowed: mean, max"):
        sampling.weights(source, indices, by="label", tag_rule="min")
    with pytest.raises(ValueError, match="no song has a value of 'year'"):
        sampling.weights(source, indices, by="year")
    numbers = labelled(np.zeros((3, 2)), task="regression")
    with pytest.raises(ValueError, match="task is 'regression'"):
        sampling.weights(numbers, np.arange(3), by="label")


def _batches(weights, *, source=None, batch_size=4, seed=0, **processes):
    return training_batches(
        source or labelled(RARE),
        np.arange(100),
        inputs=INPUT,
        batch_size=batch_size,
        seed=seed,
        weights=weights,
        **processes,
    )


WEIGHTS = sampling.weights(labelled(RARE), np.arange(100), by="label")


def test_songs_are_drawn_by_weight():
    dataset = _batches(WEIGHTS, batch_size=50)
    batches = [dataset[step] for step in range(60)]
    counts = np.bincount(np.concatenate([b["label"] for b in batches]))
    # Binomial: 1000 each, standard deviation 26.
    np.testing.assert_allclose(counts, 1000, atol=100)
    songs = np.bincount(np.concatenate([b["index"] for b in batches]), minlength=100)
    assert songs[95:].min() > 130  # of 200
    # Draws are independent, also from one pass over the songs to the next.
    firsts = [dataset[2 * number]["index"][0] for number in range(30)]
    assert len(set(firsts)) > 5


def test_a_row_depends_on_seed_and_step_alone():
    whole, again, other = _batches(WEIGHTS), _batches(WEIGHTS), _batches(WEIGHTS, seed=1)
    expected = [whole[step]["index"] for step in range(60)]
    for step in (59, 3, 31):
        np.testing.assert_array_equal(again[step]["index"], expected[step])
    assert any((other[step]["index"] != expected[step]).any() for step in range(3))
    for process in (0, 1):
        part = _batches(WEIGHTS, process_index=process, process_count=2)
        for step in (0, 30):
            np.testing.assert_array_equal(part[step]["index"], expected[step][process::2])


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("num_workers", [0, 1, 2])
def test_same_for_any_number_of_workers_and_after_a_restart(num_workers):
    dataset = _batches(WEIGHTS, source=Songs(100))
    expected = [dataset[step] for step in range(7)]
    batches = iterate(dataset[2:], num_threads=2, prefetch=4, num_workers=num_workers)
    try:
        for got, wanted in zip(itertools.islice(batches, 5), expected[2:], strict=True):
            for name in wanted:
                np.testing.assert_array_equal(got[name], wanted[name])
    finally:
        batches.close()


def test_without_weights_every_song_has_its_turn():
    dataset = _batches(None, batch_size=50)
    for epoch in range(2):
        songs = np.concatenate([dataset[2 * epoch + half]["index"] for half in (0, 1)])
        assert sorted(songs) == list(range(100))


def test_songs_of_no_weight_are_never_drawn():
    weights = np.zeros(100)
    weights[[7, 8]] = 1
    # Song 7 cannot be read, and what stands in for it has a weight too.
    batch = _batches(weights, source=Songs(100, broken=(7,)), batch_size=20)[0]
    assert set(batch["index"]) == {8}
    assert set(batch["failed"]) == {-1, 7}
    with pytest.raises(AudioError, match="nor can any other"):
        _batches(weights, source=Songs(100, broken=(7, 8)))[0]


@pytest.mark.parametrize("weights", [np.ones(99), np.zeros(100), np.full(100, np.nan), -WEIGHTS])
def test_weights_that_make_no_sense(weights):
    with pytest.raises(ValueError, match="weights must be"):
        _batches(weights)
