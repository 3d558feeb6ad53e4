"""The instruments of General MIDI: programs, families, where they play, and what drums are."""

import numpy as np

# Eight programs of each family, in the order of the specification (General MIDI System Level 1).
_FAMILIES = """
piano: grand piano, bright piano, electric grand, honky-tonk, electric piano, fm piano, harpsichord, clavinet
chromatic percussion: celesta, glockenspiel, music box, vibraphone, marimba, xylophone, tubular bells, dulcimer
organ: drawbar organ, percussive organ, rock organ, church organ, reed organ, accordion, harmonica, tango accordion
guitar: nylon guitar, steel guitar, jazz guitar, clean guitar, muted guitar, overdriven guitar, distorted guitar, guitar harmonics
bass: acoustic bass, fingered bass, picked bass, fretless bass, slap bass, slap bass 2, synth bass, synth bass 2
strings: violin, viola, cello, contrabass, tremolo strings, pizzicato strings, harp, timpani
ensemble: string ensemble, slow strings, synth strings, synth strings 2, choir, voice, synth voice, orchestra hit
brass: trumpet, trombone, tuba, muted trumpet, french horn, brass section, synth brass, synth brass 2
reed: soprano sax, alto sax, tenor sax, baritone sax, oboe, english horn, bassoon, clarinet
pipe: piccolo, flute, recorder, pan flute, bottle, shakuhachi, whistle, ocarina
synth lead: square lead, saw lead, calliope lead, chiff lead, charang lead, voice lead, fifths lead, bass lead
synth pad: new age pad, warm pad, polysynth pad, choir pad, bowed pad, metallic pad, halo pad, sweep pad
synth effect: rain, soundtrack, crystal, atmosphere, brightness, goblins, echoes, sci-fi
ethnic: sitar, banjo, shamisen, koto, kalimba, bagpipe, fiddle, shanai
percussive: tinkle bell, agogo, steel drums, woodblock, taiko, melodic tom, synth drum, reverse cymbal
sound effect: fret noise, breath noise, seashore, bird, telephone, helicopter, applause, gunshot
"""  # noqa: E501
_READ = [line.split(": ") for line in _FAMILIES.strip().splitlines()]
FAMILIES = tuple(name for name, _ in _READ)
PROGRAMS = tuple(program for _, names in _READ for program in names.split(", "))
"""Names of the 128 programs, by their numbers from 0."""

DRUMS = -1
"""In the place of a program: a drum kit, whose pitches say which drum."""
# MIDI note numbers of the General MIDI percussion map.
DRUM_NOTES = {
    "kick": (35, 36),
    "snare": (37, 38, 39, 40),
    "hi-hat": (42, 44, 46),
    "tom": (41, 43, 45, 47, 48, 50),
    "cymbal": (49, 51, 52, 53, 55, 57, 59),
    "percussion": (54, 56, *range(60, 82)),
}
DRUM_OF = {note: drum for drum, notes in DRUM_NOTES.items() for note in notes}

# Lowest and highest note of what a family plays, and of programs unlike their families.
_RANGES = {
    "piano": (28, 100),
    "chromatic percussion": (53, 96),
    "organ": (36, 90),
    "guitar": (40, 84),
    "bass": (24, 57),
    "strings": (40, 91),
    "ensemble": (36, 86),
    "brass": (40, 84),
    "reed": (44, 86),
    "pipe": (60, 98),
    "synth lead": (40, 92),
    "synth pad": (36, 86),
    "synth effect": (40, 86),
    "ethnic": (48, 86),
    "percussive": (40, 84),
    "sound effect": (48, 72),
}
_OWN_RANGES = {
    "glockenspiel": (72, 103),
    "violin": (55, 98),
    "viola": (48, 88),
    "cello": (36, 76),
    "contrabass": (26, 60),
    "timpani": (36, 57),
    "tuba": (26, 58),
    "trombone": (38, 72),
    "baritone sax": (36, 69),
    "bassoon": (34, 74),
    "bass lead": (28, 72),
}


def family_of(program: int) -> str:
    """The family of a program, 0 to 127; "drums" of `DRUMS`."""
    return "drums" if program == DRUMS else FAMILIES[program // 8]


def name_of(program: int) -> str:
    """The name of a program, 0 to 127; "drums" of `DRUMS`."""
    return "drums" if program == DRUMS else PROGRAMS[program]


def range_of(program: int) -> tuple[int, int]:
    """The lowest and the highest MIDI note that a program plays here; of drums, of the map."""
    if program == DRUMS:
        return min(DRUM_OF), max(DRUM_OF)
    return _OWN_RANGES.get(PROGRAMS[program]) or _RANGES[family_of(program)]


def draw_program(rng: np.random.Generator, *families: str) -> int:
    """A program of one of some families, of all if none are given; each equally often."""
    of = [FAMILIES.index(name) for name in families or FAMILIES]
    return int(8 * of[rng.integers(len(of))] + rng.integers(8))
