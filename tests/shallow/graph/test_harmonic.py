"""Harmonic functions against a dense solution, and on two moons beside label spreading."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from mclf_jax.shallow.graph.harmonic import harmonic_functions, solve
from tests.probe.test_classifiers import moons, score, two_labels, windows


def random_graph(num_nodes, *, seed):
    rng = np.random.default_rng(seed)
    weights = rng.random((num_nodes, num_nodes)) * (rng.random((num_nodes, num_nodes)) < 0.3)
    weights = np.triu(weights, 1)
    return weights + weights.T


def test_every_other_node_is_the_mean_of_its_neighbours():
    weights = random_graph(40, seed=0)
    column = np.full(40, -1)
    column[:7] = [0, 1, 2, 0, 1, 2, 2]
    found = solve(csr_matrix(weights), column)
    labelled = np.eye(3)[column[:7]]
    degree = np.diag(weights.sum(axis=1))
    dense = np.linalg.solve((degree - weights)[7:, 7:], weights[7:, :7] @ labelled)
    np.testing.assert_allclose(found[7:], dense, atol=1e-3)
    np.testing.assert_array_equal(found[:7], labelled)  # which do not give way
    means = weights @ found / weights.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found[7:], means[7:], atol=1e-3)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_class_masses_are_those_of_the_labels():
    weights, column = random_graph(40, seed=1), np.full(40, -1)
    column[:8] = [0, 1, 1, 1, 1, 1, 1, 1]
    free = solve(csr_matrix(weights), column)[8:]
    found = solve(csr_matrix(weights), column, class_mass="normalised")[8:]
    scaled = free * np.array([1 / 8, 7 / 8]) / free.sum(axis=0)
    np.testing.assert_allclose(found, scaled / scaled.sum(axis=1, keepdims=True), rtol=1e-6)


def test_what_no_path_joins_to_a_label_has_none():
    apart = np.zeros((6, 6))
    for a, b in ((0, 1), (1, 2), (3, 4), (4, 5)):
        apart[a, b] = apart[b, a] = 1
    found = solve(csr_matrix(apart), np.array([0, -1, 1, -1, -1, -1]))
    np.testing.assert_allclose(found[1], [0.5, 0.5])
    assert not found[3:].any()
    far = np.linspace(100, 101, 30)[:, None]
    x, y = np.array([[0.0], [0.1], [0.2]] * 3), np.array([0, 0, 1] * 3)
    for setting, predict in harmonic_functions("single_label", x, y, unlabelled=far, seed=0):
        if setting["n_neighbors"] == 5:
            np.testing.assert_allclose(predict(np.array([[100.5]])), [[2 / 3, 1 / 3]])


def test_two_moons_with_a_label_each():
    split, pool = two_labels(), moons(300, seed=0)[0]
    without = windows(pool, np.full(len(pool), np.nan))
    assert score("harmonic_functions", "single_label", split, unlabelled=without) > 0.97
    assert score("harmonic_functions", "single_label", split) < 0.9


def test_tags_have_functions_of_their_own():
    pool, moon = moons(300, seed=0)
    targets = np.full((300, 2), np.nan)
    one, other = (np.flatnonzero(moon == number)[0] for number in (0, 1))
    targets[one], targets[other] = (1, 0), (0, 1)
    x, truth = moons(100, seed=2)
    best = 0.0
    for _, predict in harmonic_functions("multi_label", pool, targets, unlabelled=pool[:0], seed=0):
        found = predict(x)
        assert found.shape == (100, 2)
        best = max(best, ((found[:, 0] > 0.5) == (truth == 0)).mean())
    assert best > 0.95
    with pytest.raises(ValueError, match="'harmonic_functions' spreads labels and tags, and the"):
        next(harmonic_functions("regression", pool, targets, unlabelled=pool[:0], seed=0))
