"""A source that is another one with other labels, splits or facts."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mclf_jax.data.base.source import Info, Source, read_only


@dataclasses.dataclass(frozen=True)
class View(Source):
    """Another source with other labels, splits or facts.

    Attributes:
        base: the other one.
        info: what differs from `base.info`, and all the rest of it.
        labels: int32 [N] or float32 [N, K]; those of the base if not given.
    """

    base: Source
    info: Info
    labels: np.ndarray | None = None

    def __post_init__(self):
        labels = self.base.labels if self.labels is None else read_only(self.labels)
        object.__setattr__(self, "labels", labels)

    def read(self, index: int, *, start_sample: int, num_samples: int) -> np.ndarray:
        return self.base.read(index, start_sample=start_sample, num_samples=num_samples)

    def num_samples(self, index: int) -> int:
        return self.base.num_samples(index)

    def item_id(self, index: int) -> str:
        return self.base.item_id(index)


def derived(
    source: Source,
    labels: np.ndarray | None,
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
        labels: of all its items; None for those that it has.
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
    if labels is not None:
        content.update(np.ascontiguousarray(labels).tobytes())
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
        labels=labels,
    )
