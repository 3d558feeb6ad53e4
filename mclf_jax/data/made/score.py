"""Scores drawn at random: from one note at a time to bands, each decided by (seed, index) alone.

What a network shall tell apart is drawn independently of everything else, so that nothing gives it
away but its sound: any instrument plays in any key, tempo and company, as far as its range goes.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from mclf_jax.data.made.programs import DRUM_NOTES, DRUMS, FAMILIES, draw_program, range_of

TEXTURES = {"notes": 0.4, "melody": 0.1, "chords": 0.1, "duo": 0.1, "band": 0.3}
"""How many songs are of each kind: single notes, one instrument, two, and two to six with drums."""
_SCALES = (
    (0, 2, 4, 5, 7, 9, 11),
    (0, 2, 3, 5, 7, 8, 10),
    (0, 2, 3, 5, 7, 9, 10),
    (0, 2, 4, 5, 7, 9, 10),
    (0, 2, 3, 5, 7, 8, 11),
    (0, 2, 4, 7, 9),
    (0, 3, 5, 7, 10),
)
_CHORD_FAMILIES = ("piano", "organ", "guitar", "ensemble", "synth pad", "synth lead")
_BASS_PROGRAMS = (*range(32, 40), 43, 58, 87)  # basses, contrabass, tuba, bass lead
_STEPS_PER_BEAT = 4
# Chance of a hit on each sixteenth of a bar of four beats, as a digit of tenths.
_GROOVES = {
    "rock": {"kick": "9000010790100300", "snare": "0000900100009001", "hi-hat": "9090909090909090"},
    "four": {"kick": "9000900090009000", "snare": "0000500000005000", "hi-hat": "1090109010901090"},
    "funk": {"kick": "9020001060900010", "snare": "0000901003009020", "hi-hat": "9393939393939393"},
    "half": {"kick": "9000003000200000", "snare": "0000000090000000", "cymbal": "9000500050005000"},
    "jazz": {"kick": "5000000040000000", "cymbal": "9000900190009001", "snare": "0000300000003001"},
    "toms": {"tom": "9030603090306035", "kick": "9000000090000000", "cymbal": "3000000000000000"},
    "hands": {"percussion": "9359635993596359", "kick": "3000000030000000"},
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Part:
    """One player.

    Attributes:
        program: 0 to 127, or `programs.DRUMS`.
        font: from 0 to 1, which of the soundfonts plays; see `fonts.choose`.
        level_db: how much softer than the others.
        notes: float64 [N, 4]: onset and length in seconds, MIDI note number, velocity 1 to 127;
            by onset.
    """

    program: int
    font: float
    level_db: float
    notes: np.ndarray


@dataclasses.dataclass(frozen=True)
class Score:
    """A song before it sounds.

    Attributes:
        texture: one of `TEXTURES`.
        tempo_bpm: beats a minute; 0 of single notes, which have none.
        song_s: its length in seconds.
        parts: of all players.
    """

    texture: str
    tempo_bpm: float
    song_s: float
    parts: tuple[Part, ...]


def compose(*, seed: int, index: int, song_s: float, slot_s: float) -> Score:
    """The song with this number; it does not depend on how many there are.

    Args:
        seed: of all songs, not negative.
        index: of the song, not negative.
        song_s: its length.
        slot_s: of single notes, from one instrument to the next.
    """
    rng = np.random.default_rng([seed, index, 0])
    texture = str(rng.choice(list(TEXTURES), p=list(TEXTURES.values())))
    if texture == "notes":
        return Score(texture, 0.0, song_s, _single_notes(rng, song_s, slot_s))
    tempo_bpm = float(2 ** rng.uniform(np.log2(55), np.log2(185)))
    grid = _Grid(rng, tempo_bpm, song_s)
    font = float(rng.uniform())
    # Half of the songs have one soundfont for all, as music of one maker would.
    fonts = [font] * 8 if rng.uniform() < 0.5 else list(rng.uniform(size=8))
    parts = [
        Part(program, fonts[i], float(rng.uniform(-12, 0)), notes)
        for i, (program, notes) in enumerate(_players(rng, texture, grid))
    ]
    return Score(texture, tempo_bpm, song_s, tuple(part for part in parts if len(part.notes)))


class _Grid:
    """Bars, beats, chords and scale of a song."""

    def __init__(self, rng: np.random.Generator, tempo_bpm: float, song_s: float):
        self.beats = int(rng.choice([3, 4, 4, 4]))
        self.steps = self.beats * _STEPS_PER_BEAT
        self.step_s = 60 / tempo_bpm / _STEPS_PER_BEAT
        self.swing_s = float(rng.choice([0, 0, rng.uniform(0, 0.6)])) * self.step_s
        self.jitter_s = float(rng.uniform(0, 0.012))
        self.song_s = song_s
        self.bars = int(np.ceil(song_s / (self.steps * self.step_s)))
        tonic, scale = int(rng.integers(12)), _SCALES[rng.integers(len(_SCALES))]
        self.scale = np.array([(tonic + step) % 12 for step in scale])
        degrees = rng.integers(len(scale), size=4)
        size = int(rng.choice([2, 3, 3, 4]))
        self.chords = [
            self.scale[(degrees[bar % 4] + 2 * np.arange(size)) % len(scale)]
            for bar in range(self.bars)
        ]

    def lengths(self, starts: np.ndarray) -> np.ndarray:
        """Steps from each onset of a bar to the next one, or to its end."""
        return np.diff([*starts, self.steps])

    def time(self, rng: np.random.Generator, bar: int, step: float) -> float:
        late_s = self.swing_s if step % 2 == 1 else 0.0
        at = (bar * self.steps + step) * self.step_s + late_s + rng.normal() * self.jitter_s
        return max(0.0, at)


def _players(
    rng: np.random.Generator, texture: str, grid: _Grid
) -> Iterator[tuple[int, np.ndarray]]:
    if texture == "melody":
        yield _player(rng, grid, _melody, draw_program(rng))
    elif texture == "chords":
        yield _player(rng, grid, _chords, draw_program(rng))
    elif texture == "duo":
        yield _player(rng, grid, _melody, draw_program(rng))
        yield _player(rng, grid, _CHOICES[rng.integers(3)], draw_program(rng))
    else:
        yield _player(rng, grid, _chords, draw_program(rng, *_CHORD_FAMILIES))
        yield _player(rng, grid, _bass, int(rng.choice(_BASS_PROGRAMS)))
        if rng.uniform() < 0.75:
            yield DRUMS, _groove(rng, grid)
        for _ in range(int(rng.integers(4))):
            yield _player(rng, grid, _CHOICES[rng.integers(2)], draw_program(rng, *FAMILIES[:15]))


def _player(rng, grid: _Grid, play, program: int) -> tuple[int, np.ndarray]:
    low, high = range_of(program)
    return program, _table(list(play(rng, grid, low, high)), grid.song_s)


def _table(notes: list[tuple[float, float, float, float]], song_s: float) -> np.ndarray:
    """Notes [N, 4] by onset, those that begin before the end."""
    table = np.array(notes, np.float64).reshape(-1, 4)
    table = table[table[:, 0] < song_s - 0.05]
    table[:, 1] = np.maximum(table[:, 1], 0.03)
    table[:, 3] = np.clip(np.round(table[:, 3]), 1, 127)
    return table[np.lexsort((table[:, 2], table[:, 0]))]


def _single_notes(rng: np.random.Generator, song_s: float, slot_s: float) -> tuple[Part, ...]:
    """An instrument for each slot, that plays one note, or a few of the same length."""
    parts = []
    for slot in range(int(song_s // slot_s)):
        program = DRUMS if rng.uniform() < 0.12 else draw_program(rng)
        low, high = range_of(program)
        pitch, velocity = _pitch(rng, program, low, high), rng.uniform(30, 127)
        length_s = float(rng.choice([rng.uniform(0.05, 0.5), rng.uniform(0.3, slot_s)]))
        onset_s = slot * slot_s + float(rng.choice([0.02, rng.uniform(0.0, 0.25)]))
        left_s = (slot + 1) * slot_s - onset_s
        notes = [(onset_s, min(length_s, left_s - 0.1), pitch, velocity)]
        if rng.uniform() < 0.25:  # again and again
            gap_s = float(rng.uniform(0.2, 1.0))
            walks = bool(rng.uniform() < 0.5)
            for i in range(1, int((left_s - 0.1) // gap_s)):
                moved = int(np.clip(pitch + i * rng.integers(-4, 5) * walks, low, high))
                again = _pitch(rng, program, low, high) if program == DRUMS and walks else moved
                notes.append((onset_s + i * gap_s, min(length_s, gap_s), again, velocity))
        font, level_db = float(rng.uniform()), float(rng.uniform(-6, 0))
        parts.append(Part(program, font, level_db, _table(notes, song_s)))
    return tuple(parts)


def _pitch(rng: np.random.Generator, program: int, low: int, high: int) -> int:
    if program == DRUMS:
        drum = list(DRUM_NOTES.values())[rng.integers(len(DRUM_NOTES))]
        return int(drum[rng.integers(len(drum))])
    return int(rng.integers(low, high + 1))


def _rhythm(rng: np.random.Generator, grid: _Grid, density: float) -> np.ndarray:
    """Steps of a bar on which something begins, the stronger the likelier."""
    step = np.arange(grid.steps)
    weight = np.select([step % _STEPS_PER_BEAT == 0, step % 2 == 0], [1.6, 1.0], 0.4)
    return np.flatnonzero(rng.uniform(size=grid.steps) < density * weight)


def _melody(rng: np.random.Generator, grid: _Grid, low: int, high: int):
    """A line by steps of the scale, whose two bars of rhythm return."""
    ladder = np.array([pitch for pitch in range(low, high + 1) if pitch % 12 in grid.scale])
    rung, density = int(rng.integers(len(ladder))), float(rng.uniform(0.15, 0.7))
    bars = [_rhythm(rng, grid, density) for _ in range(2)]
    gate, loud = float(rng.uniform(0.3, 1.1)), float(rng.uniform(50, 115))
    for bar in range(grid.bars):
        starts = bars[bar % 2]
        for step, length in zip(starts, grid.lengths(starts), strict=True):
            rung = int(np.clip(rung + rng.integers(-2, 3), 0, len(ladder) - 1))
            onset_s = grid.time(rng, bar, step)
            length_s = gate * length * grid.step_s
            yield onset_s, length_s, ladder[rung], loud + rng.normal() * 8


def _chords(rng: np.random.Generator, grid: _Grid, low: int, high: int):
    """The chord of each bar: held, struck in a rhythm, strummed or broken."""
    way = str(rng.choice(["held", "struck", "strummed", "broken"]))
    base = int(rng.integers(low, max(low + 1, min(high - 12, 64))))
    rhythm = _rhythm(rng, grid, float(rng.uniform(0.2, 0.6)))
    loud, gate = float(rng.uniform(45, 105)), float(rng.uniform(0.4, 1.0))
    for bar in range(grid.bars):
        pitches = np.sort([base + (pitch - base) % 12 for pitch in grid.chords[bar]])
        if way == "held":
            starts, lengths = np.array([0]), np.array([grid.steps])
        elif way == "broken":
            starts = np.arange(0, grid.steps, int(rng.choice([1, 2])))
            lengths = np.full(len(starts), 2)
        else:
            starts, lengths = rhythm, grid.lengths(rhythm)
        for i, (step, length) in enumerate(zip(starts, lengths, strict=True)):
            onset_s, strum_s = grid.time(rng, bar, step), 0.02 * (way == "strummed")
            played = [pitches[i % len(pitches)]] if way == "broken" else pitches
            for voice, pitch in enumerate(played):
                velocity = loud + rng.normal() * 6
                yield onset_s + voice * strum_s, gate * length * grid.step_s, pitch, velocity


def _bass(rng: np.random.Generator, grid: _Grid, low: int, high: int):
    """Roots and fifths low down."""
    rhythm = _rhythm(rng, grid, float(rng.uniform(0.2, 0.6)))
    loud, gate = float(rng.uniform(70, 115)), float(rng.uniform(0.4, 1.0))
    for bar in range(grid.bars):
        root = low + (int(grid.chords[bar][0]) - low) % 12
        for step, length in zip(rhythm, grid.lengths(rhythm), strict=True):
            pitch = min(high, root + int(rng.choice([0, 0, 0, 7, 12])))
            length_s = gate * length * grid.step_s
            yield grid.time(rng, bar, step), length_s, pitch, loud + rng.normal() * 6


_CHOICES = (_melody, _chords, _bass)


def _groove(rng: np.random.Generator, grid: _Grid) -> np.ndarray:
    """One of the grooves, its chances drawn once for the song and a little anew for each bar."""
    groove = _GROOVES[str(rng.choice(list(_GROOVES)))]
    loud, notes = float(rng.uniform(70, 115)), []
    for drum, digits in groove.items():
        chance = np.array([int(digit) for digit in digits])[: grid.steps] / 9
        pattern = rng.uniform(size=len(chance)) < chance
        sounds: Sequence[int] = DRUM_NOTES[drum]
        chosen = [sounds[i] for i in rng.integers(len(sounds), size=3)]
        for bar in range(grid.bars):
            for step in np.flatnonzero(pattern & (rng.uniform(size=len(chance)) < 0.92)):
                pitch = chosen[0] if drum in ("kick", "snare") else chosen[rng.integers(3)]
                velocity = loud - 15 * (step % 2) + rng.normal() * 8
                notes.append((grid.time(rng, bar, int(step)), 0.1, pitch, velocity))
    return _table(notes, grid.song_s)
