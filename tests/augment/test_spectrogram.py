"""Spectrogram augmentations: shape, independence of examples, and what exactly they change."""

import jax
import numpy as np
import pytest

from mclf_jax import augment
from mclf_jax.audio.features import LogMel, PowerSpectrogram, Waveform
from mclf_jax.config import base

KEY = jax.random.key(0)
X = np.random.default_rng(0).standard_normal((64, 40, 20)).astype(np.float32)

CHAINS = {
    "gain": augment.SpectrogramGain(6.0),
    "equalizer": augment.Equalizer(3.0),
    "frame_shift": augment.FrameShift(0.5),
    "time_mask": augment.TimeMask(2, max_fraction=0.3),
    "freq_mask": augment.FreqMask(2, max_bands=5),
    "all": augment.compose([augment.SpectrogramGain(6.0), augment.TimeMask(1, max_fraction=0.2)]),
}


COMPILED = {name: jax.jit(chain) for name, chain in CHAINS.items()}


def on(module, name, x=X):
    """A chain on x by jax or by numpy, as numpy."""
    if module == "numpy":
        return CHAINS[name](np.random.default_rng(0), x)
    return np.asarray(COMPILED[name](KEY, x))


both = pytest.mark.parametrize("module", ["jax", "numpy"])


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", CHAINS)
def test_keeps_the_shape_and_depends_on_the_key_alone(name):
    chain = COMPILED[name]
    y = chain(KEY, X)
    assert y.shape == X.shape and y.dtype == X.dtype
    np.testing.assert_array_equal(y, on("jax", name))
    assert not np.allclose(y, chain(jax.random.key(1), X))
    other = on("numpy", name)
    assert other.shape == X.shape and other.dtype == X.dtype
    np.testing.assert_array_equal(other, on("numpy", name))
    assert not np.allclose(other, CHAINS[name](np.random.default_rng(1), X))


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("name", CHAINS)
@both
def test_any_number_of_leading_axes(module, name):
    """As the pipeline has it for one example, and as views of a batch have it."""
    assert on(module, name, X[0]).shape == X[0].shape
    views = on(module, name, np.stack([X[:8]] * 3))
    assert views.shape == (3, 8, 40, 20)
    assert not np.allclose(views[0], views[1])


@both
def test_gain_shifts_each_example_by_its_own_constant(module):
    change = on(module, "gain") - X
    np.testing.assert_allclose(change, change[:, :1, :1].repeat(40, 1).repeat(20, 2), atol=1e-5)
    assert len(np.unique(change[:, 0, 0].round(3))) > 50
    assert 5 < np.abs(change).max() <= 6


@both
def test_equalizer_is_a_smooth_filter_of_each_example(module):
    change = on(module, "equalizer") - X
    curve = change[:, 0]
    np.testing.assert_allclose(change, np.broadcast_to(curve[:, None], change.shape), atol=1e-5)
    assert 2 < curve[:, 0].std() < 4 and 2 < curve[:, -1].std() < 4
    # Four straight pieces over 20 bands: the slope changes at no more than three places.
    bends = np.abs(np.diff(curve, n=2, axis=1)) > 1e-3
    assert (bends.sum(axis=1) <= 6).all() and bends.any()


@both
def test_frames_go_round_by_up_to_the_fraction(module):
    y, shifts = on(module, "frame_shift"), []
    for before, after in zip(X, y, strict=True):
        (shift,) = [s for s in range(-20, 21) if (np.roll(before, s, axis=0) == after).all()][:1]
        shifts.append(shift)
    assert len(set(shifts)) > 20 and min(shifts) < -10 and max(shifts) > 10


@pytest.mark.parametrize(("name", "axis", "largest"), [("time_mask", 1, 24), ("freq_mask", 2, 10)])
@both
def test_masks_replace_whole_runs_by_the_mean(module, name, axis, largest):
    y = on(module, name)
    changed = y != X
    lines = changed.any(axis=3 - axis)
    np.testing.assert_array_equal(np.expand_dims(lines, 3 - axis) & np.ones_like(changed), changed)
    widths = lines.sum(axis=1)
    assert widths.max() <= largest + 2  # two masks, each cut at whole frames or bands
    assert len(np.unique(widths)) > 4
    means = np.broadcast_to(X.mean(axis=(1, 2), keepdims=True), y.shape)
    np.testing.assert_allclose(y[changed], means[changed], atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: augment.SpectrogramGain(-1.0), "SpectrogramGain.max_db is -1.0"),
        (
            lambda: augment.Equalizer(3.0, num_points=1),
            r"num_points is 1; .* in \[2, inf\)",
        ),
        (lambda: augment.FrameShift(1.5), r"max_fraction is 1.5; it must be in \[0, 1\]"),
        (lambda: augment.TimeMask(-1), "TimeMask.num_masks is -1"),
        (lambda: augment.FreqMask(1, max_bands=-2), "FreqMask.max_bands is -2"),
    ],
)
def test_settings_that_make_no_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_build_leaves_out_what_is_zero():
    config = base().augment
    assert augment.build(config, features=LogMel()) == augment.Chains()
    config.num_freq_masks = 2
    config.frame_shift_fraction = 0.25
    chain = augment.build(config, features=LogMel()).spectrogram
    assert chain == augment.compose([augment.FrameShift(0.25), augment.FreqMask(2, max_bands=8)])
    with pytest.raises(ValueError, match="frame_shift_fraction and augment.num_freq_masks are for"):
        augment.build(config, features=Waveform())
    # Masks do not mind what the values mean; a gain in decibels does.
    power = PowerSpectrogram()
    assert augment.build(config, features=power).spectrogram == chain
    config.gain_db = 6.0
    with pytest.raises(ValueError, match="augment.gain_db add.* power_spectrogram that is not in"):
        augment.build(config, features=power)
