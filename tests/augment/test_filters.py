"""Filters: -6 dB at the cut-off, a stop band, and those of julius tap by tap."""

import jax
import numpy as np
import pytest

from mclf_jax.augment import filters
from mclf_jax.augment.convolution import convolve, fast_length
from mclf_jax.augment.filters import HighLowPass, HighPass, LowPass

RATE_HZ = 22050


def response_db(f, hz):
    """Gain of a filter of waveforms at a frequency, from a long sine."""
    t = np.arange(RATE_HZ) / RATE_HZ
    x = np.sin(2 * np.pi * hz * t)
    middle = slice(RATE_HZ // 4, -RATE_HZ // 4)
    return 20 * np.log10(np.std(f(x)[middle]) / np.std(x[middle]))


@pytest.mark.parametrize("cutoff_hz", [200, 1200, 2200, 4000])
def test_low_pass_has_6_db_at_its_cutoff_and_a_stop_band(cutoff_hz):
    def f(x):
        return filters.low_pass(x, cutoff_hz, sample_rate_hz=RATE_HZ)

    assert response_db(f, cutoff_hz) == pytest.approx(-6.02, abs=0.3)
    assert response_db(f, cutoff_hz * 0.7) == pytest.approx(0, abs=0.1)
    assert response_db(f, cutoff_hz * 1.35) < -40
    assert response_db(f, cutoff_hz * 2) < -50


@pytest.mark.parametrize("cutoff_hz", [200, 1200, 2200, 4000])
def test_high_pass_has_6_db_at_its_cutoff_and_a_stop_band(cutoff_hz):
    def f(x):
        return filters.high_pass(x, cutoff_hz, sample_rate_hz=RATE_HZ)

    assert response_db(f, cutoff_hz) == pytest.approx(-6.02, abs=0.3)
    assert response_db(f, cutoff_hz * 1.35) == pytest.approx(0, abs=0.1)
    assert response_db(f, cutoff_hz * 0.65) < -40
    assert response_db(f, cutoff_hz * 0.3) < -50


@pytest.mark.parametrize("cutoff_hz", [300.0, 3000.0])
def test_taps_are_those_of_the_published_filter(cutoff_hz):
    """julius' recipe, written out: half width, symmetric Hann window, sum 1, replicated ends."""
    cutoff = cutoff_hz / RATE_HZ
    half = int(8 / cutoff / 2)
    t = np.arange(-half, half + 1)
    taps = 2 * cutoff * np.sinc(2 * cutoff * t) * np.hanning(2 * half + 1)
    taps /= taps.sum()
    x = np.random.default_rng(0).standard_normal(2000)
    expected = np.convolve(np.pad(x, half, mode="edge"), taps, mode="valid")
    ours = filters.low_pass(x, cutoff_hz, sample_rate_hz=RATE_HZ, min_cutoff_hz=100)
    np.testing.assert_allclose(ours, expected, atol=1e-10)
    ours = filters.high_pass(x, cutoff_hz, sample_rate_hz=RATE_HZ)
    np.testing.assert_allclose(ours, x - expected, atol=1e-10)


def test_each_example_has_its_own_cutoff():
    x = np.random.default_rng(0).standard_normal((2, 3, 1000)).astype(np.float32)
    cutoffs_hz = np.geomspace(200, 8000, 6).reshape(2, 3)
    together = filters.low_pass(x, cutoffs_hz, sample_rate_hz=RATE_HZ)
    for i in np.ndindex(2, 3):
        alone = filters.low_pass(x[i], cutoffs_hz[i], sample_rate_hz=RATE_HZ)
        np.testing.assert_allclose(together[i], alone, atol=1e-5)


def test_numpy_and_jax_agree():
    x = np.random.default_rng(0).standard_normal((4, 9000)).astype(np.float32)
    cutoffs_hz = np.array([200.0, 500.0, 3000.0, 11025.0], np.float32)
    jitted = jax.jit(
        lambda x, hz: filters.high_pass(x, hz, sample_rate_hz=RATE_HZ, min_cutoff_hz=200)
    )
    expected = filters.high_pass(x, cutoffs_hz, sample_rate_hz=RATE_HZ)
    np.testing.assert_allclose(jitted(x, cutoffs_hz), expected, atol=1e-4)


@pytest.mark.parametrize("key", [np.random.default_rng(0), jax.random.key(0)])
def test_draws_are_in_their_ranges(key):
    """White noise tells the cut-off: where its spectrum has fallen by 6 dB."""
    x = np.random.default_rng(1).standard_normal((32, 1 << 14)).astype(np.float32)
    low = measured_gain(compiled(LowPass(RATE_HZ, 2200, 4000), key)(key, x), x)
    high = measured_gain(compiled(HighPass(RATE_HZ, 200, 1200), key)(key, x), x)
    low_hz = [hz[gain > 0.5].max() for hz, gain in low]
    high_hz = [hz[gain > 0.5].min() for hz, gain in high]
    assert 2100 < min(low_hz) < 2600 and 3600 < max(low_hz) < 4100
    assert 150 < min(high_hz) < 400 and 1000 < max(high_hz) < 1300


@pytest.mark.parametrize("key", [np.random.default_rng(0), jax.random.key(0)])
def test_either_filter_is_as_likely(key):
    x = np.random.default_rng(1).standard_normal((64, 1 << 13)).astype(np.float32)
    gains = measured_gain(compiled(HighLowPass(RATE_HZ), key)(key, x), x)
    is_low = np.array([gain[hz < 100].mean() > gain[hz > 6000].mean() for hz, gain in gains])
    assert 18 < is_low.sum() < 46
    assert all(gain[(hz > 1500) & (hz < 1900)].mean() > 0.9 for hz, gain in gains)


def compiled(augmentation, key):
    return augmentation if isinstance(key, np.random.Generator) else jax.jit(augmentation)


def measured_gain(y, x):
    power = [np.abs(np.fft.rfft(np.asarray(a))) ** 2 for a in (y, x)]
    smooth = [a[:, : a.shape[1] // 32 * 32].reshape(len(a), -1, 32).mean(-1) for a in power]
    hz = (np.arange(smooth[0].shape[1]) + 0.5) / smooth[0].shape[1] * RATE_HZ / 2
    return [(hz, np.sqrt(a / b)) for a, b in zip(*smooth, strict=True)]


@pytest.mark.slow
def test_gradient_is_the_filter_backwards():
    x = np.random.default_rng(0).standard_normal(4000).astype("f4")

    def energy(x, cutoff_hz):
        y = filters.low_pass(x, cutoff_hz, sample_rate_hz=RATE_HZ, min_cutoff_hz=500)
        return (y**2).sum()

    by_x, by_hz = jax.device_get(jax.jit(jax.grad(energy, (0, 1)))(x, 1000.0))
    twice = filters.low_pass(
        filters.low_pass(x, 1000.0, sample_rate_hz=RATE_HZ), 1000.0, sample_rate_hz=RATE_HZ
    )
    np.testing.assert_allclose(by_x[600:-600], 2 * twice[600:-600], atol=1e-3)
    # White noise has 2 T / rate of its energy in each Hz.
    assert by_hz == pytest.approx(2 * 4000 / RATE_HZ, rel=0.5)


@pytest.mark.parametrize("filtered", [filters.low_pass, filters.high_pass])
def test_a_clip_alone_is_filtered_as_in_a_batch(filtered):
    x = np.random.default_rng(0).standard_normal((2, 9000))
    settings = {"sample_rate_hz": RATE_HZ, "min_cutoff_hz": 200.0}
    both = filtered(x, np.array([3000.0, 200.0]), **settings)
    for clip, cutoff_hz, expected in zip(x, (3000.0, 200.0), both, strict=True):
        found = filtered(clip, np.array(cutoff_hz), **settings)
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("length", "num_taps"), [(1, 1), (9, 9), (300, 7), (20000, 501), (9000, 3000)]
)
def test_convolution_is_numpys(length, num_taps):
    rng = np.random.default_rng(0)
    x, taps = rng.standard_normal((3, length)), rng.standard_normal((3, num_taps))
    expected = [np.convolve(a, b, mode="valid") for a, b in zip(x, taps, strict=True)]
    np.testing.assert_allclose(convolve(x, taps), expected, atol=1e-9)


def test_fast_lengths_are_even_enough_and_close():
    for n in [1, 2, 7, 8, 1000, 59049, 59050, 118098]:
        fast = fast_length(n)
        assert fast % 2 == 0 and n <= fast <= max(1.26 * n, 16)


def test_ranges_may_be_lists_as_in_json():
    x = np.ones((1, 64), np.float32)
    filtered = [
        HighLowPass(RATE_HZ, high_pass_hz=range_hz)(np.random.default_rng(0), x)
        for range_hz in ([200, 1200], (200, 1200))
    ]
    np.testing.assert_array_equal(*filtered)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LowPass(RATE_HZ, 2000, 1000), "min_hz is 2000 and .*max_hz is 1000"),
        (lambda: HighPass(RATE_HZ, 0, 1000), "min_hz is 0; it must be positive"),
        (lambda: LowPass(RATE_HZ, 100, 12000), r"max_hz is 12000; it must be in \[0, 11025.0\]"),
        (lambda: HighLowPass(RATE_HZ, low_pass_hz=(1, 0.5)), r"low_pass_hz\[0\] is 1 and"),
    ],
)
def test_what_is_wrong_is_said(make, message):
    with pytest.raises(ValueError, match=message):
        make()
