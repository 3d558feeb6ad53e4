"""The ten styles, as a musician would write them down.

Patterns have one character for each step of a bar; `|` separates bars that alternate.
`.` is silence and `-` holds what sounds. Anything else begins a note:

    lead, chords, drums   x a note, X an accent, o a soft one
    chords                0 1 2 3 one voice of the chord, counted from below
    bass                  1 3 5 6 8 the degree of the chord

Loudness, key, instruments, room and tuning are drawn alike for all styles: what tells two styles
apart is metre, tempo, harmony, rhythm and texture.
"""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Mode:
    """A scale.

    Attributes:
        harmony: seven semitones above the tonic, from which chords are stacked.
        melody: those the lead plays.
        brightness: from -1 (dark) to 1 (bright), a term of valence.
        chord: intervals of every chord, where they are not stacked from `harmony`.
    """

    harmony: tuple[int, ...]
    melody: tuple[int, ...]
    brightness: float
    chord: tuple[int, ...] | None = None


_IONIAN = (0, 2, 4, 5, 7, 9, 11)
_LYDIAN = (0, 2, 4, 6, 7, 9, 11)
_MIXOLYDIAN = (0, 2, 4, 5, 7, 9, 10)
_DORIAN = (0, 2, 3, 5, 7, 9, 10)
_AEOLIAN = (0, 2, 3, 5, 7, 8, 10)
_HARMONIC_MINOR = (0, 2, 3, 5, 7, 8, 11)
_PHRYGIAN = (0, 1, 3, 5, 7, 8, 10)
_MAJOR_PENTATONIC = (0, 2, 4, 7, 9)
_MINOR_PENTATONIC = (0, 3, 5, 7, 10)
_BLUES = (0, 3, 5, 6, 7, 10)

MODES = {
    "ionian": Mode(_IONIAN, _IONIAN, 1.0),
    "lydian": Mode(_LYDIAN, _LYDIAN, 0.8),
    "major_pentatonic": Mode(_MIXOLYDIAN, _MAJOR_PENTATONIC, 0.6),
    "mixolydian": Mode(_MIXOLYDIAN, _MIXOLYDIAN, 0.4),
    "blues": Mode(_MIXOLYDIAN, _BLUES, 0.1, chord=(0, 4, 7, 10)),
    "dorian": Mode(_DORIAN, _DORIAN, -0.2),
    "minor_blues": Mode(_DORIAN, _BLUES, -0.5, chord=(0, 3, 7, 10)),
    "minor_pentatonic": Mode(_AEOLIAN, _MINOR_PENTATONIC, -0.6),
    "aeolian": Mode(_AEOLIAN, _AEOLIAN, -0.8),
    "harmonic_minor": Mode(_HARMONIC_MINOR, _HARMONIC_MINOR, -0.9),
    "phrygian": Mode(_PHRYGIAN, _PHRYGIAN, -1.0),
}


@dataclasses.dataclass(frozen=True)
class Style:
    """What songs of a style have in common; every tuple holds alternatives for a song to draw from.

    Attributes:
        tempo_bpm: lowest and highest; the beat is a dotted quarter where `steps_per_beat` is 3
            and the metre is compound, a quarter elsewhere.
        beats_per_bar, steps_per_beat: the grid of the patterns.
        modes: names in `MODES`.
        chord_size: 2 is root and fifth, 3 a triad, 4 a seventh chord.
        chords_per_bar: the harmonic rhythm.
        progressions: degrees from 1.
        cadence: the degree before the final tonic.
        lead, chords, bass, drums: patterns; drums have one for each voice of a groove.
        lead_gate, chord_gate: the share of its written length that a note sounds.
        swing: how late the second of two steps may come, as a share of a step.
        bass_share, drums_share: how many songs have bass and drums.
        preference: weights of instruments above the 1 that all others have.
    """

    tempo_bpm: tuple[float, float]
    beats_per_bar: int
    steps_per_beat: int
    modes: tuple[str, ...]
    chord_size: int
    progressions: tuple[tuple[int, ...], ...]
    cadence: int
    lead: tuple[str, ...]
    chords: tuple[str, ...]
    bass: tuple[str, ...]
    drums: tuple[Mapping[str, str], ...]
    bass_share: float
    drums_share: float
    preference: Mapping[str, float]
    chords_per_bar: int = 1
    lead_gate: float = 0.9
    chord_gate: float = 0.9
    swing: tuple[float, float] = (0.0, 0.05)


STYLES = {
    "ambient": Style(
        tempo_bpm=(54, 74),
        beats_per_bar=4,
        steps_per_beat=2,
        modes=("lydian", "ionian", "dorian", "aeolian"),
        chord_size=4,
        progressions=((1, 3, 1, 5), (1, 5, 3, 5), (1, 5, 1, 3), (3, 1, 5, 1)),
        cadence=5,
        lead=("x-------", "x---x---", "x-----x-", "..x-----"),
        chords=("x-------", "x-------|x---x---", "x-----2-"),
        bass=("1-------", "1---5---"),
        drums=({"shaker": "o...o...", "kick": "o......."}, {"ride": "x...o...", "tom": "....o..."}),
        bass_share=0.45,
        drums_share=0.25,
        preference={"strings": 2.0, "organ": 1.5, "mallets": 1.5},
        lead_gate=1.0,
        chord_gate=1.05,
    ),
    "ballad": Style(
        tempo_bpm=(60, 80),
        beats_per_bar=4,
        steps_per_beat=4,
        modes=("ionian", "ionian", "aeolian"),
        chord_size=3,
        chords_per_bar=2,
        progressions=((1, 5, 6, 4), (1, 6, 4, 5), (6, 4, 1, 5), (1, 3, 4, 5)),
        cadence=5,
        lead=("x---x-x-x-------", "..x-x-x-x---x---", "x-----x-x---x-x-", "x---x---x-x-x---"),
        chords=("0-1-2-1-3-1-2-1-", "0-1-2-3-2-1-2-1-", "0-2-1-2-0-2-1-2-"),
        bass=("1-------1---5---", "1-------1-----8-", "1-------1-------"),
        drums=(
            {"kick": "x.........x.....", "snare": "........x.......", "hat": "x...o...x...o..."},
            {"kick": "x.......x.......", "rim": "....x.......x...", "hat": "x.o.x.o.x.o.x.o."},
        ),
        bass_share=0.7,
        drums_share=0.6,
        preference={"piano": 2.0, "guitar": 1.5, "strings": 1.5},
        lead_gate=0.95,
        chord_gate=1.5,
    ),
    "blues_shuffle": Style(
        tempo_bpm=(96, 130),
        beats_per_bar=4,
        steps_per_beat=3,
        modes=("blues", "blues", "minor_blues"),
        chord_size=4,
        progressions=((1, 4, 1, 1, 4, 4, 1, 1, 5, 4, 1, 5), (1, 1, 4, 4, 1, 5, 1, 5)),
        cadence=5,
        lead=("x-xx-xx-----", "x--x-xx-x---", "...x-xx-xx--", "x-xx-x...x-x"),
        chords=("x-x...x-x...", "x--x-xx--x-x", "..xx-...xx-.", "x-xx-xx-xx-x"),
        bass=("1--3--5--6--|8--6--5--3--", "1-15-56-65-5", "1-11-15-55-5"),
        drums=(
            {"hat": "x.ox.ox.ox.o", "kick": "x.....x.....", "snare": "...X.....X.."},
            {"ride": "x..x.xx..x.x", "kick": "x..o..x..o..", "snare": "...x.....x.."},
        ),
        bass_share=0.8,
        drums_share=0.75,
        preference={"guitar": 2.0, "organ": 1.5, "piano": 1.5},
    ),
    "bossa_nova": Style(
        tempo_bpm=(112, 140),
        beats_per_bar=4,
        steps_per_beat=2,
        modes=("ionian", "ionian", "harmonic_minor"),
        chord_size=4,
        progressions=((2, 5, 1, 1), (1, 6, 2, 5), (1, 1, 2, 5), (1, 4, 2, 5)),
        cadence=5,
        lead=("x-x--x--", ".x-x-x--", "x--x--x-", "..x-xx--"),
        chords=("x-.x-.x-|..x-.x-.", "x-.xx-.x|.xx-.x-.", ".x-.x-.x|x-.x-.x-"),
        bass=("1--55--1", "1--55--5", "1--51--5"),
        drums=(
            {"rim": "x..x..x.|..x..x..", "shaker": "xoxoxoxo", "kick": "x..xx..x"},
            {"rim": "..x..x..|x..x..x.", "hat": "xoxoxoxo", "kick": "x..ox..o"},
        ),
        bass_share=0.75,
        drums_share=0.7,
        preference={"guitar": 2.0, "flute": 1.5, "piano": 1.5},
        chord_gate=0.7,
    ),
    "folk_jig": Style(
        tempo_bpm=(104, 130),
        beats_per_bar=2,
        steps_per_beat=3,
        modes=("dorian", "mixolydian", "aeolian"),
        chord_size=2,
        progressions=((1, 1, 7, 7), (1, 7, 1, 7), (1, 1, 4, 7), (1, 4, 1, 7)),
        cadence=7,
        lead=("xxxxxx", "x-xxxx", "x-xx-x", "xxxx-x"),
        chords=("x--x--", "x-xx-x", "x-----", "x-x..x"),
        bass=("1-----|5-----", "1--5--", "1--1--"),
        drums=(
            {"tom": "X.ox.o", "shaker": "xooxoo"},
            {"tom": "X.ooxo", "rim": "..x..x"},
            {"kick": "x..o..", "hat": "oxooxo"},
        ),
        bass_share=0.5,
        drums_share=0.55,
        preference={"flute": 2.0, "guitar": 1.5, "strings": 1.5},
        lead_gate=0.8,
    ),
    "march": Style(
        tempo_bpm=(104, 126),
        beats_per_bar=4,
        steps_per_beat=4,
        modes=("ionian", "ionian", "harmonic_minor"),
        chord_size=3,
        progressions=((1, 5, 1, 5), (1, 4, 5, 1), (1, 1, 5, 5), (1, 4, 1, 5)),
        cadence=5,
        lead=("x--xx---x--xx---", "x---x--xx---x---", "x--xx--xx--xx---", "x-x-x---x--xx---"),
        chords=("....x-......x-..", "....x-......x.x.", "..x...x...x...x."),
        bass=("1-......5-......", "1---....5---....", "1-..5-..1-..5-.."),
        drums=(
            {"kick": "x.......x.......", "snare": "o..oX.x.o..oX.xo"},
            {"kick": "x...o...x...o...", "snare": "x.ooX.oox.ooX.o."},
        ),
        bass_share=0.75,
        drums_share=0.75,
        preference={"flute": 1.5, "organ": 1.5, "mallets": 1.5},
        lead_gate=0.7,
        chord_gate=0.6,
    ),
    "reggae": Style(
        tempo_bpm=(66, 90),
        beats_per_bar=4,
        steps_per_beat=4,
        modes=("aeolian", "ionian", "dorian", "mixolydian"),
        chord_size=3,
        progressions=((1, 4, 1, 4), (1, 1, 4, 5), (1, 5, 4, 4), (1, 4, 5, 4)),
        cadence=5,
        lead=("x-x-x-..x-x-....", "....x-x-x---x-..", "x---..x-x-x-....", "..x-x-x-x---...."),
        chords=("..x...x...x...x.", "..xo..xo..xo..xo", "..x...xo..x...xo"),
        bass=("1-..1-3-5-......", "..1-1-..3-1-5-..", "1-.1-.3-....5-..", "1-..1-..5-.5-.3-"),
        drums=(
            {"kick": "........X.......", "rim": "........X.....o.", "hat": "x.o.x.o.x.o.x.o."},
            {"kick": "x...x...x...x...", "rim": "........x.......", "hat": "..x...x...x...x."},
        ),
        bass_share=0.85,
        drums_share=0.8,
        preference={"organ": 2.0, "guitar": 1.5, "piano": 1.2},
        chord_gate=0.6,
        swing=(0.0, 0.25),
    ),
    "rock": Style(
        tempo_bpm=(112, 148),
        beats_per_bar=4,
        steps_per_beat=4,
        modes=("minor_pentatonic", "minor_pentatonic", "major_pentatonic"),
        chord_size=2,
        progressions=((1, 6, 3, 7), (1, 7, 6, 7), (1, 7, 4, 1), (1, 4, 7, 4)),
        cadence=7,
        lead=("x-x-x---x-x-x---", "x---x-x-x-x-x---", "..x-x-x-x---x-x-", "x-x---x-x-x---x-"),
        chords=("x-x-x-x-x-x-x-x-", "x-x-X-x-x-x-X-x-", "x---x-x-x-x-x-x-"),
        bass=("1-1-1-1-1-1-1-1-", "1-1-1-1-1-1-5-5-", "1---1-1-1-1-1-5-"),
        drums=(
            {"kick": "X.......x.x.....", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
            {"kick": "X.....x.x.......", "snare": "....X.......X...", "ride": "x.x.x.x.x.x.x.x."},
            {
                "kick": "X..x....x.x.....",
                "snare": "....X.......X.o.",
                "open_hat": "x...x...x...x...",
            },
        ),
        bass_share=0.8,
        drums_share=0.85,
        preference={"guitar": 2.0, "organ": 1.5, "piano": 1.2},
    ),
    "techno": Style(
        tempo_bpm=(122, 142),
        beats_per_bar=4,
        steps_per_beat=4,
        modes=("aeolian", "phrygian", "minor_pentatonic"),
        chord_size=3,
        progressions=((1, 1, 1, 1), (1, 1, 6, 7), (1, 1, 4, 4), (1, 6, 1, 7)),
        cadence=1,
        lead=("x..x..x...x..x..", "..x...x...x.x...", "x.xx..x.x.xx..x.", "x...x..x..x.x..."),
        chords=("0123012301230123", "0121032101210321", "012012012012010.", "0.120.120.120.12"),
        bass=("..1...1...1...1.", "..11..11..11..18", ".111.111.111.118"),
        drums=(
            {
                "kick": "X...X...X...X...",
                "open_hat": "..x...x...x...x.",
                "clap": "....x.......x...",
            },
            {"kick": "X...X...X...X...", "hat": "oox.oox.oox.oox.", "rim": "...x..x....x..x."},
        ),
        bass_share=0.75,
        drums_share=0.9,
        preference={"mallets": 2.0, "organ": 1.5, "strings": 1.2},
        lead_gate=0.6,
        chord_gate=0.8,
        swing=(0.0, 0.0),
    ),
    "waltz": Style(
        tempo_bpm=(138, 178),
        beats_per_bar=3,
        steps_per_beat=2,
        modes=("ionian", "ionian", "harmonic_minor"),
        chord_size=3,
        progressions=((1, 1, 5, 5), (1, 4, 5, 1), (1, 6, 2, 5), (1, 5, 1, 5)),
        cadence=5,
        lead=("x---x-", "x-x-x-", "x-----", "x--xx-"),
        chords=("..x.x.", "..x-x-", "..x-x."),
        bass=("1-....|5-....", "1---..|5---..", "1-....|3-...."),
        drums=(
            {"kick": "x.....", "hat": "..x.x."},
            {"kick": "x.....", "snare": "..o.o.", "ride": "x.x.x."},
            {"tom": "x.....", "shaker": "..x.x."},
        ),
        bass_share=0.7,
        drums_share=0.5,
        preference={"strings": 2.0, "piano": 1.5, "flute": 1.5},
        chord_gate=0.7,
    ),
}
