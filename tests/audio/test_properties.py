"""Whatever goes in, what comes out is finite and has the shape that the settings say."""

import dataclasses

import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mclf_jax.audio.features import LogMel, Mfcc, Spectrogram, harmonic_stack
from mclf_jax.audio.stft import FRAMINGS, PAD_MODES, WINDOWS

# Each compilation for jax takes a moment, so it sees fewer examples.
HOST = settings(max_examples=60, deadline=None)
DEVICE = settings(max_examples=8, deadline=None)

EPSILON = float(np.finfo(np.float32).eps)
SIGNALS = {
    "silence": lambda n, rng: np.zeros(n),
    "constant": lambda n, rng: np.full(n, 0.7),
    "full scale": lambda n, rng: np.sign(np.sin(np.arange(n) + 0.5)),
    "far over full scale": lambda n, rng: 1e4 * rng.standard_normal(n),
    "hardly there": lambda n, rng: 1e-30 * rng.standard_normal(n),
    "one click": lambda n, rng: np.eye(1, n, n // 2)[0],
    "noise": lambda n, rng: 0.1 * rng.standard_normal(n),
}


@st.composite
def representations(draw):
    n_fft = draw(st.integers(2, 300))
    shared = {
        "sample_rate_hz": draw(st.sampled_from([8000, 16000, 44100])),
        "n_fft": n_fft,
        "hop_length": draw(st.integers(1, 300)),
        "win_length": draw(st.none() | st.integers(1, n_fft)),
        "window": draw(st.sampled_from(WINDOWS)),
        "framing": draw(st.sampled_from(FRAMINGS)),
        "pad_mode": draw(st.sampled_from(PAD_MODES)),
        "power": draw(st.sampled_from([1.0, 2.0])),
        "compression": draw(st.sampled_from(["none", "db", "log", "log10_10000", "pcen"])),
        "normalization": draw(st.sampled_from(["none", "standardize", "min_max"])),
    }
    if shared["compression"] == "db":
        shared["db_ref"] = draw(st.sampled_from(["one", "max"]))
        shared["top_db"] = draw(st.none() | st.floats(1, 100))
    kind = draw(st.sampled_from([Spectrogram, LogMel, Mfcc]))
    if kind is not Spectrogram:
        shared["n_mels"] = draw(st.integers(1, min(130, n_fft // 2 + 1)))
        shared["mel_scale"] = draw(st.sampled_from(["htk", "slaney"]))
        shared["mel_norm"] = draw(st.sampled_from(["none", "slaney"]))
    if kind is Mfcc:
        shared["n_mfcc"] = draw(st.integers(1, shared["n_mels"]))
        shared["lifter"] = draw(st.sampled_from([0.0, 22.0]))
    return kind(**shared)


@st.composite
def waveforms(draw, representation):
    least = 1 if representation.framing == "center" else representation.frame_length
    length = draw(st.integers(least, 2000))
    lead = draw(st.sampled_from([(), (1,), (2, 3), (0,)]))
    signal = SIGNALS[draw(st.sampled_from(list(SIGNALS)))]
    rng = np.random.default_rng(0)
    rows = np.array([signal(length, rng) for _ in range(int(np.prod(lead)))])
    return rows.reshape(*lead, length)


@HOST
@given(st.data(), st.sampled_from([np.float16, np.float32, np.float64]))
def test_finite_and_of_the_right_shape(data, dtype):
    representation = data.draw(representations())
    limit = np.finfo(dtype).max
    audio = np.clip(data.draw(waveforms(representation)), -limit, limit).astype(dtype)
    found = representation(audio)
    assert found.shape == (*audio.shape[:-1], *representation.shape(audio.shape[-1]))
    assert found.dtype == (np.float64 if dtype == np.float64 else np.float32)
    assert np.isfinite(found).all()


@DEVICE
@given(st.data())
def test_numpy_equals_jax(data):
    # Normalising rounding errors of silence would compare noise with noise.
    representation = dataclasses.replace(data.draw(representations()), normalization="none")
    audio = data.draw(waveforms(representation)).astype(np.float32)
    host, device = representation(audio), np.asarray(representation(jnp.asarray(audio)))
    assert host.shape == device.shape and host.dtype == device.dtype
    assert np.isfinite(device).all()
    if host.size and representation.compression == "none":
        atol = 1e-4 * np.abs(host).max()
        if getattr(representation, "framing", "") == "kaldi":
            # Of a frame that is all one number, rounding is all that its mean leaves.
            of_a_bin = EPSILON * representation.n_fft * np.abs(audio, dtype=np.float64).max()
            atol += representation.num_bins * of_a_bin**representation.power
        np.testing.assert_allclose(host, device, atol=atol)


@HOST
@given(st.integers(1, 3000), st.sampled_from(list(SIGNALS)))
def test_harmonic_stack_is_finite(length, signal):
    audio = SIGNALS[signal](length, np.random.default_rng(0)).astype(np.float32)
    stack = harmonic_stack(audio)
    assert stack.shape == (1 + length // 256, 128, 6) and np.isfinite(stack).all()
