"""The mixer: from a score to the samples of any window of the song.

A window has the very samples of the whole song: notes are placed by sample, levels come from the
score in closed form, and room and saturation need no more than a few milliseconds of the past.
"""

import functools
from typing import NamedTuple

import numpy as np

from mclf_jax.data.synthesis.instruments import energy, noise, slope, strokes, tone
from mclf_jax.data.synthesis.score import Part, Score

_FADE_OUT_S = 0.4


class _Track(NamedTuple):
    """A part on tape: sample positions [N] where notes start, are let go and end; and a gain."""

    part: Part
    start: np.ndarray
    release: np.ndarray
    end: np.ndarray
    gain: float


def render(score: Score, *, sample_rate_hz: int, start_sample: int, num_samples: int) -> np.ndarray:
    """Float32 [num_samples] of the song from `start_sample`, within [-1, 1]."""
    artist = score.artist
    delays = [1, *(round(delay_s * sample_rate_hz) for delay_s, _ in artist.room)]
    gains = [artist.tilt, *(gain for _, gain in artist.room)]
    past = max(delays)
    dry = np.zeros(past + num_samples, np.float32)
    for track in _tracks(score, sample_rate_hz):
        _play(dry, track, score, origin=start_sample - past, sample_rate_hz=sample_rate_hz)
    wet = dry[past:].copy()
    for delay, gain in zip(delays, gains, strict=True):
        wet += np.float32(gain) * dry[past - delay : past - delay + num_samples]
    place = {"start": artist.kit.seed + start_sample, "num_samples": num_samples}
    hiss_gain = np.float32(10 ** ((score.loudness_db + artist.hiss_db) / 20))
    wet += hiss_gain * noise("hiss", **place, sample_rate_hz=sample_rate_hz)
    total = round(score.song_s * sample_rate_hz)
    fade = slope(min(total, round(_FADE_OUT_S * sample_rate_hz)))[::-1]
    begin = max(start_sample, total - len(fade))
    if begin < start_sample + num_samples:
        faded = wet[begin - start_sample :]
        faded *= fade[begin - total :][: len(faded)]
    # A rational tanh (Padé, 3 over 2): transparent when soft, never beyond 1.
    wet = np.clip(wet, -3.0, 3.0)
    square = wet * wet
    return wet * (27.0 + square) / (27.0 + 9.0 * square)


@functools.lru_cache(maxsize=256)
def _tracks(score: Score, sample_rate_hz: int) -> tuple[_Track, ...]:
    """Positions and gains of all parts, so that the song has the RMS `score.loudness_db`.

    The notes' energies are known in closed form. Parts are weighted by `level_db`; within a part,
    velocities keep their proportions.
    """
    artist = score.artist
    powers = [10 ** (part.level_db / 10) for part in score.parts]
    reflected = 1 + artist.tilt**2 + sum(gain**2 for _, gain in artist.room)
    target = 10 ** (score.loudness_db / 10) * score.song_s / sum(powers) / reflected
    tracks = []
    for part, power in zip(score.parts, powers, strict=True):
        start = np.round(part.start_s * sample_rate_hz).astype(np.int64)
        if part.instrument == "drums":
            waves = strokes(artist.kit, sample_rate_hz)
            release = end = start + len(waves[0])
            of_voice = [float(np.square(wave).sum()) for wave in waves]
            energies = part.velocity**2 * np.take(of_voice, part.pitch)
            part_energy = float(energies.sum()) / sample_rate_hz
        else:
            patch = artist.patches[part.instrument]
            length = np.round(part.length_s * sample_rate_hz).astype(np.int64)
            release = start + np.maximum(1, length)
            end = release + round(patch.slopes_s[1] * sample_rate_hz)
            # A note that overruns the song counts as far as it is heard.
            heard_s = np.minimum(part.length_s + patch.slopes_s[1] / 3, score.song_s - part.start_s)
            hz = _hz(part.pitch, score)
            energies = energy(patch, hz=hz, length_s=heard_s, velocity=part.velocity)
            part_energy = float(energies.sum())
        gain = float(np.sqrt(target * power / part_energy))
        tracks.append(_Track(part, start, release, end, gain))
    return tuple(tracks)


def _hz(pitch, score: Score):
    """Frequency in equal temperament of a MIDI note number (69 is A4), scalar or array."""
    return score.artist.a4_hz * 2.0 ** ((pitch - 69.0) / 12.0)


def _play(out: np.ndarray, track: _Track, score: Score, *, origin: int, sample_rate_hz: int):
    """Adds the notes that sound in `out`, whose first sample is number `origin` of the song.

    A pitch is synthesised once, as long as its longest note here, and cut for each note.
    """
    part, stop = track.part, origin + len(out)
    sounding = np.flatnonzero((track.end > origin) & (track.start < stop))
    fade = np.ones(0, np.float32)
    if part.instrument == "drums":
        rows = [wave[None] for wave in strokes(score.artist.kit, sample_rate_hz)]
    else:
        patch = score.artist.patches[part.instrument]
        fade = slope(round(patch.slopes_s[1] * sample_rate_hz))[::-1]
        needed: dict[int, int] = {}
        for note in sounding:
            length = int(min(track.end[note], stop) - track.start[note])
            pitch = int(part.pitch[note])
            needed[pitch] = max(needed.get(pitch, 0), length)
        rows = {
            pitch: tone(
                patch,
                hz=float(_hz(pitch, score)),
                num_samples=length,
                sample_rate_hz=sample_rate_hz,
            )
            for pitch, length in needed.items()
        }
    for note in sounding:
        start, release, end = (int(at[note]) for at in (track.start, track.release, track.end))
        first, last = max(start, origin), min(end, stop)
        velocity = float(part.velocity[note])
        cut = rows[int(part.pitch[note])][:, first - start : last - start]
        wave, *harder = (np.float32(track.gain * velocity**i) * row for i, row in enumerate(cut, 1))
        for row in harder:
            wave += row
        if last > release:
            begin = max(first, release)
            wave[begin - first :] *= fade[begin - release : last - release]
        out[first - origin : last - origin] += wave
