"""Labels in a tree: who is above whom, and what that says of scores and targets.

N songs, K labels. `parents` is {label: parent}, as `data.base.source.Info` has it; a label without
an entry is at the top. The tree may hold more labels than the K: those are stepped over.
"""

from collections.abc import Mapping, Sequence

import numpy as np


def ancestry(labels: Sequence[str], parents: Mapping[str, str]) -> np.ndarray:
    """Bool [K, K]: whether the label of a column is that of the row, or above it.

    Raises:
        ValueError: a label is above itself.
    """
    column = {label: k for k, label in enumerate(labels)}
    above = np.eye(len(labels), dtype=bool)
    for label, k in column.items():
        path = [label]
        while path[-1] in parents:
            path.append(parents[path[-1]])
            if path[-1] in path[:-1]:
                raise ValueError(f"parents go in a circle: {' -> '.join(path)}")
        above[k, [column[name] for name in path if name in column]] = True
    return above


def depths(labels: Sequence[str], parents: Mapping[str, str]) -> np.ndarray:
    """How many of the labels are above each, int [K]: 0 at the top."""
    return ancestry(labels, parents).sum(axis=1) - 1


def close(
    scores: np.ndarray, targets: np.ndarray, *, labels: Sequence[str], parents: Mapping[str, str]
) -> tuple[np.ndarray, np.ndarray]:
    """Scores and targets [N, K] in which with a label come those above it, at any threshold.

    A score is at least the largest below it, and everything above a target of 1 is 1. What nobody
    looked for stays NaN where the tree does not say that it is there.
    """
    above = ancestry(labels, parents)
    scores = np.stack([scores[:, below].max(axis=1) for below in above.T], axis=1)
    implied = (targets > 0.5).astype(np.float64) @ above.astype(np.float64) > 0
    return scores, np.where(implied, 1.0, targets)
