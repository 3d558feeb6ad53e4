"""Cross-validation: k folds that keep groups together, each label in proportion in every fold."""

from collections.abc import Sequence

import numpy as np

from mclf_jax.common import checks
from mclf_jax.data.base.targets import Targets
from mclf_jax.data.splits.grouped import split_by_group


def k_folds(
    groups: Sequence[str], labels: Targets | None, *, num_folds: int, seed: int
) -> tuple[np.ndarray, ...]:
    """Item indices of each fold: together all items, each once, no group in two folds.

    Not scikit-learn's StratifiedGroupKFold, which is single-label only, takes twenty times as long
    for as even folds, and may deal differently in another version.

    Args:
        groups: [N], the group of each item.
        labels: what to stratify by, see `strata`: int [N], or 0, 1 and NaN [N, K], or other
            numbers [N, K], or None.
        num_folds: k, at least 2.
        seed: decides among equals; folds do not depend on the order of the items.

    Returns:
        k arrays, ascending; none is empty.

    Raises:
        ValueError: fewer groups than folds, or arguments out of range.
    """
    checks.at_least("num_folds", num_folds, 2)
    fractions = {f"fold {fold}": 1 / num_folds for fold in range(num_folds)}
    return tuple(split_by_group(groups, labels, fractions=fractions, seed=seed).values())
