"""The weighted score of musical keys (MIREX; `mir_eval.key.weighted_score` of Raffel et al. 2014).

1 for the right key, .5 for the key a fifth above it in the same mode, .3 for its relative key (of C
major A minor, of A minor C major), .2 for the other mode of its tonic, and 0 else.
"""

from collections.abc import Sequence

import numpy as np

from mclf_jax.data.catalogue.label_lists import label_list

NAME = "key_score"
LABELS = label_list("keys").labels
"""The 24 keys in the order in which scores must have them."""


def is_keys(labels: Sequence[str]) -> bool:
    """Whether labels are `LABELS`, in their order: only then is the score known."""
    return tuple(labels) == LABELS


def credit() -> np.ndarray:
    """What each answer is worth, float64 [24, 24]: rows are true keys, columns answers."""
    tonic, mode = np.arange(24) % 12, np.arange(24) // 12  # 0 major, 1 minor
    up = (tonic - tonic[:, None]) % 12
    same_mode = mode == mode[:, None]
    relative = np.where(mode[:, None] == 0, up == 9, up == 3)
    found = np.where(same_mode & (up == 7), 0.5, 0.0)
    found = np.where(~same_mode & relative, 0.3, found)
    found = np.where(~same_mode & (up == 0), 0.2, found)
    return np.where(same_mode & (up == 0), 1.0, found)
