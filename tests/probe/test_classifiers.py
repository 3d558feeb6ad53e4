"""Label spreading: few labels, a graph, and songs without labels that tie it together."""

import csv
import dataclasses

import numpy as np
import pytest
from sklearn.datasets import make_moons
from sklearn.semi_supervised import LabelSpreading

from mclf_jax import metrics
from mclf_jax.cli import main as cli
from mclf_jax.probe import load_result, probe, show
from mclf_jax.probe.cells import deal_cells, find_unlabelled
from mclf_jax.shallow.classifiers import MAX_WINDOWS, label_spreading
from mclf_jax.shallow.fit import Rows, fit
from tests.probe.test_cells import Labels, classes
from tests.probe.test_run import Ranked
from tests.shallow.test_fit import corners, rows, splits, tags


def windows(vectors, targets):
    """A song of each vector."""
    numbers = np.arange(len(vectors))
    return Rows(numbers, numbers, np.asarray(vectors, np.float32), np.asarray(targets))


def moons(count, *, seed, noise=0.06):
    return make_moons(count, noise=noise, random_state=seed)


def two_labels():
    """One labelled window at the same place of each moon, and others to judge by."""
    vectors, truth = [[0.0, 1.0], [1.0, -0.5]], [0, 1]
    valid, test = moons(60, seed=1), moons(200, seed=2)
    return {"train": windows(vectors, truth), "valid": windows(*valid), "test": windows(*test)}


def score(kind, task, data, *, labels=("a", "b"), max_windows=10_000, **others):
    fitted = fit(kind, task, labels=labels, seed=0, max_windows=max_windows, **data, **others)
    result = metrics.compute(task, fitted.scores, data["test"].targets, labels=labels)
    return result.values[metrics.HEADLINES[task][0]]


def test_two_moons_with_a_label_each():
    """Where classes are long and bent, only the songs without labels say what belongs together."""
    split, pool = two_labels(), moons(300, seed=0)[0]
    without = windows(pool, np.full(len(pool), np.nan))
    assert score("label_spreading", "single_label", split, unlabelled=without) > 0.97
    for kind in ("linear", "knn", "svm"):
        assert score(kind, "single_label", split, unlabelled=without) < 0.9
    # And without them it knows no more than others.
    assert score("label_spreading", "single_label", split) < 0.9


def test_the_graph_is_scikit_learn_s_where_neighbours_are_mutual():
    """Points of a ring, each tied to two on both sides: its own kernel has them, and the point."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    y, known = np.array([0, 1, 1]), [0, 11, 20]
    others = np.setdiff1d(np.arange(40), known)
    column = np.full(40, -1)
    column[known] = y
    nodes = np.concatenate([known, others])
    found = {}
    for setting, predict in label_spreading(
        "single_label", ring[known], y, unlabelled=ring[others], seed=0
    ):
        found[setting["n_neighbors"], setting["alpha"]] = predict(ring + 1e-4)
    assert sorted(found) == [(k, alpha) for k in (5, 10, 30, 39) for alpha in (0.5, 0.9, 0.99)]
    expected = LabelSpreading(kernel="knn", n_neighbors=11, alpha=0.9, max_iter=999, tol=1e-9)
    expected.fit(ring[nodes], column[nodes])
    distributions = expected.label_distributions_[np.argsort(nodes)]
    # The mean over the ten nearest nodes, of which the point itself is one.
    near = (np.arange(40)[:, None] + np.arange(-5, 5)) % 40
    similar = distributions[near].mean(axis=1)
    np.testing.assert_allclose(found[10, 0.9], similar, atol=0.05)
    np.testing.assert_allclose(found[10, 0.9].sum(axis=1), 1)


def test_windows_that_no_label_comes_near():
    x, y = np.array([[0.0], [0.1], [0.2]]), np.array([0, 0, 1])
    far = np.linspace(100, 101, 30)[:, None]
    for setting, predict in label_spreading("single_label", x, y, unlabelled=far, seed=0):
        if setting["n_neighbors"] == 5:
            close, away = predict(np.array([[0.05], [100.9]]))
            assert close[0] > 0.5
    only_far = [
        predict(np.array([[100.5]]))
        for setting, predict in label_spreading(
            "single_label", np.tile(x, (3, 1)), np.tile(y, 3), unlabelled=far, seed=0
        )
        if setting["n_neighbors"] == 5
    ]
    np.testing.assert_allclose(np.concatenate(only_far), [[2 / 3, 1 / 3]] * 3)
    assert away.sum() == pytest.approx(1)


def test_tags_and_their_unknown_labels():
    split = splits(tags, lambda y: np.pad(3 * y, ((0, 0), (0, 3))), counts=(60, 30, 30))
    hidden = split["train"].targets.copy()
    # Of "b" a tenth of the songs is known, of "c" nothing is left to learn.
    hidden[np.random.default_rng(0).random(60) < 0.9, 1] = np.nan
    hidden[:2, 1] = 0, 1
    hidden[:, 2] = 0
    split["train"] = dataclasses.replace(split["train"], targets=hidden)
    fitted = fit(
        "label_spreading", "multi_label", labels=("a", "b", "c"), seed=0, max_windows=999, **split
    )
    truth = split["test"].targets
    for column in (0, 1):
        positive = truth[:, column] == 1
        found = fitted.scores[:, column]
        assert found[positive].mean() > 0.7 and found[~positive].mean() < 0.3
    assert np.unique(fitted.scores[:, 2]).tolist() == [0]


def test_a_tag_spreads_over_windows_for_which_it_is_not_observed():
    """Each moon is a tag, of which one window says yes and another one no."""
    pool, moon = moons(300, seed=0)
    targets = np.full((300, 2), np.nan, np.float32)
    one, other = (np.flatnonzero(moon == number)[0] for number in (0, 1))
    targets[one], targets[other] = (1, 0), (0, 1)
    # Known of another tag alone, which all have: in the graph all the same.
    targets = np.pad(targets, ((0, 0), (0, 1)), constant_values=1)
    split = {"train": windows(pool, targets)}
    for name, seed in (("valid", 1), ("test", 2)):
        vectors, truth = moons(100, seed=seed)
        truth = np.stack([truth == 0, truth == 1, np.ones(100)], axis=1).astype(np.float32)
        split[name] = windows(vectors, truth)
    fitted = fit(
        "label_spreading", "multi_label", labels=("a", "b", "c"), seed=0, max_windows=999, **split
    )
    assert ((fitted.scores[:, 0] > 0.5) == split["test"].targets[:, 0]).mean() > 0.95
    assert (fitted.scores[:, 2] == 1).all()


def test_classes_without_a_song_and_a_single_class():
    split = splits(lambda rng, count: rng.permutation(np.arange(count) % 3), corners)
    split["train"] = rows(np.arange(20) % 2, centres=corners(np.arange(20) % 2))
    fitted = fit(
        "label_spreading", "single_label", labels=("a", "b", "c"), seed=0, max_windows=99, **split
    )
    assert (fitted.scores[:, 2] == 0).all()
    np.testing.assert_allclose(fitted.scores.sum(axis=1), 1)
    split["train"] = rows(np.ones(4, int))
    fitted = fit(
        "label_spreading", "single_label", labels=("a", "b", "c"), seed=0, max_windows=99, **split
    )
    assert (fitted.scores == [0, 1, 0]).all()


@pytest.mark.parametrize("max_windows", [30, 60, 10_000])
def test_the_graph_has_a_bound(max_windows, monkeypatch):
    """Windows first, of labelled and unlabelled songs alike, then unlabelled songs."""
    seen = {}

    def recorded(task, x, y, *, unlabelled, seed):
        seen.update(x=len(x), unlabelled=len(unlabelled))
        return label_spreading(task, x, y, unlabelled=unlabelled, seed=seed)

    monkeypatch.setitem(fit.__globals__["TRANSDUCTIVE"], "label_spreading", recorded)
    split = splits(lambda rng, count: rng.permutation(np.arange(count) % 3), corners)
    split["train"] = rows(np.arange(12) % 3, centres=corners(np.arange(12) % 3), windows=5)
    more = rows(np.full(48, np.nan), windows=5)
    labels = ("a", "b", "c")
    score("label_spreading", "single_label", split, labels=labels, max_windows=max_windows,
          unlabelled=more)  # fmt: skip
    expected = {30: (12, 18), 60: (12, 48), 10_000: (60, 240)}[max_windows]
    assert (seen["x"], seen["unlabelled"]) == expected
    assert MAX_WINDOWS["label_spreading"] == 10_000


def test_valid_and_test_songs_are_not_in_the_graph():
    source = classes()
    source.info.splits["unlabelled"] = np.array([0, 1, 2])
    held_out = np.concatenate([source.info.splits[split] for split in ("valid", "test")])
    assert not set(find_unlabelled(source)) & set(held_out)
    for cell in deal_cells(source, seeds=(0, 1), num_folds=3, fractions=(0.2, 1.0)):
        used = {split: set(cell.split(split)[0]) for split in ("train", "valid", "test")}
        found = set(cell.unlabelled())
        assert not found & (used["train"] | used["valid"] | used["test"])
        if cell.fraction < 1:
            assert len(used["train"]) < 20 < len(found)


def test_songs_of_train_without_a_known_tag_are_unlabelled():
    targets = np.array([[1, 0], [np.nan, np.nan], [np.nan, 1]] * 10, np.float32)
    source = Labels(targets, task="multi_label", names=("a", "b"))
    train = source.info.splits["train"]
    assert find_unlabelled(source).tolist() == [i for i in train if i % 3 == 1]


class AndMore(Ranked):
    """With 12 songs that have no label."""

    def __post_init__(self):
        super().__post_init__()
        rest = self.info.splits["train"]
        splits = self.info.splits | {"train": rest[:-12], "unlabelled": np.sort(rest[-12:])}
        self.info = dataclasses.replace(self.info, name="more", splits=splits, fingerprint="more")


@pytest.mark.slow
def test_a_run_is_probed_by_it(run):
    """Beside another kind, with songs that the other one does not see, into the result's files."""
    settings = {"kinds": ("linear", "label_spreading"), "baselines": (), "progress": "off"}
    made = probe(run, source=AndMore(36), fractions=(0.5, 1.0), out=run / "out", **settings)
    found = load_result(run / "out")
    assert [(r.kind, r.fraction, r.num_train) for r in found.records] == [
        ("linear", 0.5, 6),
        ("label_spreading", 0.5, 6),
        ("linear", 1.0, 12),
        ("label_spreading", 1.0, 12),
    ]
    assert set(found.records[1].setting) == {"n_neighbors", "alpha"}
    (note,) = found.notes
    assert note.startswith("label_spreading also learns from 12 to 18 songs without their labels")
    assert "label_spreading" in show.markdown(made)
    with (run / "out" / "probe.csv").open() as file:
        assert [line["kind"] for line in csv.DictReader(file)][1::2] == ["label_spreading"] * 2
    (path,) = (run / "probe" / "embeddings").iterdir()
    with np.load(path) as file:
        assert len(np.unique(file["songs"])) == 36
    # For others, songs without labels are not even encoded.
    probe(run, source=AndMore(36), **(settings | {"kinds": ("knn",)}))
    with np.load(path) as file:
        assert len(np.unique(file["songs"])) == 24


def test_the_command_takes_it(run, capsys):
    arguments = ["probe", str(run), "--kind", "linear", "label_spreading", "--baseline"]
    assert cli.main([*arguments, "--fraction", ".5"]) == 0
    assert "label_spreading" in capsys.readouterr().out


def test_numbers_are_refused(run):
    class Numbers(Ranked):
        task, names = "regression", ("level",)

    with pytest.raises(ValueError, match="'label_spreading' spreads labels and tags.*take 'knn'"):
        probe(run, source=Numbers(36), kinds=("label_spreading",), baselines=(), progress="off")
    split = splits(lambda rng, count: rng.random((count, 2)).astype(np.float32))
    with pytest.raises(ValueError, match="spreads labels and tags"):
        fit("label_spreading", "regression", labels=("v", "a"), seed=0, max_windows=99, **split)
