"""Cross-validation: k folds that keep groups together, each label in proportion in every fold."""

from collections.abc import Sequence

import numpy as np

from mclf_jax.data.splits.grouped import split_by_group
from mclf_jax.data.splits.stratification import iterative_stratification

METHODS = ("greedy", "iterative")


def k_folds(
    groups: Sequence[str],
    labels: np.ndarray | None,
    *,
    num_folds: int,
    seed: int,
    method: str = "greedy",
) -> tuple[np.ndarray, ...]:
    """Item indices of each fold: together all items, each once, no group in two folds.

    Not scikit-learn's StratifiedGroupKFold, which knows one label of many but no tags, takes
    twenty times as long for as even folds, and may deal differently in another version.

    Args:
        groups: [N], the group of each item.
        labels: what to stratify by, see `strata`: int [N], or 0, 1 and NaN [N, K], or other
            numbers [N, K], or None.
        num_folds: k, at least 2.
        seed: decides among equals. With "greedy", folds do not depend on the order of the items.
        method: "greedy" (`split_by_group`), or "iterative" (`iterative_stratification`), the
            method of the literature, which leaves folds less even.

    Returns:
        k arrays, ascending; none is empty.

    Raises:
        ValueError: fewer groups than folds, or arguments out of range.
    """
    if num_folds < 2:
        raise ValueError(f"num_folds must be at least 2, got {num_folds}")
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; allowed: {', '.join(METHODS)}")
    fractions = {f"fold {fold}": 1 / num_folds for fold in range(num_folds)}
    if method == "greedy":
        folds = split_by_group(groups, labels, fractions=fractions, seed=seed)
    elif labels is None:
        raise ValueError("method 'iterative' needs labels; without them take 'greedy'")
    else:
        folds = iterative_stratification(labels, groups=groups, fractions=fractions, seed=seed)
        if empty := [name for name, items in folds.items() if not len(items)]:
            raise ValueError(
                f"method 'iterative' leaves {', '.join(empty)} of {num_folds} empty, with"
                f" {len(set(groups))} groups: take 'greedy' or fewer folds"
            )
    return tuple(folds.values())
