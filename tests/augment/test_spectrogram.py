"""Spectrogram augmentations: shape, independence of examples, and what exactly they change."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mclf_jax import augment
from mclf_jax.audio.features import LogMel, Waveform
from mclf_jax.config import base

KEY = jax.random.key(0)
X = jnp.asarray(np.random.default_rng(0).standard_normal((64, 40, 20)), jnp.float32)

CHAINS = {
    "gain": augment.gain(6.0),
    "equalizer": augment.equalizer(3.0),
    "time_mask": augment.time_mask(2, max_fraction=0.3),
    "freq_mask": augment.freq_mask(2, max_bands=5),
    "all": augment.compose([augment.gain(6.0), augment.time_mask(1, max_fraction=0.2)]),
}


@pytest.mark.parametrize("name", CHAINS)
def test_keeps_the_shape_and_depends_on_the_key_alone(name):
    chain = jax.jit(CHAINS[name])
    y = chain(KEY, X)
    assert y.shape == X.shape and y.dtype == X.dtype
    np.testing.assert_allclose(y, CHAINS[name](KEY, X), atol=1e-6)
    assert not np.allclose(y, chain(jax.random.key(1), X))


def test_gain_shifts_each_example_by_its_own_constant():
    change = np.asarray(CHAINS["gain"](KEY, X) - X)
    np.testing.assert_allclose(change, change[:, :1, :1].repeat(40, 1).repeat(20, 2), atol=1e-5)
    assert len(np.unique(change[:, 0, 0].round(3))) > 50
    assert 5 < np.abs(change).max() <= 6


def test_equalizer_is_a_smooth_filter_of_each_example():
    change = np.asarray(CHAINS["equalizer"](KEY, X) - X)
    curve = change[:, 0]
    np.testing.assert_allclose(change, np.broadcast_to(curve[:, None], change.shape), atol=1e-5)
    assert 2 < curve[:, 0].std() < 4 and 2 < curve[:, -1].std() < 4
    # Four straight pieces over 20 bands: the slope changes at no more than three places.
    bends = np.abs(np.diff(curve, n=2, axis=1)) > 1e-3
    assert (bends.sum(axis=1) <= 6).all() and bends.any()


@pytest.mark.parametrize(("name", "axis", "largest"), [("time_mask", 1, 24), ("freq_mask", 2, 10)])
def test_masks_replace_whole_runs_by_the_mean(name, axis, largest):
    y = np.asarray(CHAINS[name](KEY, X))
    changed = np.asarray(y != X)
    lines = changed.any(axis=3 - axis)
    np.testing.assert_array_equal(np.expand_dims(lines, 3 - axis) & np.ones_like(changed), changed)
    widths = lines.sum(axis=1)
    assert widths.max() <= largest + 2  # two masks, each cut at whole frames or bands
    assert len(np.unique(widths)) > 4
    means = np.broadcast_to(np.asarray(X).mean(axis=(1, 2), keepdims=True), y.shape)
    np.testing.assert_allclose(y[changed], means[changed], atol=1e-5)


def test_build_leaves_out_what_is_zero():
    config = base().augment
    np.testing.assert_array_equal(augment.build(config, features=LogMel())(KEY, X), X)
    augment.build(config, features=Waveform())  # nothing asked for
    config.num_freq_masks = 2
    assert (augment.build(config, features=LogMel())(KEY, X) != X).any()
    with pytest.raises(ValueError, match="the model takes a waveform; set gain_db"):
        augment.build(config, features=Waveform())
