"""Noise that any window of a song can cut out and find the same."""

import functools

import numpy as np

_BANK_SAMPLES = 1 << 16
_BANDS_HZ = {
    "hiss": (40.0, 20000.0),
    "thump": (60.0, 900.0),
    "body": (300.0, 3000.0),
    "breath": (900.0, 5000.0),
    "rattle": (1800.0, 9000.0),
    "sizzle": (4200.0, 20000.0),
}


@functools.lru_cache(maxsize=32)
def _bank(band: str, sample_rate_hz: int) -> np.ndarray:
    """Float32 [65536] of band-limited Gaussian noise with unit RMS that repeats without a seam."""
    low_hz, high_hz = _BANDS_HZ[band]
    rng = np.random.default_rng([len(band), *band.encode()])
    spectrum = np.fft.rfft(rng.standard_normal(_BANK_SAMPLES))
    hz = np.fft.rfftfreq(_BANK_SAMPLES, 1 / sample_rate_hz)
    # Fourth-order slopes in place of a brick wall, which would ring.
    spectrum *= 1 / np.sqrt(1 + (low_hz / np.maximum(hz, 1.0)) ** 8)
    spectrum *= 1 / np.sqrt(1 + (hz / high_hz) ** 8)
    wave = np.fft.irfft(spectrum, _BANK_SAMPLES)
    bank = (wave / np.sqrt(np.mean(wave**2))).astype(np.float32)
    bank.setflags(write=False)
    return bank


def noise(band: str, *, start: int, num_samples: int, sample_rate_hz: int) -> np.ndarray:
    """Float32 [num_samples] with unit RMS, from position `start` of the endless noise `band`."""
    bank = _bank(band, sample_rate_hz)
    start %= _BANK_SAMPLES
    if start + num_samples <= _BANK_SAMPLES:
        return bank[start : start + num_samples]
    return bank.take(np.arange(start, start + num_samples), mode="wrap")
