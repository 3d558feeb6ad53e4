"""Cross-validation: the splits of a data set made anew."""

import numpy as np

from mclf_jax.common import checks
from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.source import Source
from mclf_jax.data.catalogue.items import SPLITS, UNLABELLED
from mclf_jax.data.splits.folds import k_folds
from mclf_jax.data.views.base import View, derived


def with_folds(source: Source, *, num_folds: int, fold: int, seed: int) -> View:
    """Cross-validation: test is one fold, valid the next, train all others.

    Folds are of everything that is labelled, by group and in proportion (`k_folds`); the splits
    that the data set came with are not used. Unlabelled items of a group in valid or test are
    left out, because they would tell of it.

    Args:
        source: of which.
        num_folds: k, at least 3.
        fold: which, from 0 to k - 1.
        seed: of the folds; the same for all k, or they are no folds.

    Raises:
        ValueError: a setting out of range, or fewer groups than folds.
    """
    checks.at_least("data.num_folds", num_folds, 3)  # for test, valid and train
    checks.within("data.fold", fold, 0, num_folds - 1)
    info = source.info
    pool = np.unique(np.concatenate([np.asarray(info.splits.get(s, ()), np.int64) for s in SPLITS]))
    groups = np.asarray(info.groups)
    folds = k_folds(
        groups[pool], target_lib.take(source.targets, pool), num_folds=num_folds, seed=seed
    )
    splits = {
        "train": np.setdiff1d(pool, pool[np.union1d(folds[fold], folds[(fold + 1) % num_folds])]),
        "valid": pool[folds[(fold + 1) % num_folds]],
        "test": pool[folds[fold]],
    }
    counts = ", ".join(f"{split} {len(items)}" for split, items in splits.items())
    note = f"fold {fold} of {num_folds}, by group with seed {seed}, not the given splits: {counts}"
    if len(unlabelled := np.asarray(info.splits.get(UNLABELLED, ()), np.int64)):
        held_out = groups[np.concatenate([splits["valid"], splits["test"]])]
        splits[UNLABELLED] = unlabelled[~np.isin(groups[unlabelled], held_out)]
        if lost := len(unlabelled) - len(splits[UNLABELLED]):
            note += f"; {lost} unlabelled items left out, of groups in valid or test"
    return derived(
        source, None, settings=["folds", num_folds, fold, seed], note=note, splits=splits
    )
