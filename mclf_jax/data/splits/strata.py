"""Which strata an item belongs to, whatever its labels are: what splits are stratified by."""

import numpy as np

_REGRESSION_BINS = 4


def strata(labels: np.ndarray | None, *, num_items: int) -> np.ndarray:
    """Membership of each item in each stratum.

    Args:
        labels: int [N] for single-label: a stratum for each. 0 or 1 [N, K] for multi-label: one for
            the items that have a tag and, for a tag that is unobserved (NaN) somewhere, one for
            those known not to have it. Other numbers [N, K] for regression: the quarters of
            each, NaN in none. None: no strata.
        num_items: N.

    Returns:
        Bool [N, S], without empty strata.

    Raises:
        ValueError: labels are not of length N.
    """
    if labels is None:
        return np.zeros((num_items, 0), bool)
    labels = np.asarray(labels)
    if len(labels) != num_items:
        raise ValueError(f"labels and groups must be of one length, got {len(labels)}, {num_items}")
    if labels.ndim == 1:
        return labels[:, None] == np.unique(labels)
    unobserved = np.isnan(labels)
    if (np.isin(labels, (0, 1)) | unobserved).all():
        partial = unobserved.any(axis=0)
        member = np.concatenate([labels > 0, labels[:, partial] == 0], axis=1)
    else:
        # NaN is sorted last, which makes its quarter one that is not looked for
        ranks = labels.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
        quarter = ranks * _REGRESSION_BINS // np.maximum(num_items - unobserved.sum(axis=0), 1)
        member = (quarter[:, :, None] == np.arange(_REGRESSION_BINS)).reshape(num_items, -1)
    return member[:, member.any(axis=0)]
