"""Augmentations of log-mel spectrograms: pure functions of (key, [B, F, M] in dB).

Each maker returns `f(key, x) -> x` of the same shape, in which every example has its own
draw; `compose` chains them.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

Augmentation = Callable[[jax.Array, jax.Array], jax.Array]


def compose(augmentations: Sequence[Augmentation]) -> Augmentation:
    """One after the other, each with its own key."""

    def apply(key, x):
        for i, augmentation in enumerate(augmentations):
            x = augmentation(jax.random.fold_in(key, i), x)
        return x

    return apply


def gain(max_db: float) -> Augmentation:
    """Louder or softer by up to `max_db`, uniform in decibels; the same for a whole example."""

    def apply(key, x):
        change_db = jax.random.uniform(key, (x.shape[0], 1, 1), minval=-max_db, maxval=max_db)
        return x + change_db.astype(x.dtype)

    return apply


def equalizer(std_db: float, *, num_points: int = 5) -> Augmentation:
    """A smooth random filter, the same for all frames of an example.

    Normal gains with `std_db` at `num_points` evenly spaced bands, linear in between; the
    linear FilterAugment (Nam et al. 2022) with a normal distribution.
    """

    def apply(key, x):
        gains_db = std_db * jax.random.normal(key, (x.shape[0], num_points), x.dtype)
        band = jnp.linspace(0, num_points - 1, x.shape[2])
        at_bands = jax.vmap(lambda row: jnp.interp(band, jnp.arange(num_points), row))(gains_db)
        return x + at_bands[:, None, :].astype(x.dtype)

    return apply


def time_mask(count: int, *, max_fraction: float) -> Augmentation:
    """`count` bands of up to `max_fraction` of the frames become the example's mean.

    SpecAugment's time masking (Park et al. 2019) without time warping; widths and positions
    are uniform.
    """
    return lambda key, x: _mask(key, x, axis=1, count=count, max_width=max_fraction * x.shape[1])


def freq_mask(count: int, *, max_bands: int) -> Augmentation:
    """`count` runs of up to `max_bands` mel bands become the example's mean (SpecAugment)."""
    return lambda key, x: _mask(key, x, axis=2, count=count, max_width=float(max_bands))


def _mask(key, x, *, axis, count, max_width):
    length = x.shape[axis]
    width_key, start_key = jax.random.split(key)
    shape = (x.shape[0], count, 1)
    width = jax.random.uniform(width_key, shape) * min(max_width, length)
    start = jax.random.uniform(start_key, shape) * (length - width)
    position = jnp.arange(length)
    masked = ((position >= start) & (position < start + width)).any(axis=1)
    masked = jnp.expand_dims(masked, 3 - axis)
    return jnp.where(masked, x.mean(axis=(1, 2), keepdims=True), x)
