"""A source that is another one with other labels, splits or facts."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mclf_jax.data.base import targets as target_lib
from mclf_jax.data.base.source import Info, Kept, Source
from mclf_jax.data.base.targets import Targets


@dataclasses.dataclass(frozen=True)
class View(Kept):
    """Another source with other labels, splits or facts.

    Attributes:
        base: the other one.
        info: what differs from `base.info`, and all the rest of it.
        targets: int32 [N], float32 [N, K] or tags; those of the base if not given.
    """

    base: Source
    info: Info
    targets: Targets = None  # pyright: ignore

    def __post_init__(self):
        if self.targets is None:
            object.__setattr__(self, "targets", self.base.targets)

    def read(self, index: int, *, start_sample: int, num_samples: int) -> np.ndarray:
        return self.base.read(index, start_sample=start_sample, num_samples=num_samples)

    def num_samples(self, index: int) -> int:
        return self.base.num_samples(index)

    def item_id(self, index: int) -> str:
        return self.base.item_id(index)


def derived(
    source: Source,
    targets: Targets | None,
    *,
    settings: Sequence[Any],
    note: str,
    splits: Mapping[str, np.ndarray],
    labels_in_order: tuple[str, ...] | None = None,
    **changes: Any,
) -> View:
    """A view, with a fingerprint of its own.

    Args:
        source: of which.
        targets: of all its items; None for those that it has.
        settings: of JSON types, what was asked for; for the fingerprint.
        note: what came out, a sentence for `info.notes`.
        splits: of the view.
        labels_in_order: label names, where they are others.
        **changes: of other fields of `info`.
    """
    info = source.info
    # Of what came out too: another version of how it is made must not pass for the same data.
    content = hashlib.sha256(json.dumps([info.fingerprint, settings], sort_keys=True).encode())
    for split in sorted(splits):
        content.update(split.encode() + np.asarray(splits[split], np.int64).tobytes())
    if targets is not None:
        for block in target_lib.blocks(targets):
            content.update(np.ascontiguousarray(block))
    return View(
        base=source,
        info=dataclasses.replace(
            info,
            splits=splits,
            labels=info.labels if labels_in_order is None else labels_in_order,
            fingerprint=content.hexdigest(),
            notes=(*info.notes, note),
            **changes,
        ),
        targets=source.targets if targets is None else targets,
    )
