"""Label spreading over embeddings: the baseline that needs nothing but a graph of what is near.

It is transductive: windows without labels are in the graph beside those with labels, and what is
known of a few spreads along chains of neighbours through all of them (Zhou et al. 2004).
"""

import itertools
import warnings

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NearestNeighbors
from sklearn.semi_supervised import LabelSpreading

from mclf_jax.probe.classifiers import Candidates

# Windows of one song are near each other: it takes many to come to those of others.
_NEIGHBOURS = (100, 30, 10, 5)
# How much of a window's label comes from its neighbours; .99 in the paper.
_ALPHAS = (0.99, 0.9, 0.5)
_MAX_ITERATIONS = 1000


def label_spreading(
    task: str, x: np.ndarray, y: np.ndarray, *, unlabelled: np.ndarray, seed: int
) -> Candidates:
    """Scikit-learn's label spreading on a graph of the k nearest neighbours.

    The graph is symmetric, of W + V nodes, each tied to the k nearest by Euclidean distance and to
    those of which it is one; it has k (W + V) ties at most. Tags share it: each spreads over it by
    itself, its presence and its absence, and windows for which it is not observed are to it like
    the unlabelled ones. New windows, such as those of valid and test songs, are not in it: they get
    the mean over their k nearest nodes.

    Args:
        task: "single_label" or "multi_label".
        x: standardised [W, D].
        y: int [W] of classes 0 to K - 1, each there at least once; or [W, K] of 0, 1 and NaN where
            not observed, both 0 and 1 in each column.
        unlabelled: [V, D], as `x`.
        seed: as of other kinds; nothing is drawn.

    Raises:
        ValueError: `task` is "regression".
    """
    check_task(task)
    nodes = np.concatenate([x, unlabelled])
    known = [y] if task == "single_label" else [np.where(np.isnan(c), -1, c) for c in y.T]
    columns = [np.concatenate([c, np.full(len(unlabelled), -1)]).astype(np.int64) for c in known]
    shares = [np.bincount(column[column >= 0]) / (column >= 0).sum() for column in columns]
    sizes = sorted({min(k, len(nodes) - 1) for k in _NEIGHBOURS}, reverse=True)
    graph = _Graph(nodes, most=sizes[0])
    for k, alpha in itertools.product(sizes, _ALPHAS):
        spreads = [
            (_spread(graph, nodes, column, k=k, alpha=alpha), share)
            for column, share in zip(columns, shares, strict=True)
        ]

        def predict(z, spreads=spreads):
            found = [_predicted(model, z, share) for model, share in spreads]
            return found[0] if task == "single_label" else np.stack(found, axis=1)[:, :, 1]

        yield {"n_neighbors": k, "alpha": alpha}, predict


TRANSDUCTIVE = {"label_spreading": label_spreading}
"""Kinds that learn from windows without labels, too: name to generator of candidates."""


def check_task(task: str) -> None:
    """Raise a ValueError if there are no labels to spread."""
    if task == "regression":
        raise ValueError(
            "kinds: 'label_spreading' spreads labels and tags, and the data have numbers; leave it "
            "out, or take 'knn' for them"
        )


class _Graph:
    """Who is near whom, searched for once for all k, alpha and tags."""

    def __init__(self, nodes: np.ndarray, *, most: int):
        self._index = NearestNeighbors(n_neighbors=most).fit(nodes)
        # In order of distance; a node is no neighbour of its own.
        self._between_nodes = self._index.kneighbors(return_distance=False)
        self._searched: list[tuple[np.ndarray, np.ndarray]] = []

    def weights(self, nodes: np.ndarray, z: np.ndarray, *, k: int) -> csr_matrix:
        """1 where `nodes` [N, D] and `z` [W, D] are near, [N, W]; a kernel for scikit-learn.

        In fitting, `z` is `nodes`.
        """
        if z is nodes:
            near = _ties(self._between_nodes[:, :k], len(nodes))
            return near.maximum(near.T).tocsr()
        return _ties(self._neighbours(z)[:, :k], len(nodes)).T

    def _neighbours(self, z: np.ndarray) -> np.ndarray:
        # The same windows are asked for with every k, alpha and tag.
        for asked, found in self._searched:
            if asked is z or np.array_equal(asked, z):
                return found
        self._searched.append((z, self._index.kneighbors(z, return_distance=False)))
        return self._searched[-1][1]


def _ties(neighbours: np.ndarray, num_nodes: int) -> csr_matrix:
    """[W, k] of nodes as a matrix of 0 and 1, [W, num_nodes]."""
    count, k = neighbours.shape
    starts = np.arange(0, count * k + 1, k)
    return csr_matrix((np.ones(count * k), neighbours.ravel(), starts), shape=(count, num_nodes))


def _spread(
    graph: _Graph, nodes: np.ndarray, column: np.ndarray, *, k: int, alpha: float
) -> LabelSpreading:
    model = LabelSpreading(
        kernel=lambda a, b: graph.weights(a, b, k=k),
        alpha=alpha,
        max_iter=_MAX_ITERATIONS,
        # Of the sum of all changes, which is at most the number of labels at first.
        tol=1e-3 * (column >= 0).sum(),
    )
    with warnings.catch_warnings():
        # What a last digit would change is not worth waiting for.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(nodes, column)


def _predicted(model: LabelSpreading, z: np.ndarray, share: np.ndarray) -> np.ndarray:
    """[W, K]; where no label has come near, what share of the labelled windows each label has."""
    with np.errstate(invalid="ignore"):
        found = model.predict_proba(z)
    return np.where(np.isnan(found), share, found)
