"""Instruments: what each is made of as one artist plays it, and the sound of one note or stroke.

Every pitched instrument is a few layers. A layer is a group of partials that fade together:

    note(t) = attack(t) * sum over layers of table_l[phase_l(t)] * exp(-t / decay_l)  +  noise(t)

One layer that never fades is an organ; three layers whose upper partials fade first are a plucked
string (the modal form of Karplus and Strong, "Digital Synthesis of Plucked-String and Drum
Timbres", 1983); layers at inharmonic ratios are a bar of wood or metal. The phase is an integer
counter, so any part of a note has the same samples however it is cut. A stroke of a drum is
rendered once for a kit and struck many times.
"""

import dataclasses
import functools
import math

import numpy as np

MELODIC = ("piano", "organ", "flute", "guitar", "strings", "mallets")
PITCHED = (*MELODIC, "bass")
VOICES = ("kick", "snare", "rim", "clap", "tom", "hat", "open_hat", "ride", "shaker")

_TABLE_BITS = 13
_NYQUIST_SHARE = 0.9  # of the Nyquist frequency; partials above it are left out
_STROKE_S = 0.5
_BANK_SAMPLES = 1 << 16
_BANDS_HZ = {
    "hiss": (40.0, 20000.0),
    "thump": (60.0, 900.0),
    "body": (300.0, 3000.0),
    "breath": (900.0, 5000.0),
    "rattle": (1800.0, 9000.0),
    "sizzle": (4200.0, 20000.0),
}


@dataclasses.dataclass(frozen=True)
class Layer:
    """Partials that sound and fade together."""

    amplitudes: tuple[float, ...]  # of partials 1, 2, 3, ... of the layer's fundamental
    decay_s: float = math.inf  # to 1/e at 440 Hz; lower notes ring longer, by the square root
    ratio: float = 1.0  # the layer's fundamental over the note's
    power: int = 1  # of the velocity that it grows with; with 2, loud notes are brighter


@dataclasses.dataclass(frozen=True)
class Patch:
    """One artist's version of an instrument."""

    layers: tuple[Layer, ...]
    slopes_s: tuple[float, float]  # the raised cosines at both ends of a note, attack and release
    vibrato: tuple[float, float] = (5.5, 0.0)  # (rate in Hz, depth in cents)
    tremolo: float = 0.0  # depth of the amplitude modulation, at the rate of the vibrato
    # Of hammer, pick, bow or breath: (band, level, decay in s).
    noise: tuple[str, float, float] = ("body", 0.0, math.inf)


@dataclasses.dataclass(frozen=True)
class Kit:
    """One artist's drums."""

    tuning: float  # factor on every pitch
    damping: float  # factor on every decay time; below 1 is dry
    snap: float  # share of noise against tone in snare, tom and kick
    seed: int  # which stretch of noise the voices are cut from


def draw_patch(instrument: str, rng: np.random.Generator) -> Patch:
    """An instrument as one artist plays it; `rng` decides the timbre within its kind."""
    return _PATCHES[instrument](rng)


def draw_kit(rng: np.random.Generator) -> Kit:
    tuning, damping, snap = (
        2 ** rng.uniform(-0.3, 0.3),
        rng.uniform(0.65, 1.4),
        rng.uniform(0.6, 1.4),
    )
    return Kit(tuning, damping, snap, seed=int(rng.integers(1 << 16)))


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
    layers = (
        Layer(_group(amplitudes, 1, 3), ring_s),
        # Two strings of a note beat.
        Layer(_group(amplitudes * 0.6, 1, 4), ring_s * 0.8, 1 + rng.uniform(0.0008, 0.002)),
        Layer(_group(amplitudes, 4, 16), ring_s * 0.3, power=2),
    )
    return Patch(layers, (0.003, 0.12), noise=("thump", rng.uniform(0.3, 0.5), 0.025))


def _organ(rng: np.random.Generator) -> Patch:
    drawbars = np.zeros(8)
    for partial, share in ((1, 1.0), (2, 0.8), (3, 0.6), (4, 0.5), (6, 0.3), (8, 0.3)):
        drawbars[partial - 1] = share * rng.uniform(0.4, 1.0)
    layers = (
        Layer(tuple(drawbars)),
        Layer((float(rng.uniform(0.2, 0.5)),), ratio=0.5),
        Layer(_group(drawbars, 2, 4), 0.15, power=2),
    )
    return Patch(
        layers,
        (0.008, 0.04),
        vibrato=(rng.uniform(5.8, 7.2), rng.uniform(0.0, 6.0)),
        tremolo=rng.uniform(0.02, 0.2),
        noise=("breath", 0.15, 0.008),
    )


def _flute(rng: np.random.Generator) -> Patch:
    upper = (rng.uniform(0.2, 0.5), rng.uniform(0.08, 0.25), rng.uniform(0.02, 0.08))
    return Patch(
        (Layer((1.0,)), Layer((0.0, *upper), power=2)),
        (rng.uniform(0.03, 0.06), 0.07),
        vibrato=(rng.uniform(4.6, 6.0), rng.uniform(12.0, 30.0)),
        tremolo=rng.uniform(0.1, 0.3),
        noise=("breath", rng.uniform(0.07, 0.15), math.inf),
    )


def _guitar(rng: np.random.Generator) -> Patch:
    pluck = rng.uniform(0.11, 0.3)  # where along the string, as a share of its length
    amplitudes = _harmonics(20, slope=rng.uniform(0.5, 0.8))
    amplitudes *= np.abs(np.sin(np.pi * pluck * np.arange(1, 21))) + 0.03
    ring_s = rng.uniform(0.35, 0.6)
    layers = (
        Layer(_group(amplitudes, 1, 2), ring_s),
        Layer(_group(amplitudes, 3, 6), ring_s * 0.45),
        Layer(_group(amplitudes, 7, 20), ring_s * 0.2, power=2),
    )
    return Patch(layers, (0.002, 0.06), noise=("rattle", rng.uniform(0.3, 0.6), 0.008))


def _strings(rng: np.random.Generator) -> Patch:
    amplitudes = _harmonics(22, slope=rng.uniform(0.85, 1.15))
    spread = rng.uniform(0.002, 0.005)
    layers = (
        Layer(_group(amplitudes, 1, 22), ratio=1 - spread),
        Layer(_group(amplitudes, 1, 22), ratio=1 + spread * 0.8),
        Layer(_group(amplitudes, 4, 22), power=2),
    )
    return Patch(
        layers,
        (rng.uniform(0.05, 0.09), rng.uniform(0.12, 0.2)),
        vibrato=(rng.uniform(4.8, 6.4), rng.uniform(6.0, 16.0)),
        noise=("rattle", rng.uniform(0.01, 0.04), math.inf),
    )


def _mallets(rng: np.random.Generator) -> Patch:
    # Second and third mode of marimba, vibraphone and glockenspiel bars.
    second, third = ((3.93, 9.2), (4.0, 10.2), (2.76, 5.4))[rng.integers(3)]
    ring_s = rng.uniform(0.25, 0.8)
    layers = (
        Layer((1.0,), ring_s),
        Layer((float(rng.uniform(0.5, 0.8)),), ring_s * 0.5, second),
        Layer((0.6,), ring_s * 0.25, third, power=2),
    )
    return Patch(
        layers,
        (0.002, 0.15),
        vibrato=(rng.uniform(4.0, 6.5), 0.0),
        tremolo=rng.uniform(0.1, 0.4),
        noise=("body", rng.uniform(0.25, 0.45), 0.008),
    )


def _bass(rng: np.random.Generator) -> Patch:
    amplitudes = _harmonics(14, slope=rng.uniform(1.0, 1.6))
    ring_s = rng.uniform(0.25, 0.6)  # at 440 Hz; three times as long where basses play
    layers = (
        Layer(_group(amplitudes, 1, 2), ring_s),
        Layer(_group(amplitudes, 3, 14), ring_s * rng.uniform(0.2, 0.5)),
        Layer(_group(amplitudes, 5, 14), ring_s * 0.1, power=2),
    )
    return Patch(layers, (0.005, 0.05), noise=("body", rng.uniform(0.02, 0.08), 0.01))


_PATCHES = dict(
    zip(PITCHED, (_piano, _organ, _flute, _guitar, _strings, _mallets, _bass), strict=True)
)


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


def _fade(time_s: np.ndarray, decay_s: float) -> np.ndarray:
    return np.exp(-time_s / decay_s)


def slope(num_samples: int) -> np.ndarray:
    """Float32 [num_samples], a raised cosine that rises from 0 towards 1."""
    return (0.5 - 0.5 * np.cos(np.pi * np.arange(num_samples) / num_samples)).astype(np.float32)


def tone(patch: Patch, *, hz: float, num_samples: int, sample_rate_hz: int) -> np.ndarray:
    """Float32 [2, num_samples]: a held note, of which row i grows with velocity ** (i + 1)."""
    counter = np.arange(num_samples, dtype=np.uint32)
    time_s = np.arange(num_samples, dtype=np.float32) * np.float32(1 / sample_rate_hz)
    rows = np.zeros((2, num_samples), np.float32)
    vibrato_hz, vibrato_cents = patch.vibrato
    if vibrato_cents or patch.tremolo:
        swing = np.sin(time_s * np.float32(2 * np.pi * vibrato_hz))
    for layer in patch.layers:
        layer_hz = hz * layer.ratio
        partials = int(_NYQUIST_SHARE * 0.5 * sample_rate_hz / layer_hz)
        if not any(layer.amplitudes[:partials]):
            continue
        phase = counter * np.uint32(round(layer_hz / sample_rate_hz * 2**32))
        if vibrato_cents:
            # The phase deviation whose derivative is the frequency deviation, in 2**-32 of a turn.
            turns = layer_hz * (2 ** (vibrato_cents / 1200) - 1) / (2 * np.pi)
            deviation = swing * np.float32(turns / vibrato_hz * 2**32)
            phase += deviation.astype(np.int64).astype(np.uint32)
        wave = _table(layer.amplitudes[:partials]).take(phase >> np.uint32(32 - _TABLE_BITS))
        if math.isfinite(layer.decay_s):
            wave *= np.exp(time_s * np.float32(-1 / _decay_s(layer, hz)))
        rows[layer.power - 1] += wave
    if patch.tremolo:
        rows *= 1 - np.float32(patch.tremolo) * (0.5 + 0.5 * swing)
    band, level, decay_s = patch.noise
    if level:
        # Each pitch has its own piece of noise.
        place = {"start": round(hz * 997), "num_samples": num_samples}
        wave = level * noise(band, **place, sample_rate_hz=sample_rate_hz)
        if math.isfinite(decay_s):
            wave *= np.exp(time_s * np.float32(-1 / decay_s))
        rows[0] += wave
    attack = slope(max(1, round(patch.slopes_s[0] * sample_rate_hz)))[:num_samples]
    rows[:, : len(attack)] *= attack
    return rows


def energy(patch: Patch, *, hz: np.ndarray, length_s: np.ndarray, velocity: np.ndarray):
    """Float64 [N], the integral over time of each note's square, in closed form.

    Layers are taken as uncorrelated, and attack, release and noise are neglected: within 1 dB.
    """
    total = np.zeros(len(hz))
    for layer in patch.layers:
        power = (velocity**layer.power) ** 2 * (0.5 * sum(a * a for a in layer.amplitudes))
        if math.isfinite(layer.decay_s):
            half_s = _decay_s(layer, hz) / 2
            total += power * half_s * -np.expm1(-length_s / half_s)
        else:
            total += power * length_s
    return total * (1 - patch.tremolo / 2) ** 2


@functools.lru_cache(maxsize=32)
def strokes(kit: Kit, sample_rate_hz: int) -> tuple[np.ndarray, ...]:
    """One stroke of each of `VOICES`, float32 [0.5 s], zero at both ends; 290 kB at 16 kHz."""
    num_samples = round(_STROKE_S * sample_rate_hz)
    time_s = np.arange(num_samples) / sample_rate_hz
    edges = np.clip(np.minimum(time_s / 0.001, (_STROKE_S - time_s) / 0.02), 0, 1)
    waves = []
    for number, voice in enumerate(VOICES):
        place = {"start": kit.seed + number * num_samples, "num_samples": num_samples}
        draw = functools.partial(noise, **place, sample_rate_hz=sample_rate_hz)
        waves.append((_stroke(voice, kit, time_s, draw) * edges).astype(np.float32))
    return tuple(waves)


def _stroke(voice: str, kit: Kit, t: np.ndarray, draw) -> np.ndarray:
    """One stroke: t seconds [N]; `draw(band)` gives noise [N] of unit RMS."""
    tune, damp, snap = kit.tuning, kit.damping, kit.snap
    match voice:
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
    shaker = 0.3 * draw("rattle") * np.minimum(t / 0.018, 1)
    return shaker * _fade(t, 0.03 * damp)


def _drop(time_s: np.ndarray, *, from_hz: float, to_hz: float, glide_s: float) -> np.ndarray:
    """A sine whose pitch falls exponentially, as a skin's does while its tension relaxes."""
    turns = to_hz * time_s + (from_hz - to_hz) * glide_s * -np.expm1(-time_s / glide_s)
    return np.sin(2 * np.pi * turns)


def _chime(time_s: np.ndarray, partials_hz: tuple[float, ...]) -> np.ndarray:
    """Equal sines, those above the Nyquist frequency left out."""
    heard = [np.sin(2 * np.pi * hz * time_s) for hz in partials_hz if hz < 0.5 / time_s[1]]
    return sum(heard) / len(heard)


def noise(band: str, *, start: int, num_samples: int, sample_rate_hz: int) -> np.ndarray:
    """Float32 [num_samples] with unit RMS from position `start` of the endless noise `band`.

    Any window of a song can cut it out and find the same.
    """
    bank = _bank(band, sample_rate_hz)
    return bank.take(np.arange(start, start + num_samples), mode="wrap")


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
    return (wave / np.sqrt(np.mean(wave**2))).astype(np.float32)
