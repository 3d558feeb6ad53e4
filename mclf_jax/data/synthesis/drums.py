"""The drum kit: nine voices, each rendered once for a kit and struck many times."""

import dataclasses
import functools

import numpy as np

from mclf_jax.data.synthesis.noise import noise

VOICES = ("kick", "snare", "rim", "clap", "tom", "hat", "open_hat", "ride", "shaker")

_STROKE_S = 0.5


@dataclasses.dataclass(frozen=True)
class Kit:
    """One artist's drums.

    Attributes:
        tuning: factor on every pitch.
        damping: factor on every decay time; below 1 is dry.
        snap: share of noise against tone in snare, tom and kick.
        seed: which stretch of noise the voices are cut from.
    """

    tuning: float
    damping: float
    snap: float
    seed: int


def draw_kit(rng: np.random.Generator) -> Kit:
    return Kit(
        tuning=float(2 ** rng.uniform(-0.3, 0.3)),
        damping=float(rng.uniform(0.65, 1.4)),
        snap=float(rng.uniform(0.6, 1.4)),
        seed=int(rng.integers(1 << 16)),
    )


def _fade(time_s: np.ndarray, decay_s: float) -> np.ndarray:
    return np.exp(-time_s / decay_s)


def _drop(time_s: np.ndarray, *, from_hz: float, to_hz: float, glide_s: float) -> np.ndarray:
    """A sine whose pitch falls exponentially, as a skin's does while its tension relaxes."""
    turns = to_hz * time_s + (from_hz - to_hz) * glide_s * -np.expm1(-time_s / glide_s)
    return np.sin(2 * np.pi * turns)


def _chime(time_s: np.ndarray, partials_hz: tuple[float, ...]) -> np.ndarray:
    """Equal sines, those above the Nyquist frequency left out."""
    partials_hz = [hz for hz in partials_hz if hz < 0.5 / time_s[1]]
    return sum(np.sin(2 * np.pi * hz * time_s) for hz in partials_hz) / len(partials_hz)


def _voice(name: str, kit: Kit, t: np.ndarray, draw) -> np.ndarray:
    """One stroke: t seconds [N]; `draw(band)` gives noise [N] of unit RMS."""
    tune, damp, snap = kit.tuning, kit.damping, kit.snap
    match name:
        case "kick":
            skin = _drop(t, from_hz=190 * tune, to_hz=52 * tune, glide_s=0.02)
            return skin * _fade(t, 0.09 * damp) + 0.12 * snap * draw("body") * _fade(t, 0.006)
        case "snare":
            skin = _drop(t, from_hz=300 * tune, to_hz=185 * tune, glide_s=0.01)
            wires = 0.3 * snap * draw("rattle") * _fade(t, 0.07 * damp)
            return 0.6 * skin * _fade(t, 0.05 * damp) + wires
        case "rim":
            wood = _chime(t, (820.0 * tune, 1730.0 * tune))
            return wood * _fade(t, 0.014 * damp) + 0.2 * draw("breath") * _fade(t, 0.004)
        case "clap":
            hands = sum(_fade(np.where(t >= d, t - d, np.inf), 0.006) for d in (0, 0.011, 0.022))
            tail = np.where(t >= 0.028, _fade(t - 0.028, 0.06 * damp), 0)
            return 0.4 * draw("breath") * (hands + tail)
        case "tom":
            skin = _drop(t, from_hz=170 * tune, to_hz=105 * tune, glide_s=0.03)
            return skin * _fade(t, 0.1 * damp) + 0.15 * snap * draw("body") * _fade(t, 0.012)
        case "hat":
            return 0.3 * draw("sizzle") * _fade(t, 0.028 * damp)
        case "open_hat":
            return 0.3 * draw("sizzle") * _fade(t, 0.11 * damp)
        case "ride":
            cup = _chime(t, (2130 * tune, 2960 * tune, 3870 * tune, 4910 * tune, 5830 * tune))
            return (0.5 * cup + 0.1 * draw("sizzle")) * _fade(t, 0.14 * damp)
        case "shaker":
            return 0.3 * draw("rattle") * np.minimum(t / 0.018, 1) * _fade(t, 0.03 * damp)
    raise ValueError(f"drum voice {name!r}: choose from {', '.join(VOICES)}")


def _stroke(name: str, kit: Kit, sample_rate_hz: int) -> np.ndarray:
    """Float32 [0.5 s], zero at both ends; each voice has its own stretch of noise."""
    num_samples = round(_STROKE_S * sample_rate_hz)
    time_s = np.arange(num_samples) / sample_rate_hz
    start = kit.seed + VOICES.index(name) * num_samples

    def draw(band: str) -> np.ndarray:
        return noise(band, start=start, num_samples=num_samples, sample_rate_hz=sample_rate_hz)

    rise, fall = time_s / 0.001, (_STROKE_S - time_s) / 0.02
    wave = _voice(name, kit, time_s, draw) * np.clip(np.minimum(rise, fall), 0, 1)
    return wave.astype(np.float32)


@functools.lru_cache(maxsize=32)
def strokes(kit: Kit, sample_rate_hz: int) -> dict[str, np.ndarray]:
    """One stroke of each of `VOICES`, float32 [0.5 s]; 290 kB a kit at 16 kHz."""
    return {name: _stroke(name, kit, sample_rate_hz) for name in VOICES}
