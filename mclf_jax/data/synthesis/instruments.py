"""Pitched instruments: what an instrument is made of, and the sound of one note.

Every instrument is a few layers. A layer is a group of partials that fade together:

    note(t) = attack(t) * sum over layers of table_l[phase_l(t)] * exp(-t / decay_l)  +  noise(t)

One layer that never fades is an organ; three layers whose upper partials fade first are a plucked
string (the modal form of Karplus and Strong, "Digital Synthesis of Plucked-String and Drum
Timbres", 1983); layers at inharmonic ratios are a bar of wood or metal. The phase is an integer
counter, so any part of a note has the same samples however it is cut.
"""

import dataclasses
import functools
import math

import numpy as np

from mclf_jax.data.synthesis.noise import noise

MELODIC = ("piano", "organ", "flute", "guitar", "strings", "mallets")
PITCHED = (*MELODIC, "bass")

_TABLE_BITS = 13
_NYQUIST_SHARE = 0.9  # of the Nyquist frequency; partials above it are left out


@dataclasses.dataclass(frozen=True)
class Layer:
    """Partials that sound and fade together.

    Attributes:
        amplitudes: of partials 1, 2, 3, ... of the layer's fundamental.
        decay_s: time to 1/e at 440 Hz; lower notes ring longer, by the square root.
        ratio: the layer's fundamental over the note's.
        response: "even" grows with velocity, "hard" with its square, so loud notes are brighter.
    """

    amplitudes: tuple[float, ...]
    decay_s: float = math.inf
    ratio: float = 1.0
    response: str = "even"


@dataclasses.dataclass(frozen=True)
class Patch:
    """One artist's version of an instrument.

    Attributes:
        layers: the partials.
        attack_s, release_s: lengths of the raised-cosine slopes at both ends of a note.
        vibrato_hz, vibrato_cents: rate and depth of the frequency modulation.
        tremolo: depth of the amplitude modulation, at `vibrato_hz`.
        noise_band, noise_level, noise_decay_s: of hammer, pick, bow or breath.
    """

    layers: tuple[Layer, ...]
    attack_s: float
    release_s: float
    vibrato_hz: float = 5.5
    vibrato_cents: float = 0.0
    tremolo: float = 0.0
    noise_band: str = "body"
    noise_level: float = 0.0
    noise_decay_s: float = math.inf


def midi_to_hz(pitch, *, a4_hz: float = 440.0):
    """Frequency in equal temperament of a MIDI note number (69 is A4), scalar or array."""
    return a4_hz * 2.0 ** ((pitch - 69.0) / 12.0)


def draw_patch(instrument: str, rng: np.random.Generator) -> Patch:
    """An instrument as one artist plays it; `rng` decides the timbre within its kind."""
    return _PATCHES[instrument](rng)


def _harmonics(count: int, *, slope: float) -> np.ndarray:
    """Amplitudes k ** -slope of partials 1 .. count."""
    return np.arange(1, count + 1, dtype=np.float64) ** -slope


def _group(amplitudes: np.ndarray, first: int, last: int) -> tuple[float, ...]:
    """Partials first .. last alone (counted from 1), the lower ones silent."""
    return (0.0,) * (first - 1) + tuple(float(a) for a in amplitudes[first - 1 : last])


def _piano(rng: np.random.Generator) -> Patch:
    amplitudes = _harmonics(16, slope=rng.uniform(1.2, 1.6))
    amplitudes *= np.abs(np.sin(np.pi * np.arange(1, 17) / rng.uniform(7.0, 9.0))) + 0.15
    ring_s = rng.uniform(0.9, 1.5)
    beat = 1 + rng.uniform(0.0008, 0.002)
    return Patch(
        layers=(
            Layer(_group(amplitudes, 1, 3), decay_s=ring_s),
            Layer(_group(amplitudes * 0.6, 1, 4), decay_s=ring_s * 0.8, ratio=beat),
            Layer(_group(amplitudes, 4, 16), decay_s=ring_s * 0.3, response="hard"),
        ),
        attack_s=0.003,
        release_s=0.12,
        noise_band="thump",
        noise_level=rng.uniform(0.3, 0.5),
        noise_decay_s=0.025,
    )


def _organ(rng: np.random.Generator) -> Patch:
    drawbars = np.zeros(8)
    for partial, share in ((1, 1.0), (2, 0.8), (3, 0.6), (4, 0.5), (6, 0.3), (8, 0.3)):
        drawbars[partial - 1] = share * rng.uniform(0.4, 1.0)
    return Patch(
        layers=(
            Layer(tuple(drawbars)),
            Layer((float(rng.uniform(0.2, 0.5)),), ratio=0.5),
            Layer(_group(drawbars, 2, 4), decay_s=0.15, response="hard"),
        ),
        attack_s=0.008,
        release_s=0.04,
        vibrato_hz=rng.uniform(5.8, 7.2),
        vibrato_cents=rng.uniform(0.0, 6.0),
        tremolo=rng.uniform(0.02, 0.2),
        noise_band="breath",
        noise_level=0.15,
        noise_decay_s=0.008,
    )


def _flute(rng: np.random.Generator) -> Patch:
    amplitudes = (1.0, rng.uniform(0.2, 0.5), rng.uniform(0.08, 0.25), rng.uniform(0.02, 0.08))
    return Patch(
        layers=(
            Layer(amplitudes[:1]),
            Layer((0.0, *amplitudes[1:]), response="hard"),
        ),
        attack_s=rng.uniform(0.03, 0.06),
        release_s=0.07,
        vibrato_hz=rng.uniform(4.6, 6.0),
        vibrato_cents=rng.uniform(12.0, 30.0),
        tremolo=rng.uniform(0.1, 0.3),
        noise_band="breath",
        noise_level=rng.uniform(0.07, 0.15),
    )


def _guitar(rng: np.random.Generator) -> Patch:
    count = 20
    pluck = rng.uniform(0.11, 0.3)  # where along the string, as a share of its length
    amplitudes = _harmonics(count, slope=rng.uniform(0.5, 0.8))
    amplitudes *= np.abs(np.sin(np.pi * pluck * np.arange(1, count + 1))) + 0.03
    ring_s = rng.uniform(0.35, 0.6)
    return Patch(
        layers=(
            Layer(_group(amplitudes, 1, 2), decay_s=ring_s),
            Layer(_group(amplitudes, 3, 6), decay_s=ring_s * 0.45),
            Layer(_group(amplitudes, 7, count), decay_s=ring_s * 0.2, response="hard"),
        ),
        attack_s=0.002,
        release_s=0.06,
        noise_band="rattle",
        noise_level=rng.uniform(0.3, 0.6),
        noise_decay_s=0.008,
    )


def _strings(rng: np.random.Generator) -> Patch:
    amplitudes = _harmonics(22, slope=rng.uniform(0.85, 1.15))
    spread = rng.uniform(0.002, 0.005)
    return Patch(
        layers=(
            Layer(_group(amplitudes, 1, 22), ratio=1 - spread),
            Layer(_group(amplitudes, 1, 22), ratio=1 + spread * 0.8),
            Layer(_group(amplitudes, 4, 22), response="hard"),
        ),
        attack_s=rng.uniform(0.05, 0.09),
        release_s=rng.uniform(0.12, 0.2),
        vibrato_hz=rng.uniform(4.8, 6.4),
        vibrato_cents=rng.uniform(6.0, 16.0),
        noise_band="rattle",
        noise_level=rng.uniform(0.01, 0.04),
    )


def _mallets(rng: np.random.Generator) -> Patch:
    # Second and third mode of marimba, vibraphone and glockenspiel bars.
    second, third = ((3.93, 9.2), (4.0, 10.2), (2.76, 5.4))[rng.integers(3)]
    ring_s = rng.uniform(0.25, 0.8)
    return Patch(
        layers=(
            Layer((1.0,), decay_s=ring_s),
            Layer((float(rng.uniform(0.5, 0.8)),), decay_s=ring_s * 0.5, ratio=second),
            Layer((0.6,), decay_s=ring_s * 0.25, ratio=third, response="hard"),
        ),
        attack_s=0.002,
        release_s=0.15,
        vibrato_hz=rng.uniform(4.0, 6.5),
        tremolo=rng.uniform(0.1, 0.4),
        noise_band="body",
        noise_level=rng.uniform(0.25, 0.45),
        noise_decay_s=0.008,
    )


def _bass(rng: np.random.Generator) -> Patch:
    amplitudes = _harmonics(14, slope=rng.uniform(1.0, 1.6))
    ring_s = rng.uniform(0.25, 0.6)  # at 440 Hz; three times as long where basses play
    return Patch(
        layers=(
            Layer(_group(amplitudes, 1, 2), decay_s=ring_s),
            Layer(_group(amplitudes, 3, 14), decay_s=ring_s * rng.uniform(0.2, 0.5)),
            Layer(_group(amplitudes, 5, 14), decay_s=ring_s * 0.1, response="hard"),
        ),
        attack_s=0.005,
        release_s=0.05,
        noise_band="body",
        noise_level=rng.uniform(0.02, 0.08),
        noise_decay_s=0.01,
    )


_PATCHES = {
    "piano": _piano,
    "organ": _organ,
    "flute": _flute,
    "guitar": _guitar,
    "strings": _strings,
    "mallets": _mallets,
    "bass": _bass,
}


@functools.lru_cache(maxsize=512)
def _table(amplitudes: tuple[float, ...]) -> np.ndarray:
    """Float32 [8192], one period; Schroeder's phases keep its crest low. 32 kB each."""
    size = 1 << _TABLE_BITS
    order = np.arange(1, len(amplitudes) + 1)
    phases = np.pi * order * (order - 1) / len(amplitudes)
    spectrum = np.zeros(size // 2 + 1, np.complex64)
    spectrum[order] = np.asarray(amplitudes) * np.exp(1j * phases) * (size / 2)
    return np.fft.irfft(spectrum, size).astype(np.float32)


def _decay_s(layer: Layer, hz):
    return layer.decay_s * (440.0 / hz) ** 0.5


def slope(num_samples: int) -> np.ndarray:
    """Float32 [num_samples], a raised cosine that rises from 0 towards 1."""
    return (0.5 - 0.5 * np.cos(np.pi * np.arange(num_samples) / num_samples)).astype(np.float32)


def tone(patch: Patch, *, hz: float, num_samples: int, sample_rate_hz: int) -> np.ndarray:
    """Float32 [2, num_samples]: a held note, as an "even" row and a "hard" row.

    A note of velocity v is `v * even + v**2 * hard`, faded over `release_s` where it ends.
    """
    counter = np.arange(num_samples, dtype=np.uint32)
    time_s = np.arange(num_samples, dtype=np.float32) * np.float32(1 / sample_rate_hz)
    rows = np.zeros((2, num_samples), np.float32)
    swing = None
    if patch.vibrato_cents or patch.tremolo:
        swing = np.sin(time_s * np.float32(2 * np.pi * patch.vibrato_hz))
    for layer in patch.layers:
        layer_hz = hz * layer.ratio
        partials = int(_NYQUIST_SHARE * 0.5 * sample_rate_hz / layer_hz)
        if not any(layer.amplitudes[:partials]):
            continue
        phase = counter * np.uint32(round(layer_hz / sample_rate_hz * 2**32))
        if patch.vibrato_cents:
            # The phase deviation whose derivative is the frequency deviation, in 2**-32 of a turn.
            turns = layer_hz * (2 ** (patch.vibrato_cents / 1200) - 1) / (2 * np.pi)
            phase += (
                (swing * np.float32(turns / patch.vibrato_hz * 2**32))
                .astype(np.int64)
                .astype(np.uint32)
            )
        wave = _table(layer.amplitudes[:partials]).take(phase >> np.uint32(32 - _TABLE_BITS))
        if math.isfinite(layer.decay_s):
            wave *= np.exp(time_s * np.float32(-1 / _decay_s(layer, hz)))
        rows[int(layer.response == "hard")] += wave
    if patch.tremolo:
        rows *= 1 - np.float32(patch.tremolo) * (0.5 + 0.5 * swing)
    if patch.noise_level:
        rows[0] += _friction(patch, time_s, hz=hz, sample_rate_hz=sample_rate_hz)
    attack = slope(max(1, round(patch.attack_s * sample_rate_hz)))[:num_samples]
    rows[:, : len(attack)] *= attack
    return rows


def _friction(patch: Patch, time_s: np.ndarray, *, hz: float, sample_rate_hz: int) -> np.ndarray:
    """Float32 like `time_s`: hammer, pick, bow or breath; each pitch has its own piece of noise."""
    wave = patch.noise_level * noise(
        patch.noise_band,
        start=round(hz * 997),
        num_samples=len(time_s),
        sample_rate_hz=sample_rate_hz,
    )
    if math.isfinite(patch.noise_decay_s):
        wave *= np.exp(time_s * np.float32(-1 / patch.noise_decay_s))
    return wave


def energy(patch: Patch, *, hz: np.ndarray, length_s: np.ndarray, velocity: np.ndarray):
    """Float64 [N], the integral over time of each note's square, in closed form.

    Layers are taken as uncorrelated, and attack, release and noise are neglected: within 1 dB.
    """
    total = np.zeros(len(hz))
    for layer in patch.layers:
        power = 0.5 * sum(a * a for a in layer.amplitudes)
        gain = velocity**2 if layer.response == "hard" else velocity
        if math.isfinite(layer.decay_s):
            half_s = _decay_s(layer, hz) / 2
            total += gain**2 * power * half_s * -np.expm1(-length_s / half_s)
        else:
            total += gain**2 * power * length_s
    return total * (1 - patch.tremolo / 2) ** 2
