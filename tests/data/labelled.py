"""A source whose labels, splits and columns a test gives; its audio says which item it is."""

import dataclasses

import numpy as np

from mclf_jax.data.base.source import Info, Source


@dataclasses.dataclass(frozen=True)
class Labelled(Source):
    """Item i is 200 samples of the number i."""

    labels: np.ndarray
    info: Info

    def num_samples(self, index):
        return 200

    def read(self, index, *, start_sample, num_samples):
        return np.full(200, index, np.float32)[start_sample : start_sample + num_samples]

    def item_id(self, index):
        return f"item {index}"


def labelled(labels, *, names=None, task=None, splits=None, groups=None, **facts) -> Labelled:
    """A source; without splits everything is in train, without groups each item is one."""
    labels = np.asarray(labels)
    if task is None:
        task = "single_label" if labels.ndim == 1 else "multi_label"
    labels = labels.astype(np.int32 if task == "single_label" else np.float32)
    if names is None:
        count = labels.max() + 1 if task == "single_label" else labels.shape[1]
        names = tuple("abcdefghijklmnop"[:count])
    splits = {"train": np.arange(len(labels))} if splits is None else splits
    info = Info(
        name="labelled",
        task=task,
        labels=tuple(names),
        sample_rate_hz=1000,
        splits={split: np.asarray(items, np.int64) for split, items in splits.items()},
        groups=tuple(map(str, range(len(labels)) if groups is None else groups)),
        version="1",
        fingerprint="labelled",
        licence="none",
        **facts,
    )
    return Labelled(labels=labels, info=info)
