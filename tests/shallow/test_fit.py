"""Classifiers on made-up embeddings: perfect where they separate, chance where they do not."""

import dataclasses

import numpy as np
import pytest

from mclf_jax import metrics
from mclf_jax.shallow.classifiers import KINDS, Layers
from mclf_jax.shallow.embeddings import Embeddings, Rows, rows_of
from mclf_jax.shallow.fit import fit, in_own_unit

LABELS = ("a", "b", "c")


def rows(targets, *, centres=None, windows=3, seed=0, size=6):
    """Windows of songs around a centre each, or noise alone."""
    rng = np.random.default_rng(seed)
    position = np.repeat(np.arange(len(targets)), windows)
    vectors = rng.standard_normal((len(position), size))
    if centres is not None:
        vectors = 0.1 * vectors + np.asarray(centres)[position]
    return Rows(np.arange(len(targets)), position, vectors.astype(np.float32), targets)


def splits(make_targets, centres_of=None, *, counts=(30, 15, 15), **kwargs):
    """train, valid, test."""
    made = {}
    for number, (name, count) in enumerate(
        zip(("train", "valid", "test"), counts, strict=True), start=1
    ):
        targets = make_targets(np.random.default_rng(number), count)
        centres = None if centres_of is None else centres_of(targets)
        made[name] = rows(targets, centres=centres, seed=number, **kwargs)
    return made


def classes(rng, count):
    return rng.permutation(np.arange(count) % 3)


def corners(targets):
    return 3 * np.eye(6)[targets]


def tags(rng, count):
    # Every tag has positives and negatives, whatever is drawn.
    return np.concatenate([np.eye(3), rng.integers(0, 2, (count - 3, 3))]).astype(np.float32)


def numbers(rng, count):
    return rng.uniform(-5, 5, (count, 2)).astype(np.float32)


def score(kind, task, data, *, labels=LABELS, metric=None, seed=0, max_windows=10_000):
    fitted = fit(kind, task, labels=labels, seed=seed, max_windows=max_windows, **data)
    result = metrics.compute(task, fitted.scores, data["test"].targets, labels=labels)
    return result.values[metric or metrics.HEADLINES[task][0]]


@pytest.mark.parametrize("kind", KINDS)
def test_separable_classes_are_probed_perfectly(kind):
    assert score(kind, "single_label", splits(classes, corners)) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_embeddings_without_the_label_are_at_chance(kind):
    data = splits(classes, counts=(60, 150, 300), size=4)
    assert abs(score(kind, "single_label", data) - 1 / 3) < 0.1


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("kind", KINDS)
def test_tags_and_their_unknown_labels(kind):
    data = splits(tags, lambda y: np.pad(3 * y, ((0, 0), (0, 3))))
    assert score(kind, "multi_label", data) > 0.99
    # A third is not observed; what stands there must not be taken for "absent".
    hidden = data["train"].targets.copy()
    hidden[np.random.default_rng(0).random(hidden.shape) < 0.33] = np.nan
    data["train"] = dataclasses.replace(data["train"], targets=hidden)
    assert score(kind, "multi_label", data) > 0.99


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_tag_is_not_an_absent_one(kind):
    """Of "b" a third of the positives is marked; the others would win as negatives."""
    rng = np.random.default_rng(5)
    data = splits(tags, lambda y: np.pad(3 * y, ((0, 0), (0, 3))), counts=(60, 30, 30))
    known = data["train"].targets.copy()
    positives = np.flatnonzero(known[:, 1] == 1)
    known[rng.permutation(positives)[10:], 1] = np.nan
    data["train"] = dataclasses.replace(data["train"], targets=known)
    fitted = fit(kind, "multi_label", labels=LABELS, seed=0, max_windows=10_000, **data)
    truth = data["test"].targets[:, 1]
    assert fitted.scores[truth == 1, 1].mean() > 0.5 > fitted.scores[truth == 0, 1].mean()


@pytest.mark.parametrize("kind", KINDS)
def test_tags_that_nothing_can_be_learnt_of_get_one_score(kind):
    data = splits(tags, lambda y: np.pad(3 * y, ((0, 0), (0, 3))))
    targets = data["train"].targets
    targets[:, 1], targets[:, 2] = 0, np.nan
    fitted = fit(kind, "multi_label", labels=LABELS, seed=0, max_windows=10_000, **data)
    assert np.unique(fitted.scores[:, 1]).tolist() == [0]
    assert np.unique(fitted.scores[:, 2]).tolist() == [0.5]
    assert len(np.unique(fitted.scores[:, 0])) > 1


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_in_their_own_units(kind):
    data = splits(numbers, lambda y: np.pad(y, ((0, 0), (0, 4))), counts=(120, 30, 30))
    labels = ("valence", "arousal")
    assert score(kind, "regression", data, labels=labels) > 0.9
    data["train"].targets[::2, 0] = np.nan
    assert score(kind, "regression", data, labels=labels) > 0.85


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_without_training_songs_is_never_predicted(kind):
    data = splits(classes, corners)
    data["train"] = rows(np.arange(20) % 2, centres=corners(np.arange(20) % 2))
    fitted = fit(kind, "single_label", labels=LABELS, seed=0, max_windows=10_000, **data)
    assert (fitted.scores[:, 2] == 0).all()
    np.testing.assert_allclose(fitted.scores.sum(axis=1), 1, atol=1e-5)
    data["train"] = rows(np.ones(4, int))
    fitted = fit(kind, "single_label", labels=LABELS, seed=0, max_windows=10_000, **data)
    assert (fitted.scores == [0, 1, 0]).all() and fitted.setting == {"constant": True}


def test_scores_of_a_song_are_means_over_its_windows():
    two = Rows(np.array([4, 9]), np.array([0, 0, 1]), np.zeros((3, 1)), np.zeros(2))
    assert two.song_means(np.array([[1.0], [0.0], [0.25]])).tolist() == [[0.5], [0.25]]


@pytest.mark.parametrize("kind", KINDS)
def test_targets_of_test_songs_decide_nothing(kind):
    data = splits(classes, counts=(30, 30, 30))
    wrong = (data["test"].targets + 1) % 3
    other = {**data, "test": dataclasses.replace(data["test"], targets=wrong)}
    with_right, with_wrong = (
        fit(kind, "single_label", labels=LABELS, seed=0, max_windows=999, **d)
        for d in (data, other)
    )
    np.testing.assert_array_equal(with_right.scores, with_wrong.scores)
    assert with_right.setting == with_wrong.setting


def test_the_valid_split_chooses_the_regularisation():
    """Three labels of ten in train are wrong, so that few neighbours repeat what is wrong."""
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, 200)
    centres = np.stack([np.where(targets == 1, 1.0, -1.0), *rng.standard_normal((2, 200))], axis=1)
    noisy = np.where(rng.random(200) < 0.3, 1 - targets, targets)
    train = rows(noisy[:100], centres=centres[:100], size=3, windows=1)
    held_out = rows(targets[100:], centres=centres[100:], size=3, windows=1)
    fitted = fit(
        "knn",
        "single_label",
        labels=("a", "b"),
        seed=0,
        max_windows=999,
        train=train,
        valid=held_out,
        test=held_out,
    )
    assert fitted.setting["k"] >= 10
    assert fitted.valid_score > 0.9


def test_the_same_seed_gives_the_same_network():
    data = splits(classes)
    first, again, other = (
        fit("mlp", "single_label", labels=LABELS, seed=seed, max_windows=999, **data).scores
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_many_windows_are_thinned_evenly():
    data = rows(np.arange(4) % 2, windows=10)
    thin = data.thin(12)
    assert np.bincount(thin.position).tolist() == [3, 3, 3, 3]
    np.testing.assert_array_equal(thin.vectors[:3], data.vectors[[0, 4, 9]])
    assert len(data.thin(2).position) == 4 and data.thin(40) is data


def test_rows_follow_the_songs_and_leave_out_what_could_not_be_read():
    embeddings = Embeddings(np.array([1, 1, 5, 7]), np.arange(4, dtype=np.float32)[:, None])
    found = rows_of(embeddings, np.array([7, 3, 1]), np.array([70, 30, 10]))
    assert found.songs.tolist() == [1, 7] and found.targets.tolist() == [10, 70]
    assert found.position.tolist() == [0, 0, 1] and found.vectors.ravel().tolist() == [0, 1, 3]


def some_tags(rng, count):
    """Of tags, some are not observed, and one is never there."""
    targets = tags(rng, count)
    targets[rng.random(targets.shape) < 0.2] = np.nan
    targets[:, 2] = np.where(count == 30, 0, targets[:, 2])
    return targets


def two_classes(rng, count):
    return rng.permutation(np.arange(count) % 2)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
@pytest.mark.parametrize(
    ("task", "targets"),
    [
        ("single_label", classes),
        ("single_label", two_classes),
        ("multi_label", some_tags),
        ("regression", lambda rng, count: numbers(rng, count)),
        ("regression", lambda rng, count: numbers(rng, count)[:, :1]),
    ],
)
def test_layers_say_of_plain_embeddings_what_was_scored(kind, task, targets):
    data = splits(targets, counts=(30, 30, 30))
    for part in data.values():
        part.vectors[:] = part.vectors * [0.01, 1, 5, 20, 1, 3] + [5, 0, -3, 7, 0, 1]
    if task == "regression":
        data["train"].targets[::2, 0] = np.nan
    width = data["train"].targets.shape[-1] if data["train"].targets.ndim == 2 else 4
    labels = tuple("abcd"[:width])  # of classes, one or two have no song
    fitted = fit(kind, task, labels=labels, seed=0, max_windows=999, **data)
    for layer in fitted.layers:
        assert {a.dtype for a in layer.values()} == {np.dtype("float32")}
        # They can be stored in float16.
        assert max(np.abs(a).max() for a in layer.values()) < 65504
    test = data["test"]
    kept = test.song_means(Layers(task, fitted.layers)(test.vectors))
    np.testing.assert_allclose(kept, fitted.scores, atol=1e-5 * max(1, np.ptp(fitted.scores)))
    assert np.ptp(kept) > 0.05


def test_of_a_single_class_layers_are_kept_too():
    data = splits(classes)
    data["train"] = rows(np.ones(4, int))
    fitted = fit("linear", "single_label", labels=LABELS, seed=0, max_windows=99, **data)
    (layer,) = fitted.layers
    assert layer["kernel"].shape == (6, 3)
    scores = Layers("single_label", fitted.layers)(data["test"].vectors)
    assert (scores == [0, 1, 0]).all()
    assert (
        fit("knn", "single_label", labels=LABELS, seed=0, max_windows=99, **splits(classes)).layers
        == ()
    )


@pytest.mark.parametrize("kind", ["linear", "mlp", "knn"])
def test_numbers_are_said_in_their_own_unit(kind):
    data = splits(numbers, lambda y: np.pad(y, ((0, 0), (0, 4))))
    fitted = fit(kind, "regression", labels=LABELS[:2], seed=0, max_windows=10_000, **data)
    found = in_own_unit(fitted, ((10.0, 1990.0), (1.0, 0.0)))
    np.testing.assert_allclose(found.scores[:, 0], 1990 + 10 * fitted.scores[:, 0], rtol=1e-6)
    np.testing.assert_allclose(found.scores[:, 1], fitted.scores[:, 1], rtol=1e-6)
    if kind != "knn":
        said = []
        for each in (fitted, found):
            z = np.ones((1, 6), np.float32)
            for number, layer in enumerate(each.layers):
                z = (np.maximum(z, 0) if number else z) @ layer["kernel"] + layer["bias"]
            said.append(z[0])
        np.testing.assert_allclose(said[1], said[0] * [10, 1] + [1990, 0], rtol=1e-5)
    assert in_own_unit(fitted, ()) is fitted
