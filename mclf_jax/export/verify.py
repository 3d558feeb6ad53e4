"""Whether what was written says the same as what it was written from."""

from collections.abc import Callable, Mapping

import jax
import numpy as np

from mclf_jax.export.bundle import Bundle, make_step

NUM_WINDOWS = 8
Outputs = Callable[[np.ndarray], Mapping[str, np.ndarray]]


def sample_windows(bundle: Bundle) -> np.ndarray:
    """Float32 [B, T] to compare on: noise and chords, from soft to loud; the same at every call."""
    draw = np.random.default_rng(0)
    length, rate = bundle.window_samples, bundle.sample_rate_hz
    times_s = np.arange(length) / rate
    pitches_hz = draw.uniform(60, rate / 4, (NUM_WINDOWS, 6, 1))
    chords = np.sin(2 * np.pi * pitches_hz * times_s + draw.uniform(0, 6, (NUM_WINDOWS, 6, 1)))
    noise = draw.standard_normal((NUM_WINDOWS, length))
    mixed = chords.mean(axis=1) + np.linspace(0, 1, NUM_WINDOWS)[:, None] * noise
    loudness = np.logspace(-2, 0, NUM_WINDOWS)[:, None]
    return (loudness * mixed / np.abs(mixed).max(axis=1, keepdims=True)).astype(np.float32)


def outputs_of(bundle: Bundle) -> Outputs:
    """float32 [B, T] -> {"scores" [B, K], "embedding" [B, D]}, by whatever the bundle runs on."""
    step, weights = make_step(bundle), jax.device_put(bundle.weights)

    def outputs(audio):
        rows = np.arange(len(audio), dtype=np.int32)
        batch = {"audio": audio, "index": rows, "row": rows, "valid": np.ones(len(audio), "f4")}
        found = jax.device_get(step(weights, batch))
        return {name: found[name] for name in ("scores", "embedding")}

    return outputs


def greatest_difference(bundle: Bundle, other: Outputs) -> float:
    """Between the scores of a bundle and of what was made of it, on `sample_windows`.

    Of a network that has learnt no labels it is that of the embeddings.
    """
    audio, name = sample_windows(bundle), "scores" if bundle.labels else "embedding"
    return float(np.abs(outputs_of(bundle)(audio)[name] - other(audio)[name]).max())
