"""The composer: from (seed, index) to a score, with every label known because it was decided here.

A song is drawn top down: style and artist, tempo, key and mode, chords, then the parts that play
over them. Melodies are built from motifs of one bar that return over changing chords; chords
move by the shortest way from one to the next; the bass takes the chord's degrees.
"""

import dataclasses
import functools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mclf_jax.data.synthesis.artists import Artist, draw_artist
from mclf_jax.data.synthesis.drums import VOICES
from mclf_jax.data.synthesis.instruments import MELODIC
from mclf_jax.data.synthesis.score import Part, Score
from mclf_jax.data.synthesis.styles import MODES, STYLES, Mode, Style

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


@dataclasses.dataclass(frozen=True)
class Sketch:
    """A song before its notes.

    Attributes:
        style, artist, mode, tonic: what was drawn first.
        song_s, bar_s: lengths.
        steps: of a bar.
        num_bars: bars that begin before the song ends.
        last_bar: the last that is whole, where the music comes home.
        chords: pitch classes, root first, of each slot; a bar has `style.chords_per_bar` slots.
        voicings: MIDI note numbers of each chord.
    """

    style: Style
    artist: Artist
    mode: Mode
    tonic: int
    song_s: float
    bar_s: float
    steps: int
    num_bars: int
    last_bar: int
    chords: Sequence[tuple[int, ...]] = ()
    voicings: Sequence[list[int]] = ()

    def slot(self, stroke: Stroke) -> int:
        return (stroke.bar * self.steps + stroke.step) * self.style.chords_per_bar // self.steps

    def read(self, pattern: str) -> Iterator[Stroke]:
        """The strokes of a pattern (`styles` has the notation), repeated to the end of the song."""
        bars = pattern.split("|")
        for bar in range(self.num_bars):
            signs = bars[bar % len(bars)]
            for step, sign in enumerate(signs):
                if sign not in ".-":
                    held = len(signs[step + 1 :]) - len(signs[step + 1 :].lstrip("-"))
                    yield Stroke(bar, step, 1 + held, sign)


def place(index: int) -> tuple[str, int]:
    """Style and artist number of a song; they don't depend on how many songs there are.

    Styles take turns. Within a style, each three artists play six songs.
    """
    turn, style = divmod(index, len(STYLES))
    return list(STYLES)[style], 3 * (turn // 6) + turn % 3


@functools.lru_cache(maxsize=256)
def compose(*, seed: int, index: int, song_s: float) -> Score:
    """The song with this index. A few milliseconds, and about 20 kB in the cache."""
    style_name, artist_number = place(index)
    style, artist = STYLES[style_name], draw_artist(seed, style_name, artist_number)
    rng = np.random.default_rng([seed, 2, index])
    low_bpm, high_bpm = style.tempo_bpm
    tempo_bpm = low_bpm + (high_bpm - low_bpm) * (artist.tempo_bias + rng.uniform()) / 2
    bar_s = style.beats_per_bar * 60 / tempo_bpm
    mode = _pick(rng, style.modes)
    sketch = Sketch(
        style=style,
        artist=artist,
        mode=MODES[mode],
        tonic=_tonic(seed, index),
        song_s=song_s,
        bar_s=bar_s,
        steps=style.beats_per_bar * style.steps_per_beat,
        num_bars=math.ceil(song_s / bar_s),
        last_bar=max(0, int(song_s / bar_s) - 1),
    )
    chords = _harmony(rng, sketch)
    sketch = dataclasses.replace(sketch, chords=chords, voicings=_lead_voices(chords))

    lead, comping, colour = _cast(rng, artist)
    tune = list(_melody(rng, sketch, centre=_LEAD_CENTRE + _REGISTERS[lead]))
    played = [
        ("lead", lead, tune, style.lead_gate),
        ("chords", comping, _comp(rng, sketch), style.chord_gate),
    ]
    doubles, plays_colour, has_bass, has_drums = rng.uniform(size=4)
    if plays_colour < 0.55:
        line = _octave_away(rng, tune) if doubles < 0.4 else _pad(sketch)
        played.append(("colour", colour, line, 0.97))
    if has_bass < style.bass_share:
        played.append(("bass", "bass", _walk(rng, sketch), 0.9))
    if has_drums < style.drums_share:
        played.append(("drums", "drums", _groove(rng, sketch), 0.0))
    parts = [
        _perform(rng, sketch, role=role, instrument=instrument, strokes=list(strokes), gate=gate)
        for role, instrument, strokes, gate in played
    ]
    return Score(
        artist=artist,
        tempo_bpm=float(tempo_bpm),
        beats_per_bar=style.beats_per_bar,
        tonic=sketch.tonic,
        mode=mode,
        chords=tuple(chords),
        slot_s=bar_s / style.chords_per_bar,
        song_s=song_s,
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


def _cast(rng: np.random.Generator, artist: Artist) -> list[str]:
    """Three different instruments for lead, chords and colour, by the artist's preference."""
    weights = np.array([artist.preference[name] for name in MELODIC])
    chosen = rng.choice(len(MELODIC), size=3, replace=False, p=weights / weights.sum())
    return [MELODIC[i] for i in chosen]


def _harmony(rng: np.random.Generator, sketch: Sketch) -> list[tuple[int, ...]]:
    """Pitch classes, root first, for each slot of the song; the last whole bar is the tonic's."""
    style = sketch.style
    progression = _pick(rng, style.progressions)
    shift = 4 * int(rng.integers(len(progression) // 4))
    slots = sketch.num_bars * style.chords_per_bar
    degrees = [progression[(slot + shift) % len(progression)] for slot in range(slots)]
    home = sketch.last_bar * style.chords_per_bar
    degrees[home:] = [1] * (slots - home)
    if home > 0:
        degrees[home - 1] = style.cadence
    return [_chord(sketch, degree) for degree in degrees]


def _chord(sketch: Sketch, degree: int) -> tuple[int, ...]:
    harmony, size = sketch.mode.harmony, sketch.style.chord_size
    root = harmony[degree - 1]
    if sketch.mode.chord:
        intervals = [root + interval for interval in sketch.mode.chord]
    elif size == 2:
        intervals = [root, root + 7]
    else:
        intervals = [harmony[(degree - 1 + 2 * third) % 7] for third in range(size)]
    return tuple((sketch.tonic + interval) % 12 for interval in intervals)


def _lead_voices(chords: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """MIDI note numbers for each chord, each the inversion nearest to the one before."""
    voicings: list[list[int]] = []
    for chord in chords:
        inversions = []
        for turn in range(len(chord)):
            pitches = [_CHORD_FLOOR + (chord[turn] - _CHORD_FLOOR) % 12]
            for pitch_class in chord[turn + 1 :] + chord[:turn]:
                pitches.append(pitches[-1] + (pitch_class - pitches[-1]) % 12)
            if len(chord) == 2:
                pitches.append(pitches[0] + 12)
            inversions.append(pitches)
        before = voicings[-1] if voicings else [_CHORD_FLOOR + 3 + 4 * i for i in range(5)]
        voicings.append(min(inversions, key=lambda new: _movement(before, new)))
    return voicings


def _movement(old: Sequence[int], new: Sequence[int]) -> int:
    return sum(abs(a - b) for a, b in zip(old, new, strict=False))


def _melody(rng: np.random.Generator, sketch: Sketch, *, centre: int) -> Iterator[Stroke]:
    """Motifs of a bar in a form such as AABA; notes on the beat belong to the chord.

    The last whole bar ends on the tonic, and holds it.
    """
    style, tonic = sketch.style, sketch.tonic
    centre += sketch.artist.register_semitones
    scale = {(tonic + step) % 12 for step in sketch.mode.melody}
    ladder = [pitch for pitch in range(centre - 14, centre + 15) if pitch % 12 in scale]
    middle = min(range(len(ladder)), key=lambda rung: abs(ladder[rung] - centre))
    form = _pick(rng, _FORMS)
    order = rng.permutation(len(style.lead))
    motifs = {
        letter: (list(sketch.read(style.lead[order[i]])), _contour(rng, sketch.steps))
        for i, letter in enumerate("ABC")
    }
    for bar in range(sketch.num_bars):
        strokes, contour = motifs[form[bar % len(form)]]
        strokes = [stroke for stroke in strokes if stroke.bar == bar]
        for note, stroke in enumerate(strokes):
            ends = note == len(strokes) - 1
            pitch = ladder[middle + contour[note]]
            if stroke.step % style.steps_per_beat == 0 or ends:
                pitch = _nearest(pitch, sketch.chords[sketch.slot(stroke)])
            if ends and bar == sketch.last_bar:
                pitch = _nearest(pitch, (tonic,))
                stroke = stroke._replace(length_steps=sketch.steps - stroke.step)
            yield stroke._replace(pitch=pitch)


def _contour(rng: np.random.Generator, length: int) -> list[int]:
    """Offsets in scale steps of the notes of a motif: mostly by step, turning back at a fourth."""
    offsets = [int(rng.integers(-1, 2))]
    for _ in range(length - 1):
        move = _pick(rng, (-2, -1, -1, -1, 1, 1, 1, 2, 0))
        if abs(offsets[-1] + move) > 4:
            move = -move
        offsets.append(offsets[-1] + move)
    return offsets


def _nearest(pitch: int, pitch_classes: Sequence[int]) -> int:
    return min(
        (pitch + (pc - pitch + 6) % 12 - 6 for pc in pitch_classes), key=lambda p: abs(p - pitch)
    )


def _octave_away(rng: np.random.Generator, tune: Sequence[Stroke]) -> list[Stroke]:
    shift = _pick(rng, (-12, 12)) if np.mean([s.pitch for s in tune]) < 73 else -12
    return [stroke._replace(pitch=stroke.pitch + shift) for stroke in tune]


def _comp(rng: np.random.Generator, sketch: Sketch) -> Iterator[Stroke]:
    for stroke in sketch.read(_pick(rng, sketch.style.chords)):
        voicing = sketch.voicings[sketch.slot(stroke)]
        if stroke.sign.isdigit():
            octave, voice = divmod(int(stroke.sign), len(voicing))
            yield stroke._replace(pitch=voicing[voice] + 12 * octave)
        else:
            yield from (stroke._replace(pitch=pitch) for pitch in voicing)


def _pad(sketch: Sketch) -> Iterator[Stroke]:
    """The upper voices of each chord, an octave up and held."""
    length = sketch.steps // sketch.style.chords_per_bar
    for slot, voicing in enumerate(sketch.voicings):
        bar, part = divmod(slot, sketch.style.chords_per_bar)
        for pitch in voicing[-2:]:
            yield Stroke(bar, part * length, length, "o", pitch + 12)


def _walk(rng: np.random.Generator, sketch: Sketch) -> Iterator[Stroke]:
    for stroke in sketch.read(_pick(rng, sketch.style.bass)):
        chord = sketch.chords[sketch.slot(stroke)]
        fifth = chord[2] if len(chord) > 2 else chord[1]
        third = (chord[1] - chord[0]) % 12
        above = {"1": 0, "3": third, "5": (fifth - chord[0]) % 12, "6": 9, "8": 12}
        root = _BASS_FLOOR + (chord[0] - _BASS_FLOOR) % 12
        yield stroke._replace(pitch=root + above[stroke.sign])


def _groove(rng: np.random.Generator, sketch: Sketch) -> Iterator[Stroke]:
    for voice, pattern in _pick(rng, sketch.style.drums).items():
        for stroke in sketch.read(pattern):
            yield stroke._replace(pitch=VOICES.index(voice))


def _perform(
    rng: np.random.Generator,
    sketch: Sketch,
    *,
    role: str,
    instrument: str,
    strokes: Sequence[Stroke],
    gate: float,
) -> Part:
    """From the grid to seconds and velocities, with swing and a human hand."""
    artist, steps_per_beat = sketch.artist, sketch.style.steps_per_beat
    step_s = sketch.bar_s / sketch.steps
    bar, step, length, pitch = (
        np.array([getattr(stroke, field) for stroke in strokes])
        for field in ("bar", "step", "length_steps", "pitch")
    )
    late = artist.swing * (step % 2) if steps_per_beat != 3 else 0.0
    start_s = bar * sketch.bar_s + (step + late) * step_s
    if instrument == "guitar":
        start_s += _STRUM_S * _places_in_chord(bar * sketch.steps + step)
    start_s = np.maximum(start_s + artist.jitter_s * rng.standard_normal(len(strokes)), 0.0)
    touch = {"X": 0.15, "o": -0.25}
    velocity = 0.68 + np.array([touch.get(stroke.sign, 0.0) for stroke in strokes])
    velocity += np.where(step == 0, 0.1, np.where(step % steps_per_beat == 0, 0.04, -0.04))
    velocity = np.clip(velocity + 0.05 * rng.standard_normal(len(strokes)), 0.1, 1.0)
    audible = start_s < sketch.song_s - 0.05
    return Part(
        role=role,
        instrument=instrument,
        level_db=_LEVELS_DB[role] + float(rng.uniform(-1.5, 1.5)),
        start_s=start_s[audible],
        length_s=(gate * length * step_s)[audible],
        pitch=pitch[audible],
        velocity=velocity[audible],
    )


def _places_in_chord(step: np.ndarray) -> np.ndarray:
    """How many notes before each, in order of playing, begin at the same step."""
    begins = np.flatnonzero(np.diff(step, prepend=-1))
    return np.arange(len(step)) - np.repeat(begins, np.diff(begins, append=len(step)))
