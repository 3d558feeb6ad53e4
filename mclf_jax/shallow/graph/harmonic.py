"""Harmonic functions (Zhu, Ghahramani and Lafferty 2003): labelled windows stay what they are.

https://mlg.eng.cam.ac.uk/zoubin/papers/zgl.pdf. Every other window is the mean of its neighbours:
the chance that a random walk from there comes upon a label first. Where label spreading lets labels
give way, this holds on to them, and it has no number to choose for that.
"""

import itertools

import numpy as np
from scipy.sparse import csr_matrix, diags
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import cg

from mclf_jax.shallow.graph.ties import (
    Candidates,
    Graph,
    check_task,
    columns_of,
    shares_of,
    sizes_of,
    stacked,
)

# As it is, or with as much of each label among the others as among the labelled windows.
CLASS_MASSES = ("free", "normalised")
_TOLERANCE = 1e-4


def harmonic_functions(
    task: str, x: np.ndarray, y: np.ndarray, *, unlabelled: np.ndarray, seed: int
) -> Candidates:
    """The harmonic function of each label, on the graph that `label_spreading` has.

    With "class_mass" at "normalised", the shares of the labels among windows without one are made
    those among the labelled ones (class mass normalisation, section 4 of the paper), which matters
    where labels are few. New windows get the mean over their k nearest nodes.

    Args:
        task: "single_label" or "multi_label".
        x: standardised [W, D].
        y: as of `label_spreading`.
        unlabelled: [V, D], as `x`.
        seed: as of other kinds; nothing is drawn.

    Raises:
        ValueError: `task` is "regression".
    """
    del seed
    check_task(task, kind="harmonic_functions")
    nodes = np.concatenate([x, unlabelled])
    columns, sizes = columns_of(task, y, num_unlabelled=len(unlabelled)), sizes_of(len(nodes))
    graph = Graph(nodes, most=sizes[0])
    for k, class_mass in itertools.product(sizes, CLASS_MASSES):
        ties = graph.weights(nodes, nodes, k=k)
        found = [
            (solve(ties, column, class_mass=class_mass), shares_of(column)) for column in columns
        ]

        def predict(z, found=found, k=k):
            near = graph.weights(nodes, z, k=k).T
            return stacked(task, [_mean(near, values, share) for values, share in found])

        yield {"n_neighbors": k, "class_mass": class_mass}, predict


def solve(ties: csr_matrix, column: np.ndarray, *, class_mass: str = "free") -> np.ndarray:
    """The harmonic functions of all labels on a graph, [N, K], each row with a sum of 1.

    f_u = (D_uu - W_uu)^-1 W_ul f_l, equation 5 of the paper. Nodes that no path joins to a label
    are 0 in all of them.

    Args:
        ties: symmetric weights W [N, N], none below 0.
        column: int [N], the label of each node, or -1.
        class_mass: one of `CLASS_MASSES`.

    >>> path = csr_matrix(np.diag([1.0, 1.0, 1.0], 1) + np.diag([1.0, 1.0, 1.0], -1))
    >>> solve(path, np.array([0, -1, -1, 1])).round(2)[:, 1]
    array([0.  , 0.33, 0.67, 1.  ])
    """
    labelled = column >= 0
    values = np.zeros((len(column), column.max() + 1))
    values[labelled, column[labelled]] = 1
    _, part = connected_components(ties, directed=False)
    unknown = ~labelled & np.isin(part, part[labelled])
    if unknown.any():
        degree = np.asarray(ties.sum(axis=1)).ravel()[unknown]
        laplacian = diags(degree) - ties[unknown][:, unknown]
        heard = ties[unknown][:, labelled] @ values[labelled]
        scale = diags(1 / degree)
        for label in range(values.shape[1]):
            solution, _ = cg(laplacian, heard[:, label], rtol=_TOLERANCE, M=scale)
            values[unknown, label] = np.clip(solution, 0, 1)
        if class_mass == "normalised":
            mass = values[unknown].sum(axis=0)
            values[unknown] *= shares_of(column) / np.where(mass > 0, mass, 1)
        total = values[unknown].sum(axis=1, keepdims=True)
        values[unknown] /= np.where(total > 0, total, 1)
    return values


def _mean(near: csr_matrix, values: np.ndarray, share: np.ndarray) -> np.ndarray:
    """[W, N] and [N, K] -> [W, K]; where no label has come near, the shares of the labels."""
    found = np.asarray(near @ values)
    total = found.sum(axis=1, keepdims=True)
    return np.where(total > 0, found / np.where(total > 0, total, 1), share)
