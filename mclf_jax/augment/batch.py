"""Augmentations across a batch: every example is mixed with another one, and so are the labels.

They are called as `f(key, batch) -> batch` with "x", float [B, ...], "label", float [B, K]
(distributions over K labels, tags, or numbers) and, if there, "valid" [B]: examples are not mixed
with rows that are only padding. What else is in the batch stays as it is. The partners are a
permutation of the whole batch, over all devices.

A label that is NaN, not observed, in one of the two is so in the mixture, if both are in it.
"""

import dataclasses
from collections.abc import Callable

from mclf_jax.audio.features import array_module
from mclf_jax.augment import base
from mclf_jax.augment.base import Array, Key
from mclf_jax.common import checks

Batch = dict[str, Array]
BatchAugmentation = Callable[[Key, Batch], Batch]


@dataclasses.dataclass(frozen=True)
class Mixup:
    """Weighted sums of two examples and of their labels (Zhang et al. 2018).

    The weight is drawn from Beta(alpha, alpha) for each example: 1 is uniform, less is closer
    to one of the two.

    >>> import numpy as np
    >>> batch = {"x": np.eye(2), "label": np.eye(2)}
    >>> Mixup(1.0)(np.random.default_rng(3), batch)["label"].round(2)
    array([[0.86, 0.14],
           [0.53, 0.47]])
    """

    alpha: float

    def __post_init__(self):
        checks.positive(f"{type(self).__name__}.alpha", self.alpha)

    def __call__(self, key: Key, batch: Batch) -> Batch:
        partner, share = _partners(key, batch, self.alpha)
        x = batch["x"]
        weight = _column(share, x).astype(x.dtype)
        mixed = weight * x + (1 - weight) * x[partner]
        return batch | {"x": mixed, "label": _mixed_labels(batch, partner, share)}


@dataclasses.dataclass(frozen=True)
class Cutmix:
    """A stretch of time of another example takes the place of one's own (Yun et al. 2019, in 1-D).

    Time is the axis after that of the batch: samples of [B, T], frames of [B, F, M]. What is
    kept has a share drawn from Beta(alpha, alpha), the stretch is anywhere, and labels are
    mixed by the lengths.

    >>> import numpy as np
    >>> batch = {"x": np.eye(2), "label": np.eye(2)}
    >>> Cutmix(1.0)(np.random.default_rng(5), batch)["x"]
    array([[1., 0.],
           [1., 1.]])
    """

    alpha: float

    def __post_init__(self):
        checks.positive(f"{type(self).__name__}.alpha", self.alpha)

    def __call__(self, key: Key, batch: Batch) -> Batch:
        share_key, start_key = base.split(key, 2)
        partner, share = _partners(share_key, batch, self.alpha)
        x = batch["x"]
        xp, length = array_module(x), x.shape[1]
        width = xp.round((1 - share) * length)
        start = xp.floor(base.uniform(start_key, share.shape, 0.0, 1.0) * (length - width + 1))
        position = xp.arange(length)
        cut = (position >= start[:, None]) & (position < (start + width)[:, None])
        mixed = xp.where(cut.reshape(cut.shape + (1,) * (x.ndim - 2)), x[partner], x)
        label = _mixed_labels(batch, partner, 1 - width / length)
        return batch | {"x": mixed, "label": label}


@dataclasses.dataclass(frozen=True)
class MixupOrCutmix:
    """Mixup for about half of the examples and cutmix for the others."""

    mixup: Mixup
    cutmix: Cutmix

    def __call__(self, key: Key, batch: Batch) -> Batch:
        coin_key, mixup_key, cutmix_key = base.split(key, 3)
        heads = base.bernoulli(coin_key, batch["x"].shape[:1], 0.5)
        one, other = self.mixup(mixup_key, batch), self.cutmix(cutmix_key, batch)
        xp = array_module(batch["x"])
        chosen = {
            name: xp.where(_column(heads, one[name]), one[name], other[name])
            for name in ("x", "label")
        }
        return batch | chosen


def _partners(key: Key, batch: Batch, alpha: float) -> tuple[Array, Array]:
    """Whom each example is mixed with, and the share that it keeps of itself; both [B]."""
    _check_batch(batch)
    partner_key, share_key = base.split(key, 2)
    count = len(batch["x"])
    partner = base.permutation(partner_key, count)
    share = base.beta(share_key, (count,), alpha, alpha)
    if "valid" in batch:
        share = array_module(share).where(batch["valid"][partner] > 0, share, 1.0)
    return partner, share


def _mixed_labels(batch: Batch, partner: Array, share: Array) -> Array:
    label, xp = batch["label"], array_module(batch["label"])
    share = share[:, None].astype(label.dtype)
    # 0 * NaN is NaN: who has no part in the mixture must not hide its labels either.
    own, other = xp.where(share > 0, label, 0), xp.where(share < 1, label[partner], 0)
    return share * own + (1 - share) * other


def _column(values: Array, like: Array) -> Array:
    return values.reshape(values.shape + (1,) * (like.ndim - 1))


def _check_batch(batch: Batch) -> None:
    label = batch["label"]
    if label.ndim != 2 or label.dtype.kind != "f":
        raise ValueError(
            f'batch["label"] is {label.dtype} {list(label.shape)}; labels that can be mixed are '
            "float [B, K], such as one-hot rows"
        )
