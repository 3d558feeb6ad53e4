"""Which windows are near one another: the graph that labels spread over.

Shapes: W windows with labels, V without, N = W + V nodes, D embedding.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.neighbors import NearestNeighbors

Predict = Callable[[np.ndarray], np.ndarray]
Candidates = Iterator[tuple[dict[str, Any], Predict]]

# Windows of one song are near each other: it takes many to come to those of others.
_NEIGHBOURS = (100, 30, 10, 5)


def check_task(task: str, *, kind: str) -> None:
    """Raise a ValueError if there are no labels to spread."""
    if task == "regression":
        raise ValueError(
            f"kinds: {kind!r} spreads labels and tags, and the data have numbers; leave it "
            "out, or take 'knn' for them"
        )


def columns_of(task: str, y: np.ndarray, *, num_unlabelled: int) -> list[np.ndarray]:
    """What is known of each node, int [N] with -1 for nothing: of the classes, or of each tag.

    Args:
        task: "single_label" or "multi_label".
        y: int [W] of classes; or [W, K] of 0, 1 and NaN where not observed.
        num_unlabelled: V, nodes behind those.
    """
    known = [y] if task == "single_label" else [np.where(np.isnan(c), -1, c) for c in y.T]
    nothing = np.full(num_unlabelled, -1)
    return [np.concatenate([c, nothing]).astype(np.int64) for c in known]


def shares_of(column: np.ndarray) -> np.ndarray:
    """What share of the labelled nodes each label has."""
    known = column[column >= 0]
    return np.bincount(known) / len(known)


def sizes_of(num_nodes: int) -> Sequence[int]:
    """Numbers of neighbours to try, the most first."""
    return sorted({min(k, num_nodes - 1) for k in _NEIGHBOURS}, reverse=True)


def stacked(task: str, found: Sequence[np.ndarray]) -> np.ndarray:
    """Probabilities of the columns as of the task, [W, K]."""
    return found[0] if task == "single_label" else np.stack(found, axis=1)[:, :, 1]


def remember(search: Predict) -> Predict:
    """The same, which searches once: the same windows are asked for with every setting."""
    known: list[tuple[np.ndarray, np.ndarray]] = []

    def remembered(z: np.ndarray) -> np.ndarray:
        for asked, found in known:
            if asked is z or np.array_equal(asked, z):
                return found
        known.append((z, search(z)))
        return known[-1][1]

    return remembered


class Graph:
    """Who is near whom, searched for once for all k, alpha and tags."""

    def __init__(self, nodes: np.ndarray, *, most: int):
        self._index = NearestNeighbors(n_neighbors=most).fit(nodes)
        # In order of distance; a node is no neighbour of its own.
        self._between_nodes = self._index.kneighbors(return_distance=False)
        self._search = remember(lambda z: self._index.kneighbors(z, return_distance=False))

    def weights(self, nodes: np.ndarray, z: np.ndarray, *, k: int) -> csr_matrix:
        """1 where `nodes` [N, D] and `z` [W, D] are near, [N, W]; a kernel for scikit-learn.

        In fitting, `z` is `nodes`.
        """
        if z is nodes:
            near = _ties(self._between_nodes[:, :k], len(nodes))
            return near.maximum(near.T).tocsr()
        return _ties(self._search(z)[:, :k], len(nodes)).T


def _ties(neighbours: np.ndarray, num_nodes: int) -> csr_matrix:
    """[W, k] of nodes as a matrix of 0 and 1, [W, num_nodes]."""
    count, k = neighbours.shape
    starts = np.arange(0, count * k + 1, k)
    return csr_matrix((np.ones(count * k), neighbours.ravel(), starts), shape=(count, num_nodes))
