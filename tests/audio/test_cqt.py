"""The constant-Q transform against its definition, against librosa, and numpy against jax."""

import functools

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from mclf_jax.audio import features
from mclf_jax.audio.cqt import C1_HZ, CQT, cqt, filter_lengths, frequencies_hz
from mclf_jax.audio.decode import read_audio
from tests import SHARED

PIECES = SHARED / "audio" / "pieces"
RATE = 16000
call_jax = jax.jit(lambda waveform, representation: representation(waveform), static_argnums=1)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32) * 0.1


def tones(hz, *, seconds, amplitude=1.0):
    time_s = np.arange(round(seconds * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * np.outer(hz, time_s))).astype(np.float32)


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize("array", [np.asarray, jnp.asarray])
@pytest.mark.parametrize("norm", ["energy", "amplitude"])
def test_every_semitone_of_seven_octaves_peaks_in_its_bin(array, norm):
    notes_hz = 440 * 2 ** ((np.arange(24, 108) - 69) / 12)  # C1 to B7 by their MIDI numbers
    representation = CQT(norm=norm)
    if array is jnp.asarray:
        representation = jax.jit(representation.__call__)
    shown = representation(tones(notes_hz, seconds=1))
    inside = np.asarray(shown)[:, 17:-17]  # filters of C1 are half a second long
    assert (inside.argmax(axis=-1) == np.arange(84)[:, None]).all()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"window": "hamming", "norm": "amplitude"},
        {"window": "blackman", "bins_per_octave": 24, "filter_scale": 0.7},
        {"hop_length": 331, "f_min_hz": 61.7, "num_bins": 40},  # no decimation by 2 is possible
    ],
)
def test_is_what_the_definition_says(changes):
    """Correlation with each filter, written out, at every frame of several blocks."""
    s = CQT(**changes)
    audio = noise(5 * RATE + 77).astype(np.float64)
    found = cqt(audio, s)
    assert found.shape == s.shape(len(audio)) and found.dtype == np.complex128
    # Without the frequencies below zero, of which the widest filters let a little through.
    positive = scipy.signal.hilbert(np.pad(audio, RATE)) / 2
    for k in range(0, s.num_bins, 7):
        hz, length = frequencies_hz(s)[k], filter_lengths(s)[k]
        half = int(length / 2)
        n = np.arange(-half, half + 1)
        terms = {"hann": [0.5, 0.5], "hamming": [0.54, 0.46], "blackman": [0.42, 0.5, 0.08]}
        window = sum(a * np.cos(2 * np.pi * i * n / length) for i, a in enumerate(terms[s.window]))
        scale = np.sqrt(length) if s.norm == "energy" else 2
        kernel = scale * window / window.sum() * np.exp(2j * np.pi * hz / RATE * n)
        full = scipy.signal.fftconvolve(positive, kernel.conj()[::-1])[half:]
        expected = full[RATE :: s.hop_length][: len(found)]
        # The ends of blocks are cuts, and Hamming's side lobes hear them from far away.
        tolerance = 1e-2 if s.window == "hamming" else 2e-4
        np.testing.assert_allclose(found[:, k], expected, atol=tolerance * np.abs(expected).max())


def correlation(a, b):
    return np.corrcoef(np.abs(a).ravel(), np.abs(b).ravel())[0, 1]


@pytest.mark.slow_beyond(1)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"bins_per_octave": 36, "num_bins": 216, "f_min_hz": 2 * C1_HZ},
        {"filter_scale": 0.5, "window": "hamming"},
        {"hop_length": 441, "window": "blackman"},
        {"pad_mode": "reflect"},
    ],
)
def test_close_to_librosa(changes):
    s = CQT(sample_rate_hz=22050, **({"hop_length": 512} | changes))
    time_s = np.arange(4 * 22050) / 22050
    chord = sum(np.sin(2 * np.pi * hz * time_s) for hz in (110.3, 277.2, 659.3, 2217.5))
    audio = (0.1 * chord * (time_s % 1 < 0.6)).astype(np.float32) + noise(len(time_s)) * 0.1
    expected = librosa.cqt(
        audio,
        sr=s.sample_rate_hz,
        hop_length=s.hop_length,
        fmin=s.f_min_hz,
        n_bins=s.num_bins,
        bins_per_octave=s.bins_per_octave,
        filter_scale=s.filter_scale,
        window=s.window,
        pad_mode=s.pad_mode,
    ).T
    found = cqt(audio, s)
    assert found.shape == expected.shape
    assert correlation(found, expected) > 0.999
    # The same levels and phases as well.
    assert np.linalg.norm(found - expected) < 0.05 * np.linalg.norm(expected)


@pytest.mark.parametrize("convention", [(22050, 512), (16000, 256)])
@pytest.mark.parametrize("array", [np.asarray, jnp.asarray])
@pytest.mark.slow_beyond(1)
def test_real_pieces_correlate_with_librosa(convention, array):
    if not PIECES.exists():
        pytest.skip("../shared/audio/pieces is not here")
    rate, hop = convention
    paths = sorted(PIECES.glob("*.ogg"))
    assert paths
    call = functools.partial(cqt, sample_rate_hz=rate, hop_length=hop)
    call = call if array is np.asarray else jax.jit(call)
    for path in paths:
        audio = read_audio(path, sample_rate_hz=rate)[: 8 * rate]
        found = call(audio)
        expected = librosa.cqt(audio, sr=rate, hop_length=hop).T
        assert correlation(found, expected) > 0.999, path.name


def test_amplitude_norm_gives_the_amplitude_of_a_tone():
    s = CQT(norm="amplitude", compression="none")
    for k in (0, 40, 83):
        tone = tones(frequencies_hz(s)[k], seconds=1, amplitude=0.5)
        np.testing.assert_allclose(s(tone)[0, 20:-20, k], 0.5, rtol=1e-3)


def test_energy_norm_makes_noise_flat():
    power = CQT(compression="none")(noise(60 * RATE)) ** 2
    by_octave = power.mean(axis=0).reshape(7, 12).mean(axis=1)
    np.testing.assert_allclose(by_octave / by_octave.mean(), 1, atol=0.15)


def test_compression():
    audio = noise(RATE)
    magnitude = np.abs(cqt(audio, sample_rate_hz=CQT().sample_rate_hz))
    np.testing.assert_allclose(CQT()(audio), 20 * np.log10(magnitude), atol=1e-3)
    np.testing.assert_allclose(CQT(compression="none")(audio), magnitude, rtol=1e-5)
    limited = CQT(top_db=20.0)(np.stack([audio, audio / 10]))
    np.testing.assert_allclose(limited.max(axis=(1, 2)) - limited.min(axis=(1, 2)), 20, atol=1e-4)
    np.testing.assert_allclose(CQT()(np.zeros(RATE, np.float32)), -100, atol=1e-4)


@pytest.mark.slow
@settings(max_examples=15)
@given(
    lead=st.lists(st.integers(1, 2), max_size=2),
    num_samples=st.sampled_from([1, 2, 255, 256, 257, 5000, 40000]),
    kind=st.sampled_from(["silence", "constant", "noise", "loud"]),
    pad_mode=st.sampled_from(["constant", "reflect", "edge"]),
    compression=st.sampled_from(["db", "none"]),
)
def test_finite_and_the_same_in_numpy_and_jax(lead, num_samples, kind, pad_mode, compression):
    shape = (*lead, num_samples)
    audio = {
        "silence": np.zeros(shape, np.float32),
        "constant": np.ones(shape, np.float32),
        "noise": noise(*shape),
        "loud": np.sign(noise(*shape)),
    }[kind]
    s = CQT(num_bins=60, pad_mode=pad_mode, compression=compression)
    host, device = s(audio), call_jax(jnp.asarray(audio), s)
    assert isinstance(host, np.ndarray) and host.dtype == device.dtype == np.float32
    assert host.shape == device.shape == (*lead, *s.shape(num_samples))
    assert np.isfinite(host).all()
    if compression == "none":
        full_scale = np.sqrt(filter_lengths(s).max()) / 2  # of a sine of amplitude 1
        np.testing.assert_allclose(host, device, atol=1e-5 * full_scale)
    elif kind == "noise":
        # Of the 100 dB that there are; float32 rounds quiet bins of short clips by thousandths.
        np.testing.assert_allclose(host, device, atol=1e-2)


def test_examples_do_not_touch_one_another():
    audio = noise(3, 2, 20000)
    together = cqt(audio, sample_rate_hz=CQT().sample_rate_hz)
    np.testing.assert_allclose(
        together[2, 1], cqt(audio[2, 1], sample_rate_hz=CQT().sample_rate_hz), atol=1e-6
    )


@pytest.mark.parametrize("compression", ["db", "none"])
def test_gradients_are_finite_even_of_silence(compression):
    s = CQT(compression=compression, num_bins=24)
    gradient = jax.jit(jax.grad(lambda x: s(x).mean()))
    for audio in (np.zeros(3000, np.float32), noise(3000)):
        assert np.isfinite(gradient(jnp.asarray(audio))).all()


def test_settings_travel_as_json():
    s = CQT(num_bins=48, window="blackman", top_db=60.0)
    stored = features.to_json(s)
    assert stored["kind"] == "cqt"
    assert features.from_json(stored) == s


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": "kaiser"}, "features.window is 'kaiser'; allowed: hann, hamming,"),
        ({"norm": "l2"}, "features.norm is 'l2'; allowed: energy, amplitude"),
        ({"num_bins": 0}, "features.num_bins is 0; it must be positive"),
        ({"filter_scale": -1.0}, "features.filter_scale is -1.0"),
        ({"num_bins": 96}, "8244 Hz; it must stay within half of features.sample_rate_hz"),
    ],
)
def test_errors_name_the_field(changes, message):
    with pytest.raises(ValueError, match=message):
        CQT(**changes)
