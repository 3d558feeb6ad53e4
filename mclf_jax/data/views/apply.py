"""A data set seen differently: one's own taxonomy, other folds, some labels hidden.

Functions from a `Source` to a `Source`. Items keep their index, audio is not touched.
"""

import inspect
import os
from collections.abc import Mapping
from typing import Any

from mclf_jax.data.base.source import Source
from mclf_jax.data.views.folds import with_folds
from mclf_jax.data.views.hidden import ALL_LABELS, use_labels
from mclf_jax.data.views.taxonomy import with_taxonomy


def apply(
    source: Source,
    *,
    taxonomy: str | os.PathLike | Mapping[str, Any] = "",
    num_folds: int = 0,
    fold: int = 0,
    fold_seed: int = 0,
    **labels: Any,
) -> Source:
    """The source under a taxonomy, then in folds, then with a part of its labels.

    Args:
        source: of which.
        taxonomy: see `with_taxonomy`; empty for none.
        num_folds, fold, fold_seed: see `with_folds`; 0 folds for the splits as they are.
        **labels: see `use_labels`.

    Returns:
        `source` itself where nothing is asked.

    Raises:
        ValueError: a setting out of range, or not for this source.
    """
    if taxonomy:
        source = with_taxonomy(source, taxonomy)
    if num_folds:
        source = with_folds(source, num_folds=num_folds, fold=fold, seed=fold_seed)
    elif fold:
        raise ValueError(f"fold is {fold}, but num_folds is 0: say of how many folds")
    return use_labels(source, **labels)


UNCHANGED = ALL_LABELS | {
    name: field.default
    for name, field in inspect.signature(apply).parameters.items()
    if name not in ("source", "labels")
}
"""The fields of `config.data` that `apply` takes, as they are where nothing is asked."""


def fields_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `config.data`, for `apply`."""
    return {name: settings[name] for name in UNCHANGED}
