"""Silences, a lower rate and a missing band: where they should be, and as loud as before."""

import jax
import numpy as np
import pytest

from mclf_jax import augment
from mclf_jax.augment import BandDrop, Chop, Downsample, distortions

RATE_HZ = 16000


def compiled(augmentation, key):
    return augmentation if isinstance(key, np.random.Generator) else jax.jit(augmentation)


def keys():
    return [np.random.default_rng(0), jax.random.key(0)]


def noise(*shape, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def energy(x):
    return (np.asarray(x, np.float64) ** 2).sum(axis=-1)


def spectrum_db(x):
    """Mean power over examples, [B, RATE_HZ] -> [bins of 1 Hz]; the ends do not count."""
    power = np.abs(np.fft.rfft(x * np.hanning(RATE_HZ))) ** 2
    return 10 * np.log10(power.mean(axis=0) + 1e-20)


def stretches(silent):
    """(start, length) of each run of True, [T] -> list."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], silent, [0]])))
    return list(zip(edges[::2], edges[1::2] - edges[::2], strict=True))


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("key", keys())
def test_chops_are_as_many_and_as_long_as_asked_for(key):
    x = noise(200, RATE_HZ) + 1.0
    y = np.asarray(compiled(Chop(RATE_HZ, max_chops=3, durations_s=((0.02, 0.0),)), key)(key, x))
    np.testing.assert_array_equal(y[y != 0], x[y != 0])
    found = [stretches(row == 0) for row in y]
    assert {len(row) for row in found} == {1, 2, 3}
    inside = [
        length for row in found for start, length in row if 0 < start < RATE_HZ - length
    ]  # at the ends they are cut off
    assert np.median(inside) == pytest.approx(0.02 * RATE_HZ, abs=1)
    starts = np.array([start for row in found for start, _ in row])
    assert starts.min() < 0.05 * RATE_HZ and starts.max() > 0.95 * RATE_HZ - 320


@pytest.mark.slow
def test_published_chops_have_both_durations():
    y = Chop(RATE_HZ, max_chops=1)(np.random.default_rng(0), noise(2000, RATE_HZ) + 1.0)
    seconds = (y == 0).sum(axis=1) / RATE_HZ
    assert seconds.mean() == pytest.approx(0.075, abs=0.004)
    assert seconds.std() == pytest.approx(0.047, abs=0.004)  # of a mixture of two normal ones


def test_chop_core():
    x = np.ones((1, 10), np.float32)
    y = distortions.chop(x, np.array([[2.0, 8.0]]), np.array([[3.0, 0.0]]))
    np.testing.assert_array_equal(y, [[1, 0, 0, 0, 1, 1, 1, 1, 1, 1]])


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("key", keys())
def test_downsampling_leaves_what_a_lower_rate_can_hold(key):
    x = noise(8, RATE_HZ)
    y = np.asarray(compiled(Downsample(RATE_HZ), key)(key, x))
    np.testing.assert_allclose(energy(y), energy(x), rtol=1e-4)
    level = spectrum_db(y) - spectrum_db(x)
    # What is left is louder by what is missing: half of the energy.
    assert level[200:3000].mean() == pytest.approx(3.0, abs=0.3)
    assert level[5000:7900].mean() < -40


def test_held_samples_have_a_mirrored_spectrum():
    time_s = np.arange(RATE_HZ) / RATE_HZ
    x = np.sin(2 * np.pi * 1000 * time_s).astype(np.float32)
    rng = np.random.default_rng(0)
    y = Downsample(RATE_HZ, rates_hz=(8000.0,), interpolation="hold")(rng, x[None])
    np.testing.assert_allclose(y[0, ::2], y[0, 1::2], atol=1e-6)
    level = spectrum_db(y)
    assert level[7000] - level[1000] == pytest.approx(20 * np.log10(np.tan(np.pi / 16)), abs=0.5)


@pytest.mark.parametrize(("factor", "length"), [(2.0, 9), (2.75625, 300_000), (1.0, 5), (7.3, 3)])
def test_held_places(factor, length):
    places = distortions.held_places(length, factor=factor)
    assert (places <= np.arange(length)).all() and (np.diff(places) >= 0).all()
    number = len(np.unique(places))
    assert number == len(np.flatnonzero(np.ceil(np.arange(length + 1) * factor) < length))


def test_rates_are_drawn_for_each_example():
    x = np.tile(noise(1, 4000), (64, 1))
    y = Downsample(RATE_HZ, rates_hz=(8000.0, 4000.0))(np.random.default_rng(0), x)
    counts = np.unique(np.round(y, 5), axis=0, return_counts=True)[1]
    assert len(counts) == 2 and counts.min() > 16


@pytest.mark.parametrize("key", keys())
def test_the_dropped_band_is_where_it_was_drawn(key):
    x = noise(16, RATE_HZ)
    drop = BandDrop(RATE_HZ, min_hz=2000, max_hz=2000, min_octaves=1.0, max_octaves=1.0)
    y = np.asarray(compiled(drop, key)(key, x))
    np.testing.assert_allclose(energy(y), energy(x), rtol=1e-4)
    level = spectrum_db(y) - spectrum_db(x)
    low_hz, high_hz = 2000 / 2**0.5, 2000 * 2**0.5
    assert level[round(low_hz) + 70 : round(high_hz) - 70].max() < -30
    kept = np.concatenate([level[: round(low_hz) - 70], level[round(high_hz) + 70 :]])
    louder_db = -10 * np.log10(1 - (high_hz - low_hz) / 8000)
    np.testing.assert_allclose(kept, louder_db, atol=0.3)


def test_dropped_bands_are_everywhere():
    x = np.tile(noise(1, 8000), (200, 1))
    y = BandDrop(RATE_HZ)(np.random.default_rng(0), x)
    missing = np.abs(np.fft.rfft(y - x)) > 0.5 * np.abs(np.fft.rfft(x))
    often = missing.mean(axis=0)
    # A band of .625 octaves on average, of 6.3 octaves.
    assert often[100:3000].min() > 0.02 and often[100:3000].mean() == pytest.approx(0.1, abs=0.05)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("cls", [Chop, Downsample, BandDrop])
def test_numpy_and_jax_are_the_same_function(cls, monkeypatch):
    """With the same draws: those of numpy, given to both."""
    x = noise(3, 5, 2000)
    augmentation = cls(RATE_HZ)
    draws = []

    def record(name):
        original = getattr(distortions.base, name)

        def recorded(*arguments):
            draws.append(original(*arguments))
            return draws[-1]

        return recorded

    with monkeypatch.context() as patch:
        for name in ("uniform", "normal", "integers"):
            patch.setattr(distortions.base, name, record(name))
        expected = augmentation(np.random.default_rng(3), x)
    replay = iter(draws)
    for name in ("uniform", "normal", "integers"):
        monkeypatch.setattr(distortions.base, name, lambda *_: jax.numpy.asarray(next(replay)))
    found = jax.jit(augmentation)(jax.random.key(0), x)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert not np.array_equal(found, x)


@pytest.mark.parametrize("augmentation", [Downsample(RATE_HZ), BandDrop(RATE_HZ)])
def test_silence_and_what_is_lost_as_a_whole_stay(augmentation):
    x = np.zeros((2, 4000), np.float32)
    x[1] = np.sin(2 * np.pi * 7000 * np.arange(4000) / RATE_HZ)
    y = augmentation(np.random.default_rng(0), x)
    assert np.isfinite(y).all() and (y[0] == 0).all()
    np.testing.assert_allclose(energy(y), energy(x), rtol=1e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Chop(RATE_HZ, max_chops=0), r"max_chops is 0; it must be in \[1, inf\)"),
        (lambda: Chop(RATE_HZ, durations_s=()), "at least one"),
        (lambda: Chop(RATE_HZ, durations_s=((0.1, -0.1),)), "none negative"),
        (lambda: Downsample(RATE_HZ, rates_hz=(32000.0,)), "none above sample_rate_hz"),
        (lambda: Downsample(RATE_HZ, interpolation="cubic"), "allowed: sinc, hold"),
        (
            lambda: BandDrop(RATE_HZ, max_hz=9000.0),
            r"max_hz is 9000.0; .* in \[0, 8000.0\]",
        ),
        (lambda: BandDrop(RATE_HZ, min_octaves=2.0), "must be in order"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


PUBLISHED = [("Reverb", 0.5), ("Noise", 0.4), ("Clipping", 0.2), ("Chop", 0.2)]
PUBLISHED += [("BandDrop", 0.35), ("Downsample", 0.25)]


def links(chain):
    return [(type(link.augmentations[0]).__name__, link.p) for link in chain.augmentations]


def test_pase_plus_has_its_order_and_probabilities():
    chain = augment.pase_plus(RATE_HZ)
    assert links(chain) == PUBLISHED
    assert eval(repr(chain), vars(augment)) == chain


def test_pase_plus_with_recordings():
    recordings = [noise(3000, seed=1)]
    chain = augment.pase_plus(RATE_HZ, overlap=recordings, noises=recordings, responses=recordings)
    expected = [("ImpulseResponse", 0.5), ("BackgroundMix", 0.1), ("BackgroundMix", 0.4)]
    assert links(chain) == expected + PUBLISHED[2:]
    overlap, noises = (chain.augmentations[i].augmentations[0] for i in (1, 2))
    assert (overlap.min_snr_db, overlap.max_snr_db) == (5, 10)
    assert (noises.min_snr_db, noises.max_snr_db) == (0, 10)


@pytest.mark.parametrize("key", keys())
@pytest.mark.slow_beyond(1)
def test_a_batch_goes_through_pase_plus(key):
    x = noise(12, RATE_HZ)
    x[11] = 0
    chain = augment.pase_plus(RATE_HZ)
    y = np.asarray(compiled(chain, key)(key, x))
    assert y.shape == x.shape and y.dtype == x.dtype
    assert np.isfinite(y).all() and (y[11] == 0).all()
    assert (y[:11] != x[:11]).any(axis=1).mean() > 0.5  # 91 % on average
