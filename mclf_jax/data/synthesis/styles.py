"""The ten styles, as a musician would write them down.

What tells two styles apart is metre, tempo, harmony, rhythm and texture; loudness, key, room and
tuning are drawn alike for all.
"""

import ast
import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Mode:
    """A scale, in semitones above the tonic."""

    harmony: tuple[int, ...]  # seven, from which chords are stacked
    melody: tuple[int, ...]  # those the lead plays
    brightness: float  # from -1 (dark) to 1 (bright), a term of valence
    chord: tuple[int, ...] | None = None  # of every chord, where they are not stacked


_IONIAN = (0, 2, 4, 5, 7, 9, 11)
_LYDIAN = (0, 2, 4, 6, 7, 9, 11)
_MIXOLYDIAN = (0, 2, 4, 5, 7, 9, 10)
_DORIAN = (0, 2, 3, 5, 7, 9, 10)
_AEOLIAN = (0, 2, 3, 5, 7, 8, 10)
_HARMONIC_MINOR = (0, 2, 3, 5, 7, 8, 11)
_PHRYGIAN = (0, 1, 3, 5, 7, 8, 10)
_BLUES = (0, 3, 5, 6, 7, 10)
MODES = {
    "ionian": Mode(_IONIAN, _IONIAN, 1.0),
    "lydian": Mode(_LYDIAN, _LYDIAN, 0.8),
    "major_pentatonic": Mode(_MIXOLYDIAN, (0, 2, 4, 7, 9), 0.6),
    "mixolydian": Mode(_MIXOLYDIAN, _MIXOLYDIAN, 0.4),
    "blues": Mode(_MIXOLYDIAN, _BLUES, 0.1, chord=(0, 4, 7, 10)),
    "dorian": Mode(_DORIAN, _DORIAN, -0.2),
    "minor_blues": Mode(_DORIAN, _BLUES, -0.5, chord=(0, 3, 7, 10)),
    "minor_pentatonic": Mode(_AEOLIAN, (0, 3, 5, 7, 10), -0.6),
    "aeolian": Mode(_AEOLIAN, _AEOLIAN, -0.8),
    "harmonic_minor": Mode(_HARMONIC_MINOR, _HARMONIC_MINOR, -0.9),
    "phrygian": Mode(_PHRYGIAN, _PHRYGIAN, -1.0),
}


@dataclasses.dataclass(frozen=True)
class Style:
    """What songs of a style have in common; tuples hold alternatives for a song to draw from."""

    low_bpm: float  # of the beat, a dotted quarter in a jig and a quarter elsewhere
    high_bpm: float
    beats_per_bar: int
    steps_per_beat: int  # of the grid that patterns are written on
    chord_size: int  # 2 is root and fifth, 3 a triad, 4 a seventh chord
    chords_per_bar: int
    cadence: int  # the degree before the final tonic
    bass_share: float  # how many songs have a bass
    drums_share: float
    lead_gate: float  # the share of its written length that a note sounds
    chord_gate: float
    most_swing: float  # how late the second of two steps may come, as a share of a step
    modes: tuple[str, ...]  # names in `MODES`
    progressions: tuple[str, ...]  # a digit for each chord, its degree
    lead: tuple[str, ...]  # patterns, here and below
    chords: tuple[str, ...]
    bass: tuple[str, ...]
    drums: tuple[Mapping[str, str], ...]  # one for each voice of a groove
    preference: Mapping[str, float]  # weights of instruments above the 1 that all others have

    @property
    def steps(self) -> int:
        """Of a bar."""
        return self.beats_per_bar * self.steps_per_beat


# A style's numbers, in the order of the fields of `Style`.
_NUMBERS = """
                 bpm     bar step  chord  per  cadence  share of    gate of     most
                 from to              of  bar           bass drums  lead chord  swing
ambient            54   74    4    2      4    1      5      0.45  0.25     1  1.05   0.05
ballad             60   80    4    4      3    2      5       0.7   0.6  0.95   1.5   0.05
blues_shuffle      96  130    4    3      4    1      5       0.8  0.75   0.9   0.9   0.05
bossa_nova        112  140    4    2      4    1      5      0.75   0.7   0.9   0.7   0.05
folk_jig          104  130    2    3      2    1      7       0.5  0.55   0.8   0.9   0.05
march             104  126    4    4      3    1      5      0.75  0.75   0.7   0.6   0.05
reggae             66   90    4    4      3    1      5      0.85   0.8   0.9   0.6   0.25
rock              112  148    4    4      2    1      7       0.8  0.85   0.9   0.9   0.05
techno            122  142    4    4      3    1      1      0.75   0.9   0.6   0.8      0
waltz             138  178    3    2      3    1      5       0.7   0.5   0.9   0.7   0.05
"""
# Patterns have one character for each step of a bar; "|" separates bars that alternate. "." is
# silence and "-" holds what sounds. Anything else begins a note:
#   lead, chords, drums   x a note, X an accent, o a soft one
#   chords                0 1 2 3 one voice of the chord, counted from below
#   bass                  1 3 5 6 8 the degree of the chord
_PATTERNS = """
ambient
    modes         lydian ionian dorian aeolian
    progressions  1315 1535 1513 3151
    lead          x------- x---x--- x-----x- ..x-----
    chords        x------- x-------|x---x--- x-----2-
    bass          1------- 1---5---
    drums         shaker:o...o... kick:o.......
    drums         ride:x...o... tom:....o...
    preference    strings:2 organ:1.5 mallets:1.5
ballad
    modes         ionian ionian aeolian
    progressions  1564 1645 6415 1345
    lead          x---x-x-x------- ..x-x-x-x---x--- x-----x-x---x-x- x---x---x-x-x---
    chords        0-1-2-1-3-1-2-1- 0-1-2-3-2-1-2-1- 0-2-1-2-0-2-1-2-
    bass          1-------1---5--- 1-------1-----8- 1-------1-------
    drums         kick:x.........x..... snare:........x....... hat:x...o...x...o...
    drums         kick:x.......x....... rim:....x.......x... hat:x.o.x.o.x.o.x.o.
    preference    piano:2 guitar:1.5 strings:1.5
blues_shuffle
    modes         blues blues minor_blues
    progressions  141144115415 11441515
    lead          x-xx-xx----- x--x-xx-x--- ...x-xx-xx-- x-xx-x...x-x
    chords        x-x...x-x... x--x-xx--x-x ..xx-...xx-. x-xx-xx-xx-x
    bass          1--3--5--6--|8--6--5--3-- 1-15-56-65-5 1-11-15-55-5
    drums         hat:x.ox.ox.ox.o kick:x.....x..... snare:...X.....X..
    drums         ride:x..x.xx..x.x kick:x..o..x..o.. snare:...x.....x..
    preference    guitar:2 organ:1.5 piano:1.5
bossa_nova
    modes         ionian ionian harmonic_minor
    progressions  2511 1625 1125 1425
    lead          x-x--x-- .x-x-x-- x--x--x- ..x-xx--
    chords        x-.x-.x-|..x-.x-. x-.xx-.x|.xx-.x-. .x-.x-.x|x-.x-.x-
    bass          1--55--1 1--55--5 1--51--5
    drums         rim:x..x..x.|..x..x.. shaker:xoxoxoxo kick:x..xx..x
    drums         rim:..x..x..|x..x..x. hat:xoxoxoxo kick:x..ox..o
    preference    guitar:2 flute:1.5 piano:1.5
folk_jig
    modes         dorian mixolydian aeolian
    progressions  1177 1717 1147 1417
    lead          xxxxxx x-xxxx x-xx-x xxxx-x
    chords        x--x-- x-xx-x x----- x-x..x
    bass          1-----|5----- 1--5-- 1--1--
    drums         tom:X.ox.o shaker:xooxoo
    drums         tom:X.ooxo rim:..x..x
    drums         kick:x..o.. hat:oxooxo
    preference    flute:2 guitar:1.5 strings:1.5
march
    modes         ionian ionian harmonic_minor
    progressions  1515 1451 1155 1415
    lead          x--xx---x--xx--- x---x--xx---x--- x--xx--xx--xx--- x-x-x---x--xx---
    chords        ....x-......x-.. ....x-......x.x. ..x...x...x...x.
    bass          1-......5-...... 1---....5---.... 1-..5-..1-..5-..
    drums         kick:x.......x....... snare:o..oX.x.o..oX.xo
    drums         kick:x...o...x...o... snare:x.ooX.oox.ooX.o.
    preference    flute:1.5 organ:1.5 mallets:1.5
reggae
    modes         aeolian ionian dorian mixolydian
    progressions  1414 1145 1544 1454
    lead          x-x-x-..x-x-.... ....x-x-x---x-.. x---..x-x-x-.... ..x-x-x-x---....
    chords        ..x...x...x...x. ..xo..xo..xo..xo ..x...xo..x...xo
    bass          1-..1-3-5-...... ..1-1-..3-1-5-.. 1-.1-.3-....5-.. 1-..1-..5-.5-.3-
    drums         kick:........X....... rim:........X.....o. hat:x.o.x.o.x.o.x.o.
    drums         kick:x...x...x...x... rim:........x....... hat:..x...x...x...x.
    preference    organ:2 guitar:1.5 piano:1.2
rock
    modes         minor_pentatonic minor_pentatonic major_pentatonic
    progressions  1637 1767 1741 1474
    lead          x-x-x---x-x-x--- x---x-x-x-x-x--- ..x-x-x-x---x-x- x-x---x-x-x---x-
    chords        x-x-x-x-x-x-x-x- x-x-X-x-x-x-X-x- x---x-x-x-x-x-x-
    bass          1-1-1-1-1-1-1-1- 1-1-1-1-1-1-5-5- 1---1-1-1-1-1-5-
    drums         kick:X.......x.x..... snare:....X.......X... hat:x.x.x.x.x.x.x.x.
    drums         kick:X.....x.x....... snare:....X.......X... ride:x.x.x.x.x.x.x.x.
    drums         kick:X..x....x.x..... snare:....X.......X.o. open_hat:x...x...x...x...
    preference    guitar:2 organ:1.5 piano:1.2
techno
    modes         aeolian phrygian minor_pentatonic
    progressions  1111 1167 1144 1617
    lead          x..x..x...x..x.. ..x...x...x.x... x.xx..x.x.xx..x. x...x..x..x.x...
    chords        0123012301230123 0121032101210321 012012012012010. 0.120.120.120.12
    bass          ..1...1...1...1. ..11..11..11..18 .111.111.111.118
    drums         kick:X...X...X...X... open_hat:..x...x...x...x. clap:....x.......x...
    drums         kick:X...X...X...X... hat:oox.oox.oox.oox. rim:...x..x....x..x.
    preference    mallets:2 organ:1.5 strings:1.2
waltz
    modes         ionian ionian harmonic_minor
    progressions  1155 1451 1625 1515
    lead          x---x- x-x-x- x----- x--xx-
    chords        ..x.x. ..x-x- ..x-x.
    bass          1-....|5-.... 1---..|5---.. 1-....|3-....
    drums         kick:x..... hat:..x.x.
    drums         kick:x..... snare:..o.o. ride:x.x.x.
    drums         tom:x..... shaker:..x.x.
    preference    strings:2 piano:1.5 flute:1.5
"""


def _read() -> dict[str, Style]:
    """The two tables as styles."""
    rows: dict[str, str] = {}
    for row in _NUMBERS.strip().splitlines()[2:]:
        name, numbers = row.split(maxsplit=1)
        rows[name] = numbers
    styles, fields = {}, {}
    for line in _PATTERNS.strip().splitlines():
        field, *words = line.split()
        values: list[Any] = words
        if not values:
            name, fields = field, {}
            continue
        if ":" in line:
            values = [dict(value.split(":") for value in values)]
        fields[field] = (*fields.get(field, ()), *values)
        if field == "preference":  # the last of a style
            fields[field] = {instrument: float(w) for instrument, w in values[0].items()}
            styles[name] = Style(*map(ast.literal_eval, rows[name].split()), **fields)
    return styles


STYLES = _read()
