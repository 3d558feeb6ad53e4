"""The mixer: from a score to the samples of any window of the song.

A window has the very samples of the whole song: notes are placed by sample, levels come from the
score in closed form, and room and saturation need no more than a few milliseconds of the past.
"""

import functools
from typing import NamedTuple

import numpy as np

from mclf_jax.data.synthesis import drums
from mclf_jax.data.synthesis.artists import Artist
from mclf_jax.data.synthesis.instruments import energy, midi_to_hz, slope, tone
from mclf_jax.data.synthesis.noise import noise
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
    delays = [1, *(round(delay_s * sample_rate_hz) for delay_s, _ in score.artist.room)]
    gains = [score.artist.tilt, *(gain for _, gain in score.artist.room)]
    past = max(delays)
    dry = np.zeros(past + num_samples, np.float32)
    for track in _tracks(score, sample_rate_hz):
        add = _strike if track.part.instrument == "drums" else _play
        add(
            dry,
            track,
            origin=start_sample - past,
            artist=score.artist,
            sample_rate_hz=sample_rate_hz,
        )
    wet = dry[past:].copy()
    for delay, gain in zip(delays, gains, strict=True):
        wet += np.float32(gain) * dry[past - delay : past - delay + num_samples]
    hiss_gain = 10 ** ((score.loudness_db + score.artist.hiss_db) / 20)
    wet += np.float32(hiss_gain) * noise(
        "hiss",
        start=score.artist.kit.seed + start_sample,
        num_samples=num_samples,
        sample_rate_hz=sample_rate_hz,
    )
    _fade_out(
        wet,
        start_sample=start_sample,
        total=round(score.song_s * sample_rate_hz),
        sample_rate_hz=sample_rate_hz,
    )
    return _saturate(wet)


@functools.lru_cache(maxsize=256)
def _tracks(score: Score, sample_rate_hz: int) -> tuple[_Track, ...]:
    """Positions and gains of all parts, so that the song has the RMS `score.loudness_db`.

    The notes' energies are known in closed form. Parts are weighted by `level_db`; within a part,
    velocities keep their proportions.
    """
    energies = [_energy(part, score, sample_rate_hz) for part in score.parts]
    powers = [10 ** (part.level_db / 10) for part in score.parts]
    reflected = 1 + score.artist.tilt**2 + sum(gain**2 for _, gain in score.artist.room)
    target = 10 ** (score.loudness_db / 10) * score.song_s / sum(powers) / reflected
    tracks = []
    for part, part_energy, power in zip(score.parts, energies, powers, strict=True):
        start = np.round(part.start_s * sample_rate_hz).astype(np.int64)
        release = start + np.maximum(1, np.round(part.length_s * sample_rate_hz).astype(np.int64))
        if part.instrument == "drums":
            end = start + len(drums.strokes(score.artist.kit, sample_rate_hz)["kick"])
        else:
            release_s = score.artist.patches[part.instrument].release_s
            end = release + round(release_s * sample_rate_hz)
        gain = float(np.sqrt(target * power / part_energy))
        tracks.append(_Track(part, start, release, end, gain))
    return tuple(tracks)


def _energy(part: Part, score: Score, sample_rate_hz: int) -> float:
    """The integral over time of the part's square, at gain 1."""
    if part.instrument == "drums":
        rendered = drums.strokes(score.artist.kit, sample_rate_hz)
        of_voice = [float(np.square(rendered[name]).sum()) for name in drums.VOICES]
        return float((part.velocity**2 * np.take(of_voice, part.pitch)).sum()) / sample_rate_hz
    patch = score.artist.patches[part.instrument]
    hz = midi_to_hz(part.pitch, a4_hz=score.artist.a4_hz)
    # A note that overruns the song counts as far as it is heard.
    length_s = np.minimum(part.length_s + patch.release_s / 3, score.song_s - part.start_s)
    return float(energy(patch, hz=hz, length_s=length_s, velocity=part.velocity).sum())


def _play(
    out: np.ndarray, track: _Track, *, origin: int, artist: Artist, sample_rate_hz: int
) -> None:
    """Adds the notes that sound in `out`, whose first sample is number `origin` of the song.

    A pitch is synthesised once, as long as its longest note here, and cut for each note.
    """
    patch = artist.patches[track.part.instrument]
    sounding = np.flatnonzero((track.end > origin) & (track.start < origin + len(out)))
    needed = np.minimum(track.end, origin + len(out)) - track.start
    longest: dict[int, int] = {}
    for note in sounding:
        pitch = int(track.part.pitch[note])
        longest[pitch] = max(longest.get(pitch, 0), int(needed[note]))
    tones = {
        pitch: tone(
            patch,
            hz=float(midi_to_hz(pitch, a4_hz=artist.a4_hz)),
            num_samples=length,
            sample_rate_hz=sample_rate_hz,
        )
        for pitch, length in longest.items()
    }
    fade = slope(round(patch.release_s * sample_rate_hz))[::-1]
    for note in sounding:
        start, release, end = (int(at[note]) for at in (track.start, track.release, track.end))
        first, last = max(start, origin), min(end, origin + len(out))
        even, hard = tones[int(track.part.pitch[note])][:, first - start : last - start]
        velocity = float(track.part.velocity[note])
        wave = np.float32(track.gain * velocity) * even
        wave += np.float32(track.gain * velocity**2) * hard
        if last > release:
            begin = max(first, release)
            wave[begin - first :] *= fade[begin - release : last - release]
        out[first - origin : last - origin] += wave


def _strike(
    out: np.ndarray, track: _Track, *, origin: int, artist: Artist, sample_rate_hz: int
) -> None:
    """Adds the drum strokes that sound in `out`, whose first sample is number `origin`."""
    rendered = drums.strokes(artist.kit, sample_rate_hz)
    for note in np.flatnonzero((track.end > origin) & (track.start < origin + len(out))):
        start, end = int(track.start[note]), int(track.end[note])
        first, last = max(start, origin), min(end, origin + len(out))
        wave = rendered[drums.VOICES[track.part.pitch[note]]][first - start : last - start]
        gain = np.float32(track.gain * track.part.velocity[note])
        out[first - origin : last - origin] += gain * wave


def _fade_out(wave: np.ndarray, *, start_sample: int, total: int, sample_rate_hz: int) -> None:
    """Lowers what lies in the last `_FADE_OUT_S` of a song of `total` samples."""
    length = min(total, round(_FADE_OUT_S * sample_rate_hz))
    begin = max(start_sample, total - length)
    end = start_sample + len(wave)
    if end > begin:
        fade = slope(length)[::-1]
        wave[begin - start_sample :] *= fade[begin - total + length : end - total + length]


def _saturate(wave: np.ndarray) -> np.ndarray:
    """A rational tanh (Padé, 3 over 2): transparent when soft, never beyond 1."""
    wave = np.clip(wave, -3.0, 3.0)
    square = wave * wave
    return wave * (27.0 + square) / (27.0 + 9.0 * square)
