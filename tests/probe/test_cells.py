"""Songs and labels of a probe: nested fractions, folds by group, the same for every method."""

import dataclasses

import numpy as np

from mclf_jax.data.base.source import Info, Source
from mclf_jax.probe.cells import deal_cells, find_missing_labels
from mclf_jax.shallow.embeddings import keep_labelled


@dataclasses.dataclass
class Labels(Source):
    """A source without audio; two songs of each group."""

    labels: np.ndarray
    task: str = "single_label"
    names: tuple[str, ...] = ("a", "b", "c")

    def __post_init__(self):
        count = len(self.labels)
        order = np.random.default_rng(0).permutation(count)
        self.info = Info(
            name="labels",
            task=self.task,
            labels=self.names,
            sample_rate_hz=16000,
            splits={
                "train": np.sort(order[count // 3 :]),
                "valid": np.sort(order[: count // 6]),
                "test": np.sort(order[count // 6 : count // 3]),
            },
            groups=tuple(str(i // 2) for i in range(count)),
            version="1",
            fingerprint="labels",
            licence="none",
        )

    def num_samples(self, index):
        raise AssertionError("there is no audio")

    def read(self, index, *, start_sample, num_samples):
        raise AssertionError("there is no audio")


def classes(count=90):
    return Labels((np.arange(count) // 2 % 3).astype(np.int32))


def test_smaller_fractions_are_within_larger_ones():
    fractions = (0.1, 1.0, 0.5, 0.05)
    made = list(deal_cells(classes(), seeds=(0, 1), num_folds=0, fractions=fractions))
    assert [(c.seed, c.fraction) for c in made] == [
        (seed, fraction) for seed in (0, 1) for fraction in (0.05, 0.1, 0.5, 1.0)
    ]
    for seed in (0, 1):
        train = [set(c.split("train")[0]) for c in made if c.seed == seed]
        assert all(a < b for a, b in zip(train, train[1:], strict=False))
        assert len(train[2]) == 30 and len(train[3]) == 60
        held_out = [c.split("test")[0].tolist() for c in made if c.seed == seed]
        assert held_out[0] == held_out[-1]
    assert set(made[2].split("train")[0]) != set(made[6].split("train")[0])


def test_a_few_songs_of_each_label_are_within_more_of_them():
    made = list(
        deal_cells(classes(), seeds=(0,), num_folds=0, fractions=(1.0,), songs_per_label=(10, 1, 3))
    )
    assert [c.amount for c in made] == [(1, 1.0), (3, 1.0), (10, 1.0), (0, 1.0)]
    train = [c.split("train") for c in made]
    songs = [set(indices) for indices, _ in train]
    assert all(a < b for a, b in zip(songs, songs[1:], strict=False))
    for count, (_, targets) in zip((1, 3, 10), train, strict=False):
        assert np.bincount(targets).tolist() == [count] * 3
    assert len({tuple(c.split("test")[0]) for c in made}) == 1


def test_labels_that_are_left_out_are_not_there():
    """In whatever split: nothing that a method is given has them."""
    source = classes()
    (cell,) = deal_cells(source, seeds=(0,), num_folds=0, fractions=(0.1,))
    used = {int(i) for split in ("train", "valid", "test") for i in cell.split(split)[0]}
    hidden = set(range(len(source))) - used
    assert len(hidden) == 54
    assert {int(cell.source.labels[i]) for i in hidden} == {0}


def test_folds_share_no_group_and_test_every_song_once():
    source = classes()
    made = list(deal_cells(source, seeds=(3,), num_folds=5, fractions=(1.0,)))
    tested = np.concatenate([cell.split("test")[0] for cell in made])
    assert sorted(tested) == list(range(90))
    for cell in made:
        groups = [
            {source.info.groups[i] for i in cell.split(split)[0]}
            for split in ("train", "valid", "test")
        ]
        assert not groups[0] & groups[1] and not groups[0] & groups[2]
        assert not groups[1] & groups[2]
    again = next(iter(deal_cells(source, seeds=(3,), num_folds=5, fractions=(1.0,))))
    np.testing.assert_array_equal(again.split("test")[0], made[0].split("test")[0])
    other = next(iter(deal_cells(source, seeds=(4,), num_folds=5, fractions=(1.0,))))
    assert other.split("test")[0].tolist() != made[0].split("test")[0].tolist()


def test_songs_without_any_known_label_are_left_out():
    targets = np.array([[1, 0], [np.nan, np.nan], [np.nan, 1]], np.float32)
    source = Labels(targets, task="multi_label", names=("a", "b"))
    songs, found = keep_labelled(source, [0, 1, 2])
    assert songs.tolist() == [0, 2] and found.shape == (2, 2)
    assert keep_labelled(source, [])[1].shape == (0, 2)


def test_labels_without_songs_are_named():
    source = classes()
    source.labels[source.info.splits["test"]] = 0
    (note,) = find_missing_labels(
        list(deal_cells(source, seeds=(0, 1), num_folds=0, fractions=(1.0,)))
    )
    assert note.startswith("Labels without a song in test") and note.endswith("b, c.")
    # A tag that one fold's test songs lack.
    targets = np.ones((30, 2), np.float32)
    targets[:, 1] = 0
    targets[4, 1] = 1
    tags = Labels(targets, task="multi_label", names=("x", "rare"))
    notes = find_missing_labels(list(deal_cells(tags, seeds=(0,), num_folds=5, fractions=(1.0,))))
    assert any("in test" in note and "rare (4 of 5)" in note for note in notes)
