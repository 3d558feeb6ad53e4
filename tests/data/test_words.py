"""What is said of songs: from labels and columns, without what is kept unseen."""

import numpy as np
import pytest

from mclf_jax.common.text.vectors import vectors_of
from mclf_jax.data.pipeline import Input, training_batches, validation_batches
from mclf_jax.data.words import words_of
from tests.data.labelled import labelled

TAGS = [[1, 1, 0], [0, 0, 1], [0, 0, 0], [1, 0, np.nan], [0, 1, 0]]
NAMES = ("rock", "slow", "piano")
CAPTIONS = ("A slow song|loud", "", "", "rock", "with strings")


def source(**facts):
    splits = {"train": [0, 1, 2], "valid": [3, 4]}
    return labelled(TAGS, names=NAMES, splits=splits, columns={"caption": CAPTIONS}, **facts)


def words(of=None, **changes):
    settings = {"words": ("labels",), "unseen": (), "dropout": 0.0, "text_encoder": "ngrams"}
    return words_of(of or source(), **settings | {"text_size": 64} | changes)


def said(found):
    ends = zip(found.said.indptr[:-1], found.said.indptr[1:], strict=True)
    return [{found.phrases[k] for k in found.said.indices[a:b]} for a, b in ends]


def test_labels_and_columns():
    assert said(words()) == [{"rock", "slow"}, {"piano"}, set(), {"rock"}, {"slow"}]
    caption = words(words=("caption",))
    assert said(caption) == [{"A slow song", "loud"}, set(), set(), {"rock"}, {"with strings"}]
    both = words(words=("labels", "caption"))
    assert said(both)[3] == {"rock"} and len(both.phrases) == 6
    assert both.any(np.array([1, 2])).tolist() == [True, False]
    assert said(words(unseen=("rock",))) == [{"slow"}, {"piano"}, set(), set(), {"slow"}]


def test_of_single_labels_those_that_are_hidden_are_not_told():
    splits = {"train": [0], "unlabelled": [1], "test": [2]}
    assert said(words(labelled([0, 0, 1], splits=splits))) == [{"a"}, set(), {"b"}]


def test_the_vector_is_the_mean_of_the_phrases():
    mean = vectors_of(["rock", "slow"], size=64).mean(axis=0)
    found = words().of_song(0)
    np.testing.assert_allclose(found["words"], mean / np.linalg.norm(mean), rtol=1e-5)
    assert found["words"].dtype == np.float32 and found["words_id"].dtype == np.int32
    assert not words().of_song(2)["words"].any()


def test_ids_are_of_sets_of_phrases():
    ids = [words().of_song(i)["words_id"] for i in range(5)]
    assert len(set(ids)) == 5
    same = labelled([[1, 1], [1, 1], [1, 0]])
    first, second, third = (words(same).of_song(i)["words_id"] for i in range(3))
    assert first == second != third


def test_some_phrases_are_left_out_and_one_always_stays():
    found, rng = words(dropout=0.5), np.random.default_rng(0)
    whole = found.of_song(0)["words_id"]
    drawn = [found.of_song(0, rng) for _ in range(200)]
    share = np.mean([each["words_id"] == whole for each in drawn])
    assert 0.15 < share < 0.35  # a quarter keeps both
    assert all(each["words"].any() for each in drawn)
    assert len({int(each["words_id"]) for each in drawn}) == 3
    assert found.of_song(1, rng)["words"].any()


def test_batches_have_them():
    of, found = source(), words(dropout=0.9)
    inputs = Input(100, "tile", None, words=found)
    settings = {"inputs": inputs, "batch_size": 2, "seed": 0}
    batch = training_batches(of, np.array([0, 1]), **settings)[0]
    assert batch["words"].shape == (2, 64) and batch["words"].any(axis=1).all()
    again = training_batches(of, np.array([0, 1]), **settings)[0]
    np.testing.assert_array_equal(batch["words"], again["words"])
    whole = validation_batches(of, np.array([0, 2]), **settings)[0]
    np.testing.assert_array_equal(whole["words"][0], found.of_song(0)["words"])
    assert whole["valid"].tolist() == [1, 0]  # of song 2, nothing is said


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"words": ("mood",)}, "objective.args.words is 'mood'; allowed: labels, caption"),
        ({"unseen": ("jazz",)}, "unseen has 'jazz', which is said of no song of labelled; there"),
        ({"unseen": NAMES}, "nothing stands there for the songs to train on; labelled has 3 lab"),
    ],
)
def test_errors(changes, message):
    with pytest.raises(ValueError, match=message):
        words(**changes)


def test_numbers_are_no_words():
    with pytest.raises(ValueError, match="those of labelled are numbers; name columns with words"):
        words(labelled([[0.5], [1.0]], task="regression", names=("valence",)))
