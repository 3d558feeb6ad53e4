"""What is true of a score from when to when: instruments, pitches, polyphony, tempo, density."""

from collections.abc import Sequence

import numpy as np

from mclf_jax.data.made.programs import (
    DRUM_NOTES,
    DRUM_OF,
    DRUMS,
    FAMILIES,
    PROGRAMS,
    family_of,
    name_of,
)
from mclf_jax.data.made.score import Score

CHROMA = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
REGISTERS = {"low": (0, 48), "middle": (48, 72), "high": (72, 128)}
POLYPHONY = {"1": (0.0, 1.5), "2": (1.5, 2.5), "3": (2.5, 3.5), "4": (3.5, 5.5), "many": (5.5, 1e9)}
TEMPI = {"slow": (0.0, 85.0), "moderate": (85.0, 125.0), "fast": (125.0, 1e9)}
DENSITIES = {"sparse": (0.0, 2.0), "medium": (2.0, 6.0), "dense": (6.0, 1e9)}
EFFECTS = ("reverb", "echo", "distortion", "compression", "dull", "thin", "low rate", "noise")
_HEARD_S = 0.08  # what of a note is in a window at least, to count there
_FRAME_S = 0.02


def all_labels() -> tuple[str, ...]:
    """Every label that there can be, "group/name", group by group."""
    groups = {
        "program": (*PROGRAMS, "drums"),
        "family": (*FAMILIES, "drums"),
        "drum": DRUM_NOTES,
        "chroma": CHROMA,
        "register": REGISTERS,
        "polyphony": POLYPHONY,
        "tempo": TEMPI,
        "density": DENSITIES,
        "effect": EFFECTS,
    }
    return tuple(f"{group}/{name}" for group, names in groups.items() for name in names)


def labels_of(
    score: Score, *, start_s: float, end_s: float, effects: Sequence[str] = ()
) -> tuple[str, ...]:
    """What is heard of a score between two times, in the order of `all_labels`.

    Polyphony is the mean number of pitched notes at a time, where there are any; density counts
    onsets a second, those at one time once.

    Args:
        score: the song.
        start_s, end_s: of the window.
        effects: some of `EFFECTS`, which are the same all along.
    """
    found = {f"effect/{name}" for name in effects}
    sounding = np.zeros(max(1, round((end_s - start_s) / _FRAME_S)))
    onsets: set[int] = set()
    for part in score.parts:
        onset_s, length_s, pitch = part.notes[:, 0], part.notes[:, 1], part.notes[:, 2]
        # A drum sounds on by itself, however short its note.
        until_s = onset_s + np.maximum(length_s, 0.15 if part.program == DRUMS else 0.0)
        first_s, last_s = np.maximum(onset_s, start_s), np.minimum(until_s, end_s)
        enough_s = np.minimum(_HEARD_S, until_s - onset_s)
        heard = last_s - first_s >= enough_s - 1e-9
        if not heard.any():
            continue
        found |= {f"program/{name_of(part.program)}", f"family/{family_of(part.program)}"}
        begun = onset_s[heard & (onset_s >= start_s)]
        onsets |= set(np.round(begun / 0.04).astype(int).tolist())
        pitches = pitch[heard].astype(int).tolist()
        if part.program == DRUMS:
            found |= {f"drum/{DRUM_OF[one]}" for one in pitches}
            continue
        found |= {f"chroma/{CHROMA[one % 12]}" for one in pitches}
        found |= {f"register/{_class(REGISTERS, one)}" for one in pitches}
        for first, last in zip(first_s[heard], last_s[heard], strict=True):
            begin, end = ((at - start_s) / _FRAME_S for at in (first, last))
            sounding[int(begin) : max(int(begin) + 1, round(end))] += 1
    if sounding.any():
        found.add(f"polyphony/{_class(POLYPHONY, float(sounding[sounding > 0].mean()))}")
    if onsets:
        found.add(f"density/{_class(DENSITIES, len(onsets) / (end_s - start_s))}")
        if score.tempo_bpm:
            found.add(f"tempo/{_class(TEMPI, score.tempo_bpm)}")
    return tuple(label for label in all_labels() if label in found)


def _class(classes: dict[str, tuple[float, float]], value: float) -> str:
    return next(name for name, (low, high) in classes.items() if low <= value < high)
