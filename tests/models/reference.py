"""Weights and waveforms that anybody can make again, for fixtures of published networks.

The fixtures in `parity/` hold what the public PyTorch implementations compute in float64
from exactly these: outputs, loss, gradient norms, running statistics.
"""

import json
import zlib
from pathlib import Path

import numpy as np

# vgg_ish was published for TensorFlow 1; of the others no weights with a last layer exist.
WITHOUT_FIXTURE = {"vgg_ish", "cpc", "wav2vec", "pase", "rvq"}
FIXTURES = Path(__file__).parent / "parity"


def load_fixture(name: str) -> dict[str, np.ndarray]:
    """Arrays of a fixture; its `*keys` are decoded from JSON."""
    with np.load(FIXTURES / f"{name}.npz", allow_pickle=False) as arrays:
        fixture = dict(arrays)
    for key in [key for key in fixture if key.endswith("keys")]:
        fixture[key] = json.loads(str(fixture[key]))
    return fixture


def state_dict(shapes: dict[str, list[int]]) -> dict[str, np.ndarray]:
    """Deterministic float64 weights under PyTorch's keys."""
    return {key: _tensor(key, tuple(shape)).astype(np.float64) for key, shape in shapes.items()}


def _tensor(key, shape):
    if key.endswith("bw_Q"):
        return np.ones(shape, np.float32)  # as it is initialised
    noise = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape)
    if key.endswith("running_var"):
        value = 1 + 0.1 * np.abs(noise)
    elif key.endswith(("running_mean", "bias")) or "bias_" in key:
        value = 0.1 * noise
    elif len(shape) <= 1:
        value = 1 + 0.1 * noise
    else:
        value = noise * np.sqrt(1.0 / np.prod(shape[1:]))
    return value.astype(np.float32)


def waveform(*, num_samples: int, batch: int, sample_rate_hz: int, seed: int = 7) -> np.ndarray:
    """Pulsating harmonic tones with a little noise, float32 [batch, num_samples]."""
    rng = np.random.default_rng(seed)
    t = np.arange(num_samples) / sample_rate_hz
    rows = []
    for b in range(batch):
        f0 = 110 * 2 ** (rng.integers(0, 36) / 12)
        x = np.zeros(num_samples)
        for h in range(1, 9):
            x += np.sin(2 * np.pi * f0 * h * t + rng.uniform(0, 2 * np.pi)) * 0.6**h
        x *= 0.5 * (1 + np.sin(2 * np.pi * (1 + b) * t))
        x += 0.02 * rng.standard_normal(num_samples)
        rows.append(0.3 * x / np.abs(x).max())
    return np.stack(rows).astype(np.float32)
