"""Pitch shift and time stretch: cents, duration, level, purity; numpy and jax alike."""

import jax
import numpy as np
import pytest

from mclf_jax.augment import pitch
from mclf_jax.augment.pitch import PitchShift, TimeStretch

RATE_HZ = 22050
LENGTH = 2 * RATE_HZ
TONES_HZ = np.array([110, 220, 440, 880, 1760])


def tones(length=LENGTH):
    t = np.arange(length) / RATE_HZ
    return (0.5 * np.sin(2 * np.pi * TONES_HZ[:, None] * t)).astype(np.float32)


def frequency_hz(y):
    """Of a sine: the peak of a windowed spectrum, by a parabola through the logarithms."""
    size = 1 << 18
    spectrum = np.log(np.abs(np.fft.rfft(y * np.hanning(len(y)), size)))
    k = spectrum.argmax()
    a, b, c = spectrum[k - 1 : k + 2]
    return (k + 0.5 * (a - c) / (a - 2 * b + c)) * RATE_HZ / size


def cents(y, expected_hz):
    return 1200 * np.log2(frequency_hz(y) / expected_hz)


def signal_to_rest_db(y):
    """Energy of the strongest sine against all else: noise, distortion and modulation."""
    t = np.arange(len(y)) / RATE_HZ
    hz = frequency_hz(y)
    basis = np.stack([np.cos(2 * np.pi * hz * t), np.sin(2 * np.pi * hz * t)], axis=1)
    sine = basis @ np.linalg.lstsq(basis, y.astype(np.float64), rcond=None)[0]
    return 10 * np.log10((sine**2).sum() / ((y - sine) ** 2).sum())


@pytest.mark.parametrize("semitones", [-7.0, -0.5, 3.3, 7.0])
def test_tones_land_within_5_cents_clean_and_as_loud(semitones):
    x = tones()
    y = pitch.pitch_shift(x, semitones)
    assert y.shape == x.shape and y.dtype == x.dtype
    for hz, before, after in zip(TONES_HZ, x[:, 4000:-4000], y[:, 4000:-4000], strict=True):
        assert abs(cents(after, hz * 2 ** (semitones / 12))) < 1
        assert 20 * np.log10(after.std() / before.std()) == pytest.approx(0, abs=0.2)
        assert signal_to_rest_db(after) > 40


@pytest.mark.parametrize("rate", [0.5, 0.8, 1.1, 1.25])
def test_a_stretched_tone_keeps_its_pitch(rate):
    x = tones()
    y = pitch.time_stretch(x, rate)
    assert y.shape == x.shape
    end = min(LENGTH, int(LENGTH / rate))
    for hz, after in zip(TONES_HZ, y[:, 4000 : end - 4000], strict=True):
        assert abs(cents(after, hz)) < 1
        assert 20 * np.log10(after.std() / (0.5 / np.sqrt(2))) == pytest.approx(0, abs=0.2)
        assert signal_to_rest_db(after) > 40
    assert np.abs(y[:, end + 2048 :]).max(initial=0) < 1e-4


@pytest.mark.parametrize("rate", [0.8, 1.25])
def test_attacks_stay_sharp_and_are_where_they_should_be(rate):
    x = np.zeros(LENGTH, np.float32)
    clicks = np.array([8000, 20000, 30000])
    x[clicks] = 1.0
    for y, places in [
        (pitch.time_stretch(x, rate), clicks / rate),
        (pitch.pitch_shift(x, 12 * np.log2(rate)), clicks),
    ]:
        for place in places.astype(int):
            around = y[place - 3000 : place + 3000].astype(np.float64) ** 2
            offset = np.arange(-3000, 3000)
            centre = (around * offset).sum() / around.sum()
            spread = np.sqrt((around * (offset - centre) ** 2).sum() / around.sum())
            assert abs(centre) < 0.01 * RATE_HZ
            assert spread < 0.002 * RATE_HZ


def test_no_change_is_no_change():
    x = np.random.default_rng(0).standard_normal((2, 5000)).astype(np.float32)
    np.testing.assert_allclose(pitch.time_stretch(x, 1.0), x, atol=1e-4)
    # Not right below half the rate, where reading with four taps is at its worst.
    smooth = np.apply_along_axis(lambda a: np.convolve(a, np.hanning(9) / 4, "same"), -1, x)
    np.testing.assert_allclose(pitch.pitch_shift(smooth, 0.0), smooth, atol=5e-3)


def chord(length=LENGTH):
    """Five notes of eleven partials with a decay, and a little noise."""
    t = np.arange(length) / RATE_HZ
    notes = 110 * 2 ** (np.array([0, 4, 7, 12, 16])[:, None, None] / 12)
    partials = np.arange(1, 12)[:, None]
    sound = (np.sin(2 * np.pi * notes * partials * t + notes) / partials).sum((0, 1))
    noise = np.random.default_rng(0).standard_normal(length)
    return (0.05 * sound * np.exp(-t) + 0.003 * noise).astype(np.float32)


@pytest.mark.parametrize("semitones", [-5.0, 4.0])
def test_the_level_of_a_chord_is_kept(semitones):
    x = chord()
    y = pitch.pitch_shift(x, semitones)
    level_db = 20 * np.log10(y[4000:-4000].std() / x[4000:-4000].std())
    assert level_db == pytest.approx(0, abs=1)


def test_shifting_up_does_not_alias():
    t = np.arange(LENGTH) / RATE_HZ
    x = np.sin(2 * np.pi * 9000 * t).astype(np.float32)
    y = pitch.pitch_shift(x, 7.0)
    assert np.abs(y[4000:-4000]).max() < 1e-2


@pytest.mark.slow
def test_numpy_and_jax_agree_with_an_amount_for_each_example():
    x = np.stack([chord(12000), chord(12000)[::-1]])
    semitones = np.array([-4.0, 5.0], np.float32)
    shift = jax.jit(lambda x, s: pitch.pitch_shift(x, s, min_semitones=-7))
    ours = shift(x, semitones)
    np.testing.assert_allclose(ours, pitch.pitch_shift(x, semitones), atol=5e-3)
    alone = pitch.pitch_shift(x[1], 5.0)
    np.testing.assert_allclose(ours[1], alone, atol=5e-3)
    rates = np.array([0.8, 1.2], np.float32)
    ours = jax.jit(pitch.time_stretch)(x, rates)
    np.testing.assert_allclose(ours, pitch.time_stretch(x, rates), atol=5e-3)


def compiled(augmentation, key):
    return augmentation if isinstance(key, np.random.Generator) else jax.jit(augmentation)


@pytest.mark.parametrize("key", [np.random.default_rng(0), jax.random.key(1)])
def test_draws_differ_and_are_in_their_range(key):
    x = np.tile(tones(12000)[2], (24, 1))
    shifted = np.asarray(compiled(PitchShift(RATE_HZ, -3, 4), key)(key, x))
    semitones = np.array([12 * np.log2(frequency_hz(y[3000:-3000]) / 440) for y in shifted])
    assert -3.05 < semitones.min() < -1.5 and 2.5 < semitones.max() < 4.05
    assert len(set(np.round(semitones, 3))) == 24


def test_positions_stay_exact_for_an_hour():
    """At the end of 2^23 samples: what float32 would make of it is off by a sample."""
    step = np.array([1.4983070768766815], np.float32)
    whole, fraction = pitch._positions(step, 1 << 23)
    last = (1 << 23) - 1
    expected = last * (np.round(float(step[0]) * 65536) / 65536)
    assert whole[last] + float(fraction[last]) == pytest.approx(expected, abs=1e-4)
    assert (np.diff(whole) >= 1).all()


def test_frames_follow_the_rate():
    assert [pitch.frame_length(r) for r in (8000, 16000, 22050, 44100)] == [1024, 2048, 2048, 4096]


@pytest.mark.slow
def test_vmap():
    x = np.stack([chord(6000), chord(6000)])
    keys = jax.random.split(jax.random.key(0), 2)
    mapped = jax.jit(jax.vmap(PitchShift(RATE_HZ)))(keys, x)
    alone = jax.jit(PitchShift(RATE_HZ))(keys[1], x[1])
    np.testing.assert_allclose(mapped[1], alone, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PitchShift(RATE_HZ, 3, -3), "min_semitones is 3 and .*max_semitones is -3"),
        (
            lambda: PitchShift(RATE_HZ, -30, 0),
            r"min_semitones is -30; .* in \[-24.0, 24.0\]",
        ),
        (lambda: PitchShift(0), "sample_rate_hz is 0"),
        (lambda: TimeStretch(0.0, 1.0), "min_rate is 0.0"),
        (lambda: TimeStretch(n_fft=1001), "n_fft is 1001; it must be a multiple of 4"),
    ],
)
def test_what_is_wrong_is_said(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("n_fft", [64, 512])  # shorter than a row of a TPU's memory, and longer
def test_what_a_tpu_reads_by_rows_is_what_others_read(n_fft, monkeypatch):
    x = np.random.default_rng(0).standard_normal((2, 3000)).astype("f4")
    found = {}
    for device in ("cpu", "tpu"):

        def choose(*arrays, device=device, **ways):
            return ways.get(device, ways["default"])(*arrays)

        monkeypatch.setattr(jax.lax, "platform_dependent", choose)

        @jax.jit
        def change(x, semitones, rates):
            shifted = pitch.pitch_shift(
                x, semitones, n_fft=n_fft, min_semitones=-7.0, max_semitones=7.0
            )
            return shifted, pitch.time_stretch(x, rates, n_fft=n_fft)

        amounts = np.array([[-7.0, 6.9], [0.8, 1.25]], np.float32)
        found[device] = np.stack(change(x, *amounts))
    np.testing.assert_allclose(found["tpu"], found["cpu"], atol=2e-4)
