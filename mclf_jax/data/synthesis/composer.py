"""The composer: from (seed, index) to a score, with every label known because it was decided here.

A song is drawn top down: style and artist, tempo, key and mode, chords, then the parts that play
over them. Melodies are built from motifs of one bar that return over changing chords; chords
move by the shortest way from one to the next; the bass takes the chord's degrees.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mclf_jax.data.synthesis.instruments import (
    MELODIC,
    PITCHED,
    VOICES,
    draw_kit,
    draw_patch,
)
from mclf_jax.data.synthesis.score import Artist, Part, Score
from mclf_jax.data.synthesis.styles import STYLES

_FORMS = ("AABA", "ABAB", "AABC", "ABAC")
_LEVELS_DB = {"lead": 0.0, "colour": -2.0, "chords": -2.0, "bass": -3.0, "drums": -3.0}
_REGISTERS = {"piano": 0, "organ": 0, "flute": 5, "guitar": -2, "strings": 2, "mallets": 4}
_LEAD_CENTRE = 71  # MIDI note numbers, here and below
_CHORD_FLOOR = 53  # leaves the octaves below to bass and kick
_BASS_FLOOR = 28
_STRUM_S = 0.014  # from one string of the guitar to the next


class Stroke(NamedTuple):
    """One note on the grid of a song; `sign` is its character in the pattern."""

    bar: int
    step: int
    length_steps: int
    sign: str
    pitch: int = 0


def place(index: int) -> tuple[str, int]:
    """Style and artist number of a song; they don't depend on how many songs there are.

    Styles take turns. Within a style, each three artists play six songs.
    """
    turn, style = divmod(index, len(STYLES))
    return list(STYLES)[style], 3 * (turn // 6) + turn % 3


@functools.lru_cache(maxsize=512)
def draw_artist(seed: int, style: str, number: int) -> Artist:
    """The artist with this number among those of `style`; the same for the same arguments."""
    rng = np.random.default_rng([seed, 1, list(STYLES).index(style), number])
    weights = STYLES[style].preference
    delays_s = np.sort(rng.uniform(0.006, 0.055, size=4))
    gains = rng.uniform(0.05, 0.35) * np.exp(-delays_s / 0.04) * rng.choice([-1, 1], size=4)
    return Artist(
        style=style,
        tempo_bias=float(rng.uniform()),
        register_semitones=int(rng.integers(-4, 5)),
        swing=float(rng.uniform(0.0, STYLES[style].most_swing)),
        jitter_s=float(rng.uniform(0.001, 0.007)),
        a4_hz=float(440 * 2 ** (rng.uniform(-15, 15) / 1200)),
        preference={name: float(weights.get(name, 1.0) * rng.gamma(4.0) / 4.0) for name in MELODIC},
        patches={name: draw_patch(name, rng) for name in PITCHED},
        kit=draw_kit(rng),
        room=tuple((float(d), float(g)) for d, g in zip(delays_s, gains, strict=True)),
        tilt=float(rng.uniform(-0.3, 0.4)),
        hiss_db=float(rng.uniform(-60, -45)),
    )


@functools.lru_cache(maxsize=256)
def compose(*, seed: int, index: int, song_s: float) -> Score:
    """The song with this index. A few milliseconds, and about 20 kB in the cache."""
    style_name, artist_number = place(index)
    style, artist = STYLES[style_name], draw_artist(seed, style_name, artist_number)
    rng = np.random.default_rng([seed, 2, index])
    span_bpm = style.high_bpm - style.low_bpm
    tempo_bpm = float(style.low_bpm + span_bpm * (artist.tempo_bias + rng.uniform()) / 2)
    score = Score(artist, tempo_bpm, _pick(rng, style.modes), _tonic(seed, index), song_s)
    score = dataclasses.replace(score, chords=_harmony(rng, score))

    weights = np.array([artist.preference[name] for name in MELODIC])
    cast = rng.choice(len(MELODIC), size=3, replace=False, p=weights / weights.sum())
    lead, comping, colour = (MELODIC[i] for i in cast)
    tune = list(_melody(rng, score, centre=_LEAD_CENTRE + _REGISTERS[lead]))
    played = [
        ("lead", lead, tune, style.lead_gate),
        ("chords", comping, _comp(rng, score), style.chord_gate),
    ]
    doubles, plays_colour, has_bass, has_drums = rng.uniform(size=4)
    if plays_colour < 0.55:
        line = _octave_away(rng, tune) if doubles < 0.4 else _pad(score)
        played.append(("colour", colour, line, 0.97))
    if has_bass < style.bass_share:
        played.append(("bass", "bass", _walk(rng, score), 0.9))
    if has_drums < style.drums_share:
        played.append(("drums", "drums", _groove(rng, score), 0.0))
    # Parts are generators: each draws its pattern when its turn has come to be performed.
    parts = [
        _perform(rng, score, role=role, instrument=instrument, strokes=list(strokes), gate=gate)
        for role, instrument, strokes, gate in played
    ]
    return dataclasses.replace(
        score,
        loudness_db=float(rng.uniform(-28, -20)),
        # A song of a second may end before a part comes in.
        parts=tuple(part for part in parts if len(part.start_s)),
    )


def _pick(rng: np.random.Generator, options: Sequence):
    return options[int(rng.integers(len(options)))]


def _tonic(seed: int, index: int) -> int:
    """A pitch class; twelve songs in a row of one style have twelve different ones."""
    turn, style = divmod(index, len(STYLES))
    order = np.random.default_rng([seed, 3, style, turn // 12]).permutation(12)
    return int(order[turn % 12])


def _read(score: Score, pattern: str) -> Iterator[Stroke]:
    """The strokes of a pattern (`styles` has the notation), repeated to the end of the song."""
    bars = pattern.split("|")
    for bar in range(score.num_bars):
        signs = bars[bar % len(bars)]
        for step, sign in enumerate(signs):
            if sign not in ".-":
                held = len(signs[step + 1 :]) - len(signs[step + 1 :].lstrip("-"))
                yield Stroke(bar, step, 1 + held, sign)


def _slot(score: Score, stroke: Stroke) -> int:
    """Which chord of the song a stroke is under."""
    steps = score.style.steps
    return (stroke.bar * steps + stroke.step) * score.style.chords_per_bar // steps


def _harmony(rng: np.random.Generator, score: Score) -> tuple[tuple[int, ...], ...]:
    """Pitch classes, root first, of all chords of the song; the last whole bar is the tonic's."""
    style, scale = score.style, score.scale
    progression = _pick(rng, style.progressions)
    shift = 4 * int(rng.integers(len(progression) // 4))
    slots = score.num_bars * style.chords_per_bar
    degrees = [int(progression[(slot + shift) % len(progression)]) for slot in range(slots)]
    home = score.last_bar * style.chords_per_bar
    degrees[home:] = [1] * (slots - home)
    if home > 0:
        degrees[home - 1] = style.cadence
    chords = []
    for degree in degrees:
        root = scale.harmony[degree - 1]
        if scale.chord:
            intervals = [root + interval for interval in scale.chord]
        elif style.chord_size == 2:
            intervals = [root, root + 7]
        else:
            thirds = range(degree - 1, degree - 1 + 2 * style.chord_size, 2)
            intervals = [scale.harmony[third % 7] for third in thirds]
        chords.append(tuple((score.tonic + interval) % 12 for interval in intervals))
    return tuple(chords)


def _voicings(score: Score) -> list[list[int]]:
    """MIDI note numbers of each chord, each the inversion nearest to the one before."""
    voicings = [[_CHORD_FLOOR + 3 + 4 * i for i in range(5)]]
    for chord in score.chords:
        inversions = []
        for turn in range(len(chord)):
            pitches = [_CHORD_FLOOR + (chord[turn] - _CHORD_FLOOR) % 12]
            for pitch_class in chord[turn + 1 :] + chord[:turn]:
                pitches.append(pitches[-1] + (pitch_class - pitches[-1]) % 12)
            if len(chord) == 2:
                pitches.append(pitches[0] + 12)
            moves = (abs(a - b) for a, b in zip(voicings[-1], pitches, strict=False))
            inversions.append((sum(moves), pitches))
        voicings.append(min(inversions, key=lambda inversion: inversion[0])[1])
    return voicings[1:]


def _melody(rng: np.random.Generator, score: Score, *, centre: int) -> Iterator[Stroke]:
    """Motifs of a bar in a form such as AABA; notes on the beat belong to the chord.

    The last whole bar ends on the tonic, and holds it.
    """
    style, tonic = score.style, score.tonic
    centre += score.artist.register_semitones
    scale = {(tonic + step) % 12 for step in score.scale.melody}
    ladder = [pitch for pitch in range(centre - 14, centre + 15) if pitch % 12 in scale]
    middle = min(range(len(ladder)), key=lambda rung: abs(ladder[rung] - centre))
    form = _pick(rng, _FORMS)
    order = rng.permutation(len(style.lead))
    motifs = {
        letter: (list(_read(score, style.lead[order[i]])), _contour(rng, style.steps))
        for i, letter in enumerate("ABC")
    }
    for bar in range(score.num_bars):
        strokes, contour = motifs[form[bar % len(form)]]
        strokes = [stroke for stroke in strokes if stroke.bar == bar]
        for note, stroke in enumerate(strokes):
            ends = note == len(strokes) - 1
            pitch = ladder[middle + contour[note]]
            if stroke.step % style.steps_per_beat == 0 or ends:
                pitch = _nearest(pitch, score.chords[_slot(score, stroke)])
            if ends and bar == score.last_bar:
                pitch = _nearest(pitch, (tonic,))
                stroke = stroke._replace(length_steps=style.steps - stroke.step)
            yield stroke._replace(pitch=pitch)


def _contour(rng: np.random.Generator, length: int) -> list[int]:
    """Offsets in scale steps of the notes of a motif: mostly by step, turning back at a fourth."""
    offsets = [int(rng.integers(-1, 2))]
    for _ in range(length - 1):
        move = _pick(rng, (-2, -1, -1, -1, 1, 1, 1, 2, 0))
        offsets.append(offsets[-1] + (-move if abs(offsets[-1] + move) > 4 else move))
    return offsets


def _nearest(pitch: int, pitch_classes: Sequence[int]) -> int:
    near = (pitch + (pitch_class - pitch + 6) % 12 - 6 for pitch_class in pitch_classes)
    return min(near, key=lambda other: abs(other - pitch))


def _octave_away(rng: np.random.Generator, tune: Sequence[Stroke]) -> list[Stroke]:
    shift = _pick(rng, (-12, 12)) if np.mean([s.pitch for s in tune]) < 73 else -12
    return [stroke._replace(pitch=stroke.pitch + shift) for stroke in tune]


def _comp(rng: np.random.Generator, score: Score) -> Iterator[Stroke]:
    voicings = _voicings(score)
    for stroke in _read(score, _pick(rng, score.style.chords)):
        voicing = voicings[_slot(score, stroke)]
        if stroke.sign.isdigit():
            octave, voice = divmod(int(stroke.sign), len(voicing))
            yield stroke._replace(pitch=voicing[voice] + 12 * octave)
        else:
            yield from (stroke._replace(pitch=pitch) for pitch in voicing)


def _pad(score: Score) -> Iterator[Stroke]:
    """The upper voices of each chord, an octave up and held."""
    length = score.style.steps // score.style.chords_per_bar
    for slot, voicing in enumerate(_voicings(score)):
        bar, part = divmod(slot, score.style.chords_per_bar)
        for pitch in voicing[-2:]:
            yield Stroke(bar, part * length, length, "o", pitch + 12)


def _walk(rng: np.random.Generator, score: Score) -> Iterator[Stroke]:
    for stroke in _read(score, _pick(rng, score.style.bass)):
        chord = score.chords[_slot(score, stroke)]
        third, fifth = ((pitch - chord[0]) % 12 for pitch in (chord[1], chord[1:3][-1]))
        above = {"1": 0, "3": third, "5": fifth, "6": 9, "8": 12}
        root = _BASS_FLOOR + (chord[0] - _BASS_FLOOR) % 12
        yield stroke._replace(pitch=root + above[stroke.sign])


def _groove(rng: np.random.Generator, score: Score) -> Iterator[Stroke]:
    for voice, pattern in _pick(rng, score.style.drums).items():
        for stroke in _read(score, pattern):
            yield stroke._replace(pitch=VOICES.index(voice))


def _perform(
    rng: np.random.Generator,
    score: Score,
    *,
    role: str,
    instrument: str,
    strokes: Sequence[Stroke],
    gate: float,
) -> Part:
    """From the grid to seconds and velocities, with swing and a human hand."""
    artist, style = score.artist, score.style
    step_s = score.bar_s / style.steps
    bar, step, length, pitch = (
        np.array([getattr(stroke, field) for stroke in strokes])
        for field in ("bar", "step", "length_steps", "pitch")
    )
    late = artist.swing * (step % 2) if style.steps_per_beat != 3 else 0.0
    start_s = bar * score.bar_s + (step + late) * step_s
    if instrument == "guitar":
        # How many strings before each begin at the same step.
        begins = np.flatnonzero(np.diff(bar * style.steps + step, prepend=-1))
        place = np.arange(len(step)) - np.repeat(begins, np.diff(begins, append=len(step)))
        start_s += _STRUM_S * place
    start_s = np.maximum(start_s + artist.jitter_s * rng.standard_normal(len(strokes)), 0.0)
    touch = {"X": 0.15, "o": -0.25}
    velocity = 0.68 + np.array([touch.get(stroke.sign, 0.0) for stroke in strokes])
    velocity += np.where(step == 0, 0.1, np.where(step % style.steps_per_beat == 0, 0.04, -0.04))
    velocity = np.clip(velocity + 0.05 * rng.standard_normal(len(strokes)), 0.1, 1.0)
    audible = start_s < score.song_s - 0.05
    return Part(
        role=role,
        instrument=instrument,
        level_db=_LEVELS_DB[role] + float(rng.uniform(-1.5, 1.5)),
        start_s=start_s[audible],
        length_s=(gate * length * step_s)[audible],
        pitch=pitch[audible],
        velocity=velocity[audible],
    )
