"""Label spreading: every window takes on what its neighbours have, and keeps some of its own."""

# pyright: reportAttributeAccessIssue=false
# Scikit-learn's types are unions of all that any estimator may return.

import itertools
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.semi_supervised import LabelSpreading

from mclf_jax.shallow.graph.ties import (
    Candidates,
    Graph,
    check_task,
    columns_of,
    shares_of,
    sizes_of,
    stacked,
)

# How much of a window's label comes from its neighbours; .99 in the paper.
_ALPHAS = (0.99, 0.9, 0.5)
_MAX_ITERATIONS = 1000


def label_spreading(
    task: str, x: np.ndarray, y: np.ndarray, *, unlabelled: np.ndarray, seed: int
) -> Candidates:
    """Label spreading (Zhou et al. 2004) on a graph of the k nearest neighbours.

    It is transductive: windows without labels are in the graph beside those with labels, and what
    is known of a few spreads along chains of neighbours through all of them.

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
    check_task(task, kind="label_spreading")
    nodes = np.concatenate([x, unlabelled])
    columns, sizes = columns_of(task, y, num_unlabelled=len(unlabelled)), sizes_of(len(nodes))
    graph = Graph(nodes, most=sizes[0])
    for k, alpha in itertools.product(sizes, _ALPHAS):
        spreads = [
            (_spread(graph, nodes, column, k=k, alpha=alpha), shares_of(column))
            for column in columns
        ]

        def predict(z, spreads=spreads):
            return stacked(task, [_predicted(model, z, share) for model, share in spreads])

        yield {"n_neighbors": k, "alpha": alpha}, predict


def _spread(
    graph: Graph, nodes: np.ndarray, column: np.ndarray, *, k: int, alpha: float
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
