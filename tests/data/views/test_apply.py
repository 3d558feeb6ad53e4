"""Views of a source: other labels and splits, told in the notes and in the fingerprint."""

import numpy as np
import pytest

from mclf_jax.data.pipeline import Input, training_batches
from mclf_jax.data.views.apply import apply
from mclf_jax.data.views.folds import with_folds
from mclf_jax.data.views.hidden import with_label_fraction
from mclf_jax.data.views.taxonomy import with_taxonomy
from tests.data.labelled import labelled

SPLITS = {"train": range(60), "valid": range(60, 80), "test": range(80, 100)}
GENRES = np.arange(100) % 3
TAGS = (np.random.default_rng(0).random((100, 4)) < 0.3).astype(np.float32)
PARTIAL = np.where(np.random.default_rng(1).random((100, 4)) < 0.5, TAGS, np.nan)
NUMBERS = np.random.default_rng(2).standard_normal((100, 2))
KINDS = {
    "single": labelled(GENRES, splits=SPLITS),
    "tags": labelled(TAGS, splits=SPLITS),
    "partial": labelled(PARTIAL, splits=SPLITS),
    "numbers": labelled(NUMBERS, task="regression", splits=SPLITS),
}


def _same_item(source, other, index):
    for name, value in source[index].items():
        np.testing.assert_array_equal(other[index][name], value)


def test_nothing_asked_is_the_source_itself():
    source = KINDS["single"]
    assert apply(source) is source
    with pytest.raises(ValueError, match="fold is 2, but num_folds is 0"):
        apply(source, fold=2)


@pytest.mark.parametrize("kind", KINDS)
def test_label_fraction(kind):
    source = KINDS[kind]
    seen = with_label_fraction(source, fraction=0.25, seed=0)
    splits = seen.info.splits
    train, hidden = splits["train"], splits["unlabelled"]
    assert sorted([*train, *hidden]) == list(range(60))
    assert abs(len(train) - 15) <= 4
    for split in ("valid", "test"):
        np.testing.assert_array_equal(splits[split], SPLITS[split])
    for index in (*train, *range(60, 100)):
        _same_item(source, seen, index)
    for index in hidden:
        label = seen.labels[index]
        assert label == 0 if kind == "single" else np.isnan(label).all()
        assert label.dtype == source.labels[index].dtype
        np.testing.assert_array_equal(seen[index]["label"], label)
    assert (
        f"labels of 0.25 of train are used, by item with seed 0: {len(train)} of 60"
        in (seen.info.notes[-1])
    )


def test_label_fractions_by_group_join_what_is_unlabelled_already():
    groups = [f"artist {i // 4}" for i in range(100)]
    splits = {**SPLITS, "train": range(4, 60), "unlabelled": range(4)}
    source = labelled(GENRES, splits=splits, groups=groups)
    seen = apply(source, fraction=0.2, fraction_seed=3, fraction_unit="group")
    train, unlabelled = seen.info.splits["train"], seen.info.splits["unlabelled"]
    assert set(range(4)) <= set(unlabelled)
    assert not {groups[i] for i in train} & {groups[i] for i in unlabelled}
    assert len(train) == 12
    assert with_label_fraction(source, fraction=1, seed=0) is source


def test_more_than_asked_is_said():
    seen = with_label_fraction(KINDS["single"], fraction=0.01, seed=0)
    assert set(GENRES[seen.info.splits["train"]]) == {0, 1, 2}
    assert "More than asked, because every label keeps an item" in seen.info.notes[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_folds(kind):
    source = KINDS[kind]
    tests = []
    for fold in range(5):
        seen = with_folds(source, num_folds=5, fold=fold, seed=0)
        splits = seen.info.splits
        assert sorted(np.concatenate(list(splits.values()))) == list(range(100))
        tests.append((set(splits["test"]), set(splits["valid"])))
        _same_item(source, seen, 17)
        assert f"fold {fold} of 5, by group with seed 0" in seen.info.notes[-1]
    assert set.union(*(test for test, _ in tests)) == set(range(100))
    for fold in range(5):
        assert tests[fold][1] == tests[(fold + 1) % 5][0]


def test_folds_keep_groups_and_unlabelled_items_tell_nothing_of_them():
    groups = [f"artist {i // 2}" for i in range(100)]
    splits = {"train": range(0, 80, 2), "test": range(80, 90), "unlabelled": range(1, 80, 2)}
    source = labelled(GENRES, splits=splits, groups=groups)
    seen = with_folds(source, num_folds=4, fold=1, seed=0).info
    parts = [{groups[i] for i in items} for items in seen.splits.values()]
    assert sum(map(len, (parts[0], parts[1], parts[2]))) == 45
    held_out = {groups[i] for i in (*seen.splits["valid"], *seen.splits["test"])}
    unlabelled = {groups[i] for i in seen.splits["unlabelled"]}
    assert unlabelled
    assert not unlabelled & held_out
    lost = 40 - len(seen.splits["unlabelled"])
    assert f"{lost} unlabelled items left out, of groups in valid or test" in seen.notes[-1]


def test_taxonomy_of_one_label():
    splits = {"train": range(50), "test": range(50, 90), "unlabelled": range(90, 100)}
    source = labelled(GENRES, names=("rock", "jazz", "news"), splits=splits)
    seen = with_taxonomy(source, {"rename": {"rock": "Rock"}, "drop": ["news"]})
    assert seen.info.labels == ("Rock", "jazz")
    news = set(np.flatnonzero(GENRES == 2)) - set(range(90, 100))
    for split in ("train", "test"):
        assert set(seen.info.splits[split]) == set(splits[split]) - news
        assert all(seen.labels[i] == GENRES[i] for i in seen.info.splits[split])
    # What is unlabelled has no label to be dropped.
    assert set(seen.info.splits["unlabelled"]) == set(range(90, 100))
    assert len(seen.info.skipped) == len(news)
    assert ("item 2", "its label 'news' is dropped by the taxonomy") in seen.info.skipped
    assert f"3 labels became 2; {len(news)} items of dropped labels are" in seen.info.notes[-1]


def test_taxonomy_of_tags_and_parents():
    source = labelled(TAGS, names=("metal", "rock", "vocals", "voice"), splits=SPLITS)
    seen = with_taxonomy(
        source, {"merge": {"vocal": ["vocals", "voice"]}, "parents": {"metal": "rock"}}
    )
    assert seen.info.labels == ("metal", "rock", "vocal")
    assert seen.info.parents == {"metal": "rock"}
    expected = np.stack([TAGS[:, 0], TAGS[:, :2].max(axis=1), TAGS[:, 2:].max(axis=1)], axis=1)
    np.testing.assert_array_equal(seen.labels, expected)
    dropped = with_taxonomy(source, {"drop": ["vocals", "voice", "rock"]})
    emptied = int((TAGS.any(axis=1) & (TAGS[:, 0] == 0)).sum())
    assert f"{emptied} items have none of the remaining tags" in dropped.info.notes[-1]
    genres = labelled(GENRES, names=("metal", "jazz", "pop"), splits=SPLITS)
    closed = with_taxonomy(genres, {"parents": {"metal": "rock"}}).info
    assert (closed.task, closed.labels) == ("multi_label", ("metal", "jazz", "pop", "rock"))


def test_fingerprints():
    source = KINDS["single"]
    seen = [
        source,
        apply(source, fraction=0.1),
        apply(source, fraction=0.2),
        apply(source, fraction=0.1, fraction_seed=1),
        apply(source, num_folds=4),
        apply(source, num_folds=4, fold=1),
        apply(source, num_folds=5),
        apply(source, num_folds=4, fold_seed=1),
        apply(source, num_folds=4, fraction=0.1),
        apply(source, taxonomy={"rename": {"a": "A"}}),
        apply(source, taxonomy={"rename": {"a": "B"}}),
    ]
    assert len({s.info.fingerprint for s in seen}) == len(seen)
    again = apply(source, num_folds=4, fraction=0.1).info
    assert again.fingerprint == seen[8].info.fingerprint
    assert again.notes == seen[8].info.notes
    assert len(again.notes) == 2


def test_views_go_through_the_pipeline_in_processes():
    import itertools

    from mclf_jax.data.pipeline import iterate

    seen = apply(KINDS["tags"], taxonomy={"drop": ["a"]}, num_folds=4, fraction=0.5)
    dataset = training_batches(
        seen,
        seen.info.splits["train"],
        inputs=Input(num_samples=100, short="tile", features=None),
        batch_size=5,
        seed=0,
    )
    batches = iterate(dataset, num_threads=1, prefetch=2, num_workers=1)
    try:
        for batch in itertools.islice(batches, 3):
            np.testing.assert_array_equal(batch["label"], TAGS[batch["index"], 1:])
            np.testing.assert_array_equal(batch["audio"][:, 0], batch["index"])
    finally:
        batches.close()


def test_errors():
    source = KINDS["single"]
    with pytest.raises(ValueError, match="num_folds is 2; it must be at least 3"):
        with_folds(source, num_folds=2, fold=0, seed=0)
    with pytest.raises(ValueError, match=r"fold is 5; it must be in \[0, 4\]"):
        with_folds(source, num_folds=5, fold=5, seed=0)
    with pytest.raises(ValueError, match="nothing in train"):
        with_label_fraction(labelled(GENRES, splits={"test": [1]}), fraction=0.5, seed=0)
    with pytest.raises(ValueError, match="'artist'; allowed: item, group"):
        with_label_fraction(source, fraction=0.5, seed=0, unit="artist")
    with pytest.raises(ValueError, match=r"fraction is 2.0; it must be in \(0, 1\]"):
        apply(source, fraction=2.0)
    with pytest.raises(ValueError, match="nothing of labelled in train"):
        only = {"train": np.flatnonzero(GENRES == 2), "test": np.flatnonzero(GENRES != 2)}
        with_taxonomy(labelled(GENRES, splits=only), {"drop": ["c"]})
